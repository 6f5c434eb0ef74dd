"""How many clusters are as they should be, followed by a watch: what the run waits for, not asking all the time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bench.client import Client, Object
from bench.lab import HERE, PATIENCE
from bench.progress import Progress


class Clusters:
    """The VirtualClusters that exist, and whether each is ready and at rest."""

    def __init__(self, progress: Progress) -> None:
        self.ready: dict[str, bool] = {}
        self._counts: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._progress = progress

    async def follow(self, client: Client) -> None:
        async for event in client.watch(f"{HERE}/virtualclusters"):
            one = event["object"]
            name = one["metadata"]["name"]
            if event["type"] == "DELETED":
                self.ready.pop(name, None)
                self._counts.pop(name, None)
            else:
                self.ready[name], self._counts[name] = _at_rest(one), _ready_vms(one)
            self._changed.set()

    async def until(self, done: Callable[[Clusters], bool]) -> float:
        """When (monotonic) it came true."""
        deadline = time.monotonic() + PATIENCE
        while not done(self):
            async with asyncio.timeout(deadline - time.monotonic()):
                await self._changed.wait()
            self._changed.clear()
            self._progress.show(
                f"{sum(self.ready.values())} of {len(self.ready)} clusters, {sum(self._counts.values())} VMs"
            )
        return time.monotonic()

    async def all_ready(self, count: int) -> float:
        return await self.until(lambda self: len(self.ready) == count and all(self.ready.values()))

    async def all_gone(self) -> float:
        return await self.until(lambda self: not self.ready)


@asynccontextmanager
async def clusters(client: Client, progress: Progress) -> AsyncIterator[Clusters]:
    followed = Clusters(progress)
    async with asyncio.TaskGroup() as group:  # a watch that breaks ends the wait for it
        task = group.create_task(followed.follow(client))
        yield followed
        task.cancel()


def _at_rest(one: Object) -> bool:
    """Ready for its present spec, all VMs of all services there and up to date."""
    status = one.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    ready = conditions.get("Ready")
    services = status.get("services", [])
    return bool(
        ready
        and ready["status"] == "True"
        and ready["observedGeneration"] == one["metadata"]["generation"]
        and conditions["Progressing"]["status"] == "False"
        and all(each["desired"] == each["ready"] == each["updated"] == each["current"] for each in services)
    )


def _ready_vms(one: Object) -> int:
    return sum(each["ready"] for each in one.get("status", {}).get("services", []))
