"""Nothing changes: what does that cost?"""

from __future__ import annotations

import asyncio
from typing import Any

from bench.client import Client
from bench.lab import Lab


async def idle(lab: Lab, client: Client, seconds: float) -> dict[str, Any]:
    await lab.quiet()
    then = await lab.moment(client)
    with lab.spending() as spent:
        for left in range(int(seconds), 0, -1):
            lab.progress.show(f"{left} s left")
            await asyncio.sleep(1)
    used, counts = lab.operator(), await lab.since(client, then)
    return {
        "vms": lab.vms(),
        "seconds": spent.seconds,
        "writesInAll": counts.all_writes,
        "operatorCpuPercent": 100 * spent.operator_cpu / spent.seconds,
        "serverCpuPercent": 100 * spent.server_cpu / spent.seconds,
        "memoryMB": used.resident,
        "memoryWithChildrenMB": used.family,
        "peakMemoryMB": used.peak,
        **counts.wire(),
    }
