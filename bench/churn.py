"""A tenth of the VMs vanish at random: how long until all is whole again, and what it takes."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Any

from bench.client import Client
from bench.lab import Lab
from bench.react import last_call
from bench.watching import clusters

SHARE = 10  # one in so many
LIST = "list_vms"


async def churn(lab: Lab, client: Client) -> dict[str, Any]:
    then, chance = await lab.moment(client), random.Random(1)
    running = {name: [vm.id for vm in cloud.vms()] for name, cloud in lab.clouds.items()}
    lost = 0
    with lab.spending() as spent:
        begun = time.monotonic()
        for name, ids in running.items():
            chosen = chance.sample(ids, len(ids) // SHARE)
            lab.clouds[name].vanish(*chosen)
            lost += len(chosen)
        marks = {name: last_call(cloud, LIST) for name, cloud in lab.clouds.items()}
        async with clusters(client, lab.progress) as followed:
            await _noticed(lab, marks)
            await followed.until(lambda known: bool(known.ready) and all(known.ready.values()))
            whole = await lab.quiet()
            await followed.until(lambda known: all(known.ready.values()))
    counts = await lab.since(client, then)
    return {
        "vms": sum(map(len, running.values())),
        "vmsAfter": lab.vms(),
        "lost": lost,
        "seconds": whole - begun,
        "operatorCpuSeconds": spent.operator_cpu,
        "writesInAll": counts.all_writes,
        **counts.wire(),
    }


async def _noticed(lab: Lab, marks: Mapping[str, int]) -> None:
    """Until each cloud was listed twice since. Not until there are as many VMs as before: where a burst site loses its
    only worker, that one comes again at the first cloud, and the site's master ends.
    """
    behind = dict(marks)
    while behind:
        lab.progress.show(f"{len(behind)} clouds not polled twice yet")
        await asyncio.sleep(1)
        behind = {name: mark for name, mark in behind.items() if len(lab.clouds[name].calls(LIST, after=mark)) < 2}
