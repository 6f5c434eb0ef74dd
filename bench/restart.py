"""The operator is killed and started: how long until it acts on a change again, and what its start costs."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bench.client import Client
from bench.lab import Lab
from bench.react import LAUNCH, Scaler, first_launch, last_call


async def restart(lab: Lab, client: Client) -> dict[str, Any]:
    """The change is made while nobody runs, so that it waits for the operator from its first moment on."""
    await lab.quiet()
    lab.stage.kill()
    scaler = Scaler(lab, client)
    number = scaler.numbers[0]
    clouds = scaler.clouds(number)
    marks = [last_call(cloud, LAUNCH) for cloud in clouds]
    then = await lab.moment(client)
    await scaler.scale(number)
    begun = time.time()
    await asyncio.to_thread(lab.start_operator)
    ready = time.time()
    acted = await first_launch(clouds, marks)
    cpu = lab.operator().cpu
    await lab.quiet()
    counts = await lab.since(client, then)
    return {
        "vms": lab.vms(),
        "secondsToList": ready - begun,
        "seconds": acted.at - begun,
        "operatorCpuSeconds": cpu,
        "requests": counts.reads.total(),
        "writesInAll": counts.all_writes,
        **counts.wire(),
    }
