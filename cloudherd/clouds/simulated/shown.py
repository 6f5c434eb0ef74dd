"""What the last listing of a cloud showed, so that the next one shows a VM that is as it was as the very same object.

Most polls of ten thousand VMs bring no news, and to make them all anew would cost more than all that is done with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cloudherd.clouds.protocol import VM
from cloudherd.clouds.simulated.machine import Look, Machine

Row = tuple[Any, ...]


class Shown:
    """Of one cloud. Several threads may use it: each listing replaces all that the one before it left."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[Row, Machine, Look, VM]] = {}

    def listing(self, rows: Iterable[Row], machine_of: Callable[[Row], Machine], at: float) -> Iterator[VM]:
        """The VMs that exist at that time. A row begins with the VM's number."""
        before, now = self._last, dict[int, tuple[Row, Machine, Look, VM]]()
        for row in rows:
            known = before.get(row[0])
            if known and known[0] != row:
                known = None
            machine = known[1] if known else machine_of(row)
            look = machine.look(at)
            if look is None:
                continue
            if known is None or known[2] != look:
                known = row, machine, look, machine.shown(look)
            now[row[0]] = known
            yield known[3]
        self._last = now
