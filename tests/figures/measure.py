"""Launches many VMs at once, as an agent does in a scale-up, and ends them: how fast, and by how many calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cloudherd.clouds.factory import ThreadedCloudFactory
from cloudherd.clouds.protocol import VM, Capabilities, LaunchRequest, VMState
from cloudherd.clouds.registry import Registry
from cloudherd.clouds.threads import ThreadedCloud
from devenv.failure import Failure
from tests.figures.sites import ACCOUNT, Site

PATIENCE = 300.0
PAUSE = 0.2
ENDED = frozenset({VMState.DELETING, VMState.DELETED})


@dataclass(frozen=True)
class Figures:
    """`seconds` pass from when all launches are asked for until the last one is answered. Calls are those counted at
    the site, those for names and tokens among them. `bound_by`: what held the launches up.
    """

    vms: int
    seconds: float
    calls_per_launch: float
    calls_per_end: float
    listing_seconds: float
    listing_calls: int
    bound_by: str
    counted: str

    @property
    def launches_per_second(self) -> float:
        return self.vms / self.seconds


@dataclass
class Watch:
    """Of the calls of one cloud: an `Observer` of its threads. A call counts from when a thread has it."""

    calls: int = 0
    busy: float = 0.0  # seconds, of all of them together
    last: float = 0.0

    def __call__(self, _provider: str, _operation: str, _outcome: str, seconds: float) -> None:
        self.calls += 1
        self.busy += seconds
        self.last = seconds


@dataclass
class Measurement:
    """Of one site, by a cloud that is made as the agent makes it."""

    site: Site
    watch: Watch = field(default_factory=Watch)

    async def of(self, vms: int) -> Figures:
        """CloudError where a launch or an end is refused, Failure where nothing comes of it."""
        factory = ThreadedCloudFactory(Registry(), observer=self.watch)
        cloud = factory(ACCOUNT, self.site.provider, self.site.settings, self.site.credentials)
        try:
            return await self._figures(cloud, vms)
        finally:
            await cloud.close()

    async def _figures(self, cloud: ThreadedCloud, vms: int) -> Figures:
        await cloud.list_vms()  # an agent does so before it launches anything
        before, calls, busy, began = self.site.calls(), self.watch.calls, self.watch.busy, time.monotonic()
        made = await asyncio.gather(*(cloud.create_vm(request) for request in requests(self.site, vms)))
        seconds = time.monotonic() - began
        launching = self.site.calls() - before
        bound = bound_by(cloud.capabilities, self.watch.calls - calls, self.watch.busy - busy, seconds)
        ids = {vm.id for vm in made}
        await _until(cloud, f"{vms} VMs run", lambda found: _count(found, ids, VMState.RUNNING) == vms)
        listing_calls, listing_seconds = await self._listing(cloud)
        before = self.site.calls()
        await asyncio.gather(*(cloud.destroy_vm(vm_id) for vm_id in ids))
        ending = self.site.calls() - before
        await _until(cloud, f"{vms} VMs have ended", lambda found: not _count(found, ids, *set(VMState) - ENDED))
        return Figures(
            vms, seconds, launching / vms, ending / vms, listing_seconds, listing_calls, bound, self.site.counted
        )

    async def _listing(self, cloud: ThreadedCloud) -> tuple[int, float]:
        """Calls and seconds, the fewest: so often that a thread has its second one, and knows whose the account is."""
        found = []
        for _ in range(cloud.capabilities.concurrent_calls + 1):
            before = self.site.calls()
            await cloud.list_vms()
            found.append((self.site.calls() - before, self.watch.last))
        return min(found)


def requests(site: Site, vms: int) -> Iterator[LaunchRequest]:
    """As the agent makes them for one service: alike but for token, name, and the tags that tell one from another."""
    for number in range(vms):
        tags = {
            "cloudherd-installation": "0b6e0b0c-6c0f-4b7e-8f0a-5a2f6f6f4c11",
            "cloudherd-account": ACCOUNT,
            "cloudherd-namespace": "physics",
            "cloudherd-name": f"figures-worker-{number}",
            "cloudherd-id": f"{number:x}",
        }
        yield LaunchRequest(
            token=f"ch-{number:040x}",
            name=f"figures-worker-{number}",
            flavor=site.flavor,
            image=site.image,
            tags=tags,
            user_data=b"#cloud-config\n{}\n",
        )


def bound_by(can: Capabilities, calls: int, busy: float, seconds: float) -> str:
    """What took most of the time in which so many calls were made, which were under way for `busy` seconds together.

    The pace lets one second's calls through at once, and all others one by one.
    """
    paced = (calls - max(1.0, can.calls_per_second)) / can.calls_per_second
    if paced > seconds / 2:
        return f"{can.calls_per_second:,g} calls a second"
    if busy / can.concurrent_calls > seconds / 2:
        return f"{can.concurrent_calls} calls at once"
    return "neither"


async def _until(cloud: ThreadedCloud, what: str, done: Callable[[tuple[VM, ...]], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        listing = await cloud.list_vms()
        if listing.complete and done(listing.vms):
            return
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {PATIENCE:.0f} s")
        await asyncio.sleep(PAUSE)


def _count(found: tuple[VM, ...], ids: set[str], *states: VMState) -> int:
    return sum(vm.id in ids and vm.state in states for vm in found)
