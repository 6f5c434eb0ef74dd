"""Slots: the deterministic names of Instances. The lowest free number of the service in the whole cluster, so that a
stale view meets AlreadyExists instead of making a second VM.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import count

from cloudherd.api import Instance


def slot_of(instance: Instance) -> int:
    """The slot's number; a name that was not ours to give sorts last."""
    number = instance.name.rpartition("-")[2]
    return int(number) if number.isdecimal() else 10**9


def free_slots(cluster: str, service: str, *taken: Container[str]) -> Iterator[str]:
    """The names of free slots, lowest first; `taken` hold names of Instances in the namespace."""
    names = (f"{cluster}-{service}-{number}" for number in count())
    return (name for name in names if not any(name in some for some in taken))
