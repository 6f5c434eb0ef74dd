"""A tenth of the VMs vanish at random: how long until all is whole again, and what it takes."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

from bench.client import Client
from bench.lab import Lab
from bench.watching import clusters

SHARE = 10  # one in so many


async def churn(lab: Lab, client: Client) -> dict[str, Any]:
    then, chance = await lab.moment(client), random.Random(1)
    running = {name: [vm.id for vm in cloud.vms()] for name, cloud in lab.clouds.items()}
    alive = sum(map(len, running.values()))
    lost = 0
    with lab.spending() as spent:
        begun = time.monotonic()
        for name, ids in running.items():
            chosen = chance.sample(ids, len(ids) // SHARE)
            lab.clouds[name].vanish(*chosen)
            lost += len(chosen)
        async with clusters(client, lab.progress) as followed:
            await _replaced(lab, alive)
            await followed.until(lambda known: bool(known.ready) and all(known.ready.values()))
            whole = await lab.quiet()
            await followed.until(lambda known: all(known.ready.values()))
    counts = await lab.since(client, then)
    return {
        "vms": alive,
        "vmsAfter": lab.vms(),
        "lost": lost,
        "seconds": whole - begun,
        "operatorCpuSeconds": spent.operator_cpu,
        "writesInAll": counts.all_writes,
        **counts.wire(),
    }


async def _replaced(lab: Lab, alive: int) -> None:
    while (now := lab.vms()) < alive:
        lab.progress.show(f"{now} of {alive} VMs")
        await asyncio.sleep(1 + alive / 5000)  # counting them takes time that others need
