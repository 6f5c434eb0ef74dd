"""What every simulated cloud offers: sizes and images. Names and IDs are the same."""

from __future__ import annotations

from cloudherd.clouds.protocol import Image, Size

_SIZES = {  # cpus, GiB
    "sim.tiny": (0.5, 1),
    "sim.small": (1, 2),
    "sim.medium": (2, 4),
    "sim.large": (4, 8),
    "sim.xlarge": (8, 16),
    "sim.2xlarge": (16, 32),
    "sim.highmem": (4, 64),
}

SIZES = {name: Size(name, name, cpus, memory * 2**30) for name, (cpus, memory) in _SIZES.items()}
IMAGES = {
    name: Image(name, name)
    for name in ("sim-debian-12", "sim-debian-13", "sim-ubuntu-24.04", "sim-alma-9", "sim-rocky-9")
}
