"""`python -m tests.figures [PROVIDER...]`: launches per second and calls per VM of each provider; `make figures`.

Each is measured at a test server on loopback, one after another: all but openstack where none is named, with it where
OPENSTACK=1, since its services take minutes. N is how many VMs (100; 40 at openstack). These are figures of our own
pace and of our own code: no real cloud answers as fast as these servers.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from bench.progress import Progress
from cloudherd.clouds.protocol import CloudError
from devenv.asked import number
from devenv.failure import Failure
from tests.figures.measure import Figures, Measurement
from tests.figures.sites import SITES, provider_of

SLOW = "openstack"
COLUMNS: Mapping[str, Callable[[Figures], str]] = {
    "VMs": lambda one: f"{one.vms}",
    "seconds": lambda one: f"{one.seconds:.2f}",
    "launches/s": lambda one: f"{one.launches_per_second:.1f}",
    "calls/launch": lambda one: f"{one.calls_per_launch:.2f}",
    "calls/end": lambda one: f"{one.calls_per_end:.2f}",
    "listing, s": lambda one: f"{one.listing_seconds:.3f}",
    "its calls": lambda one: f"{one.listing_calls}",
    "bound by": lambda one: one.bound_by,
    "counted by": lambda one: one.counted,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.figures", description=__doc__)
    parser.add_argument("provider", nargs="*", help=f"of {', '.join(_providers())}")
    named = parser.parse_args(arguments).provider
    if unknown := [name for name in named if name not in _providers()]:
        parser.error(f"{unknown[0]} has no test server: the providers are {', '.join(_providers())}")
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda what, _: sys.exit(128 + what))  # out of what is under way, through the servers' ends
    found: dict[str, Figures] = {}
    try:
        measure(chosen(named), found)
    except Failure as failure:
        sys.stderr.write(f"figures: {failure}\n")
        return 1
    finally:
        if found:
            sys.stdout.write("".join(f"{line}\n" for line in table(found)))
    return 0


def _providers() -> list[str]:
    return list(dict.fromkeys(map(provider_of, SITES)))


def chosen(named: Sequence[str]) -> list[str]:
    """Rows of the table."""
    wanted = named or [name for name in _providers() if name != SLOW or os.environ.get("OPENSTACK") == "1"]
    return [row for row in SITES if provider_of(row) in wanted]


def measure(rows: Sequence[str], found: dict[str, Figures]) -> None:
    """What was measured is in `found` however that ends."""
    progress = Progress()
    try:
        for row in rows:
            vms = number("N", 40 if provider_of(row) == SLOW else 100, least=1)
            progress.step(f"{row}: its test server starts")
            try:
                with SITES[row]() as site:
                    progress.step(f"{row}: {vms} VMs")
                    found[row] = asyncio.run(Measurement(site).of(vms))
            except CloudError as error:
                raise Failure(f"{row}: {error}") from None
    finally:
        progress.end()


def table(found: Mapping[str, Figures]) -> list[str]:
    lines = [["", *COLUMNS], *([row, *(tell(one) for tell in COLUMNS.values())] for row, one in found.items())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]


if __name__ == "__main__":
    sys.exit(main())
