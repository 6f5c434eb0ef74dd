"""What the last listing of a cloud showed, so that the next one shows a VM that is as it was as the very same object.

Most polls of ten thousand VMs bring no news, and to make them all anew would cost more than all that is done with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cloudherd.clouds.protocol import VM
from cloudherd.clouds.simulated.machine import Look, Machine

Life = tuple[Any, ...]
"""A VM's number, all the times of its life, and its tags: of a VM nothing else ever changes."""


class Shown:
    """Of one cloud. Several threads may use it: each listing replaces all that the one before it left."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[Life, Machine, Look, VM]] = {}

    def listing(
        self, lives: Sequence[Life], machines: Callable[[list[int]], Iterable[Machine]], at: float
    ) -> tuple[VM, ...]:
        """The VMs that exist at that time; `machines` are asked for by their numbers where they are new or changed."""
        before, now = self._last, dict[int, tuple[Life, Machine, Look, VM]]()
        news = [life[0] for life in lives if life[0] not in before or before[life[0]][0] != life]
        fresh = {its.number: its for its in machines(news)} if news else {}
        for life in lives:
            number = life[0]
            known = None if number in fresh else before[number]
            its = known[1] if known else fresh[number]
            look = its.look(at)
            if look is None:
                continue
            now[number] = known if known and known[2] == look else (life, its, look, its.shown(look))
        self._last = now
        return tuple(known[3] for known in now.values())
