"""The floor: how fast the API server takes the same objects and writes from a client that does nothing else.

The operator is stopped, the objects are those that it has made (`converge.snapshot`), created again on a fresh control
plane under the same CRDs, each Instance's status patched twice.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench import manifests
from bench.client import Client, Object, at_once
from bench.lab import HERE, Lab
from bench.progress import Progress

SECRETS = f"/api/v1/namespaces/{manifests.NAMESPACE}/secrets"
TRIED = (10, 20, 50)
TRIAL = 150  # Instances with each concurrency

Step = Callable[[], Awaitable[None]]


async def floor(directory: Path, objects: dict[str, list[Object]], progress: Progress) -> dict[str, Any]:
    lab = Lab(directory, 0, "60s", progress)
    with lab.stage:
        async with lab.client() as client:
            await lab.prepare(client, accounts=False)
            best = await _best(client, objects["instances"])
            steps = _steps(client, objects)
            cpu, begun = lab.server().cpu, time.monotonic()
            own = time.process_time()
            await at_once(best, _shown(steps, progress))
            seconds = time.monotonic() - begun
            vms = len(objects["instances"])
            return {
                "seconds": seconds,
                "vmsPerSecond": vms / seconds,
                "concurrency": best,
                "serverCpuMsPerVm": 1000 * (lab.server().cpu - cpu) / vms,
                "clientCpuMsPerVm": 1000 * (time.process_time() - own) / vms,
            }


async def _best(client: Client, instances: list[Object]) -> int:
    """The concurrency with which a few Instances are made fastest, under names of their own."""
    took: dict[int, float] = {}
    for count in TRIED:
        steps = []
        for number, one in enumerate(instances[:TRIAL]):
            name = f"{one['spec']['clusterName']}-{one['spec']['serviceName']}-{90000 + count * 1000 + number}"
            steps.append(_instance(client, {**one, "metadata": {**one["metadata"], "name": name}}))
        begun = time.monotonic()
        await at_once(count, steps)
        took[count] = time.monotonic() - begun
    return min(took, key=lambda count: took[count])


def _steps(client: Client, objects: dict[str, list[Object]]) -> list[Step]:
    """The clusters first, as they are submitted; then all that follows from them; their statuses last."""
    return [
        *(_created(client, f"{HERE}/virtualclusters", one) for one in objects["virtualclusters"]),
        *(_created(client, f"{HERE}/clusterservices", one) for one in objects["clusterservices"]),
        *(_created(client, SECRETS, one) for one in objects["secrets"]),
        *(_instance(client, one) for one in objects["instances"]),
        *(_status(client, f"{HERE}/clusterservices", one) for one in objects["clusterservices"]),
        *(_status(client, f"{HERE}/virtualclusters", one) for one in objects["virtualclusters"]),
    ]


def _created(client: Client, path: str, one: Object) -> Step:
    return lambda: client.create(path, _fresh(one))


def _status(client: Client, path: str, one: Object) -> Step:
    target = f"{path}/{one['metadata']['name']}/status"
    return lambda: client.patch(target, {"status": one["status"]})


def _instance(client: Client, one: Object) -> Step:
    """Its record, the cloud's answer, and that it is ready."""
    path = f"{HERE}/instances"
    answered = {**one["status"], "phase": "Launching"}

    async def step() -> None:
        await client.create(path, _fresh(one))
        await client.patch(f"{path}/{one['metadata']['name']}/status", {"status": answered})
        await client.patch(f"{path}/{one['metadata']['name']}/status", {"status": one["status"]})

    return step


def _fresh(one: Object) -> Object:
    kept = ("name", "namespace", "labels", "finalizers")
    meta = {name: value for name, value in one["metadata"].items() if name in kept}
    return {**{name: value for name, value in one.items() if name != "status"}, "metadata": meta}


def _shown(steps: list[Step], progress: Progress) -> list[Step]:
    done = 0

    def counted(step: Step) -> Step:
        async def run() -> None:
            nonlocal done
            await step()
            done += 1
            if done % 100 == 0:
                progress.show(f"{done} of {len(steps)} objects")

        return run

    return [counted(step) for step in steps]
