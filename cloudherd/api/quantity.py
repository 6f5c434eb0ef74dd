"""Quantities (`256Gi`) and durations (`10m`) as Kubernetes writes them, and back."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

QUANTITY_PATTERN = r"^[0-9]+([.][0-9]{1,3})?(m|k|K|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?$"
DURATION_PATTERN = r"^([0-9]{1,6}(ms|s|m|h))+$"

_DECIMAL = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    "k": 10**3,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "P": 10**15,
}
_BINARY = {f"{unit}i": 1024**power for power, unit in enumerate("KMGTP", start=1)}
_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}


@lru_cache(maxsize=1024)  # of the few that there are, every plan asks again
def parse_quantity(text: str | int | float) -> float:
    """A quantity as a number (bytes for memory, cores for cpus). ValueError where it is none."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]{1,3})?)([A-Za-z]{0,2})", str(text))
    scale = match and {**_DECIMAL, **_BINARY}.get(match[2])
    if not match or not scale:
        raise ValueError(f"{text!r} is no quantity; write it like 64, 500m or 256Gi")
    return float(Decimal(match[1]) * scale)


def format_bytes(value: float) -> str:
    """Bytes in the largest binary unit that leaves no remainder."""
    number = int(value)
    for power, unit in reversed(list(enumerate("KMGTP", start=1))):
        if number and number % 1024**power == 0:
            return f"{number // 1024**power}{unit}i"
    return str(number)


@lru_cache(maxsize=1024)
def parse_duration(text: str) -> float:
    """A duration in seconds. ValueError where it is none."""
    if not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is no duration; write it like 90s or 1h30m")
    parts = re.findall(r"([0-9]+)(ms|s|m|h)", text)
    return sum(int(number) * _MILLISECONDS[unit] for number, unit in parts) / 1000
