"""python -m bench [SCALE] : measures, prints a table, writes bench/results.json.

SCALE is the number of VMs: the argument, else the environment's, else 10,000.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from bench import manifests, report
from bench.churn import churn
from bench.client import Client
from bench.converge import converge, snapshot, teardown
from bench.floor import floor
from bench.idle import idle
from bench.lab import Lab
from bench.planning import planning
from bench.progress import Progress
from bench.react import full, react
from bench.restart import restart
from devenv.asked import number
from devenv.failure import Failure

HERE = Path(__file__).parent
LEAST = 100


async def measure(scale: int, directory: Path, progress: Progress, results: report.Results) -> None:
    """All seven, in an order in which each finds what it needs; what was measured is in `results` however that ends."""
    small = scale < 10_000
    lab = Lab(directory / "lab", scale, "10s" if small else "60s", progress)
    results |= {
        "scale": scale,
        "revision": report.revision(HERE.parent),
        "machine": report.machine(),
        "pollInterval": lab.poll_interval,
    }
    progress.step("plan")
    results["plan"] = planning(scale)
    progress.step("control plane and operator")
    with lab.stage:
        async with lab.client() as client:
            await lab.prepare(client)
            lab.start_operator()
            await lab.quiet()
            results["convergeMany"] = await _converge("many", lab, client, directory)
            progress.step("idle")
            results["idle"] = await idle(lab, client, 15 if small else 300)
            progress.step("react: one service scaled by one")
            results["react"] = await react(lab, client, 100 if scale >= 1000 else scale // 10)
            progress.step("react: a cloud is full")
            results["full"] = await full(lab, client)
            progress.step("churn")
            results["churn"] = await churn(lab, client)
            progress.step("restart")
            results["restart"] = await restart(lab, client)
            progress.step("teardown, many clusters")
            results["teardownMany"] = {"what": "of many", **await teardown(lab, client)}
            results["convergeOne"] = await _converge("one", lab, client, directory)
            progress.step("teardown, one cluster")
            results["teardownOne"] = {"what": "of one", **await teardown(lab, client)}


async def _converge(what: str, lab: Lab, client: Client, directory: Path) -> report.Results:
    """With its floor: the operator rests meanwhile."""
    clusters = manifests.many(lab.scale) if what == "many" else manifests.one(lab.scale)
    lab.progress.step(f"converge, {what}")
    result = await converge(lab, client, clusters)
    objects = await snapshot(client)
    lab.stage.stop_operators()
    lab.progress.step(f"floor, {what}")
    result["floor"] = await floor(directory / f"floor-{what}", objects, lab.progress)
    lab.start_operator()
    return {"what": what, **result}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("scale", nargs="?", type=int, default=number("SCALE", 10_000))
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    given = parser.parse_args()
    if given.scale < LEAST or given.scale % LEAST:
        print(f"bench: SCALE is {given.scale}, but must be a multiple of {LEAST}", file=sys.stderr)
        return 2
    progress, results = Progress(), report.Results()
    try:
        with tempfile.TemporaryDirectory(prefix="cloudherd-bench-") as directory:
            asyncio.run(measure(given.scale, Path(directory), progress, results))
    except Failure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    finally:
        progress.end()
        if "plan" in results:
            report.write(results, given.results)
            print(report.table(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
