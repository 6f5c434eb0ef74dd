"""Slots: the deterministic names of Instances. The lowest free number of the service in the whole cluster, so that a
stale view meets AlreadyExists instead of making a second VM.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import count


def free_slots(cluster: str, service: str, *taken: Container[str]) -> Iterator[str]:
    """The names of free slots, lowest first; `taken` hold names of Instances in the namespace."""
    names = (f"{cluster}-{service}-{number}" for number in count())
    return (name for name in names if not any(name in some for some in taken))
