"""Where it is measured: a control plane, an operator and simulated clouds of the run's own, and their books."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import counts, manifests
from bench.client import GROUP, Client, Object, at_once
from bench.counts import Counts, Moment, is_operators
from bench.progress import Progress
from bench.usage import Usage, usage
from cloudherd.clouds.simulated import SimulatedCloud
from devenv.audit import AuditLog
from devenv.stage import Stage

PATIENCE = 1800.0
LOOK = 0.25
HERE = f"{GROUP}/namespaces/{manifests.NAMESPACE}"
SUBMITTERS = 20


class Plain(Stage):
    """A stage without moto: all clouds are simulated."""

    def start_moto(self) -> None:
        return


@dataclass
class Spent:
    """What a measured stretch of time took."""

    seconds: float = 0
    operator_cpu: float = 0
    server_cpu: float = 0


class Lab:
    """`poll_interval` is every account's, while nothing changes."""

    def __init__(self, directory: Path, scale: int, poll_interval: str, progress: Progress) -> None:
        self.stage = Plain(directory)
        self.scale, self.poll_interval, self.progress = scale, poll_interval, progress
        self.clouds: dict[str, SimulatedCloud] = {}

    # -- setting up

    def client(self) -> Client:
        return Client(self.stage.plane.kubeconfig)

    async def prepare(self, client: Client, *, accounts: bool = True) -> None:
        await client.create("/api/v1/namespaces", {"metadata": {"name": manifests.NAMESPACE}})
        if not accounts:
            return
        for plural, body in manifests.foundations(self.poll_interval):
            await client.create(f"{HERE}/{plural}", body)
        names = [manifests.account(number) for number in range(manifests.ACCOUNTS)]
        self.clouds = {name: self.stage.simulated(f"{manifests.NAMESPACE}.{name}") for name in names}

    async def submit(self, client: Client, clusters: list[Object]) -> None:
        def step(one: Object) -> Callable[[], object]:
            return lambda: client.create(f"{HERE}/virtualclusters", one)

        await at_once(SUBMITTERS, [step(one) for one in clusters])  # type: ignore[misc]

    def start_operator(self) -> None:
        self.stage.start_operator()

    # -- the books

    @property
    def operator_pid(self) -> int:
        return self._pid("operator")

    def _pid(self, name: str) -> int:
        pid = self.stage.supervisor.pid(name)
        if pid is None:
            raise RuntimeError(f"{name} has ended: see {self.stage.supervisor.log(name)}")
        return pid

    def operator(self) -> Usage:
        return usage(self.operator_pid)

    def server(self) -> Usage:
        return usage(self._pid("controlplane"))

    @property
    def log(self) -> AuditLog:
        return AuditLog(self.stage.plane.audit_log)

    async def moment(self, client: Client) -> Moment:
        return counts.moment(self.log, await client.text("/metrics"), self.clouds)

    async def since(self, client: Client, then: Moment) -> Counts:
        return counts.since(then, self.log, await client.text("/metrics"), self.clouds)

    @contextmanager
    def spending(self) -> Iterator[Spent]:
        """Time and CPU of the block."""
        spent = Spent()
        operator, server, begun = self.operator().cpu, self.server().cpu, time.monotonic()
        yield spent
        spent.seconds = time.monotonic() - begun
        spent.operator_cpu, spent.server_cpu = self.operator().cpu - operator, self.server().cpu - server

    def vms(self) -> int:
        return sum(len(cloud.vms()) for cloud in self.clouds.values())

    # -- waiting

    async def quiet(self, seconds: float = 3.0) -> float:
        """Until the operator has written nothing for so long; when (monotonic) it last did."""
        position, last = self.log.position(), time.monotonic()
        begun = last
        while time.monotonic() < last + seconds:
            if time.monotonic() > begun + PATIENCE:
                raise RuntimeError(f"the operator still writes after {PATIENCE:.0f} s")
            await asyncio.sleep(LOOK)
            new = self.log.writes(position)
            position = self.log.position() if new else position
            if any(is_operators(write) for write in new):
                last = time.monotonic()
        return last
