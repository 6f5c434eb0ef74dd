"""How soon a change reaches the cloud: a service scaled by one, and a cloud that is full when it is asked.

From the call's begin to the request's arrival, which the simulated clouds log with the same clock.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from itertools import cycle, islice
from math import ceil
from typing import Any

from bench import manifests
from bench.client import Client
from bench.lab import HERE, Lab
from cloudherd.clouds.simulated import Call, SimulatedCloud, faults

LOOK = 0.01
PATIENCE = 120.0
LAUNCH = "create_vm"


class Scaler:
    """Scales the workers of small clusters by one. `numbers` are those of all clusters, at random."""

    def __init__(self, lab: Lab, client: Client) -> None:
        self._lab, self._client = lab, client
        self.numbers = list(range(lab.scale // manifests.MASTER_AND_WORKERS))
        random.Random(1).shuffle(self.numbers)

    def filling(self) -> list[int]:
        """Clusters that stand on one account only, no two on the same or on the next one's."""
        found = {manifests.account(one): one for one in self.numbers if one % 2 == 0 and one % manifests.BURSTING}
        return list(found.values())

    def clouds(self, number: int) -> list[SimulatedCloud]:
        return [self._lab.clouds[manifests.account(each)] for each in (number, number + 1)]

    async def scale(self, number: int) -> float:
        """Unix seconds when the scale call began."""
        path = f"{HERE}/clusterservices/pool-{number:04}-worker"
        replicas = (await self._client.get(f"{path}/scale"))["spec"]["replicas"]
        begun = time.time()
        await self._client.patch(f"{path}/scale", {"spec": {"replicas": replicas + 1}})
        return begun


async def react(lab: Lab, client: Client, times: int) -> dict[str, Any]:
    scaler, took = Scaler(lab, client), list[float]()
    for done, number in enumerate(islice(cycle(scaler.numbers), times), 1):
        clouds = scaler.clouds(number)
        marks = [last_call(cloud, LAUNCH) for cloud in clouds]
        begun = await scaler.scale(number)
        took.append((await first_launch(clouds, marks)).at - begun)
        lab.progress.show(f"{done} of {times}")
    await lab.quiet()
    return {"times": times, **percentiles(took)}


async def full(lab: Lab, client: Client) -> dict[str, Any]:
    """A cluster's first cloud refuses; from its answer to the first request at the next one, a site's first."""
    scaler, took = Scaler(lab, client), list[float]()
    numbers = scaler.filling()
    for done, number in enumerate(numbers, 1):
        first, second = scaler.clouds(number)
        first.inject(faults.full())
        marks = [last_call(first, LAUNCH), last_call(second, LAUNCH)]
        await scaler.scale(number)
        refused = await first_launch([first], marks[:1], outcome="Full")
        took.append((await first_launch([second], marks[1:])).at - refused.at)
        first.heal()
        lab.progress.show(f"{done} of {len(numbers)}")
    while any(one["status"].get("full") for one in await client.list(f"{HERE}/cloudaccounts")):
        lab.progress.show("until no cloud is held for full")
        await asyncio.sleep(1)
    await lab.quiet()
    return {"times": len(numbers), **percentiles(took)}


def last_call(cloud: SimulatedCloud, operation: str) -> int:
    calls = cloud.calls(operation)
    return calls[-1].number if calls else 0


async def first_launch(clouds: Sequence[SimulatedCloud], after: Sequence[int], outcome: str = "ok") -> Call:
    """The first launch at any of the clouds after these calls, with this outcome."""
    deadline = time.monotonic() + PATIENCE
    while True:
        for cloud, mark in zip(clouds, after, strict=True):
            for call in cloud.calls(LAUNCH, after=mark):
                if call.outcome == outcome:
                    return call
        if time.monotonic() > deadline:
            raise RuntimeError(f"no launch with the outcome {outcome} came within {PATIENCE:.0f} s")
        await asyncio.sleep(LOOK)


def percentiles(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {f"p{share}": ordered[ceil(share / 100 * len(ordered)) - 1] for share in (50, 95, 99)}
