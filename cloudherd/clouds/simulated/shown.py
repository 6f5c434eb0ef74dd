"""What the last listing of a cloud showed, so that the next one shows a VM that is as it was as the very same object.

Most polls of ten thousand VMs bring no news, and to make them all anew would cost more than all that is done with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from cloudherd.clouds.protocol import VM
from cloudherd.clouds.simulated.machine import Look, Machine

Life = tuple[Any, ...]
"""A VM's number, all the times of its life, and its tags: of a VM nothing else ever changes."""


class Shown:
    """Of one cloud. Several threads may use it: each listing replaces all that the one before it left."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[Life, Machine, Look, VM]] = {}

    def listing(self, lives: Iterable[Life], machine: Callable[[int], Machine], at: float) -> tuple[VM, ...]:
        """The VMs that exist at that time; `machine` is asked for those that are new or changed."""
        before, now = self._last, dict[int, tuple[Life, Machine, Look, VM]]()
        for life in lives:
            number, known = life[0], before.get(life[0])
            its = known[1] if known and known[0] == life else machine(number)
            look = its.look(at)
            if look is None:
                continue
            if known and its is known[1] and look == known[2]:
                now[number] = known
            else:
                now[number] = life, its, look, its.shown(look)
        self._last = now
        return tuple(known[3] for known in now.values())
