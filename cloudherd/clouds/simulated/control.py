"""The side of a simulated cloud that its users do not see: the truth about it, its log, and its faults.

For tests, the demo and benchmarks, from any process and at any time. Nothing done here is in the log of calls.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from cloudherd.clouds.protocol import VM, LaunchRequest
from cloudherd.clouds.simulated import cloud, log
from cloudherd.clouds.simulated.faults import Fault, encode
from cloudherd.clouds.simulated.log import Call
from cloudherd.clouds.simulated.machine import vm_id, vm_number
from cloudherd.clouds.simulated.storage import cloud_path, open_cloud, transaction


class SimulatedCloud:
    """The cloud in the file `path`, which is made if need be. KeyError where a VM is named that never was."""

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        self.path = path
        self._now = now

    @classmethod
    def of(cls, account: str, directory: Path | None = None, *, now: Callable[[], float] = time.time) -> SimulatedCloud:
        """The cloud of an account, `<namespace>.<name>`."""
        return cls(cloud_path(account, directory), now=now)

    def vms(self) -> list[VM]:
        """All that exist now, foreign ones included, in the order of their making; no lag, no fault."""
        now = self._now()
        with self._open() as db:
            return [machine.record(now) for machine in cloud.living(db, now)]

    def calls(self, operation: str = "", *, after: int = 0) -> list[Call]:
        """The log in order; of one operation only, or only what came after the call of that number."""
        with self._open() as db:
            return list(log.read(db, operation, after))

    def user_data(self, wanted: str) -> bytes:
        """What a VM was given, even if it has ended."""
        query = "SELECT data FROM vm JOIN user_data ON vm.user_data = user_data.digest WHERE number = ?"
        with self._open() as db:
            found = db.execute(query, (vm_number(wanted),)).fetchone()
        if found is None:
            raise KeyError(wanted)
        return bytes(found[0])

    def inject(self, *faults: Fault) -> None:
        """From now on these go wrong, in this order where they have the same effect."""
        with self._open() as db, transaction(db):
            db.executemany(
                "INSERT INTO fault (fault, times) VALUES (?, ?)", [(encode(fault), fault.times) for fault in faults]
            )

    def heal(self) -> None:
        """No more faults. What they have done stays."""
        with self._open() as db, transaction(db):
            db.execute("DELETE FROM fault")

    def faults(self) -> int:
        """How many faults have not struck as often as they should."""
        with self._open() as db:
            return int(db.execute("SELECT count(*) FROM fault").fetchone()[0])

    def vanish(self, *ids: str) -> None:
        """The VMs are gone, without a call."""
        now = self._now()
        self._change("ending = min(ending, ?), gone = min(gone, ?)", (now, now), ids)

    def stop(self, *ids: str) -> None:
        self._change("stopped = ?", (self._now(),), ids)

    def start(self, *ids: str) -> None:
        """Stopped VMs run again."""
        self._change("stopped = 9e999, message = ''", (), ids)

    def set_error(self, wanted: str, message: str) -> None:
        """The VM is in an error state; `message` is what the cloud says of it."""
        self._change("failed = ?, message = ?", (self._now(), message), (wanted,))

    def retag(self, wanted: str, tags: Mapping[str, str]) -> None:
        """The VM has these tags and no others."""
        self._change("tags = ?", (json.dumps(dict(tags)),), (wanted,))

    def add_foreign(
        self, name: str = "foreign", *, tags: Mapping[str, str] | None = None, flavor: str = "sim.small"
    ) -> str:
        """A running VM of somebody else's, room for it or not; its ID."""
        request = LaunchRequest(token="", name=name, flavor=flavor, image="sim-debian-12", tags=dict(tags or {}))
        now, account = self._now(), self.path.stem
        with self._open() as db, transaction(db):
            machine = cloud.next_machine(db, account, now, request, 0)
            cloud.insert(db, machine, cloud.Order.of(request))
        return vm_id(machine.number)

    def drop(self) -> None:
        """The cloud and its VMs are no more. Not while anybody uses it."""
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _change(self, assignments: str, values: tuple[object, ...], ids: tuple[str, ...]) -> None:
        with self._open() as db, transaction(db):
            for each in ids:
                changed = db.execute(
                    f"UPDATE vm SET {assignments} WHERE number = ?",  # noqa: S608
                    (*values, vm_number(each)),
                )
                if not changed.rowcount:
                    raise KeyError(each)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(open_cloud(self.path)) as db:
            yield db
