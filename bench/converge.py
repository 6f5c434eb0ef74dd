"""From apply to all Ready; and its end, from the deletion of all clusters to the last object."""

from __future__ import annotations

from typing import Any

from bench.client import Client, Object, at_once
from bench.counts import Counts
from bench.lab import HERE, SUBMITTERS, Lab, Spent
from bench.watching import clusters

Result = dict[str, Any]


async def converge(lab: Lab, client: Client, submitted: list[Object]) -> Result:
    then = await lab.moment(client)
    async with clusters(client, lab.progress) as followed:
        with lab.spending() as spent:
            await lab.submit(client, submitted)
            await followed.all_ready(len(submitted))
        await lab.quiet()
    return _result(spent, await lab.since(client, then), lab.vms(), lab)


async def teardown(lab: Lab, client: Client) -> Result:
    vms, then = lab.vms(), await lab.moment(client)
    async with clusters(client, lab.progress) as followed:
        paths = [
            f"{HERE}/virtualclusters/{one['metadata']['name']}" for one in await client.list(f"{HERE}/virtualclusters")
        ]
        await followed.until(lambda known: len(known.ready) == len(paths))
        with lab.spending() as spent:
            await at_once(SUBMITTERS, [lambda path=path: client.delete(path) for path in paths])  # type: ignore[misc]
            await followed.all_gone()
        await lab.quiet()
    left = {plural: len(await client.list(f"{HERE}/{plural}")) for plural in ("instances", "clusterservices")}
    if any(left.values()) or lab.vms():
        raise RuntimeError(f"the clusters are gone, but not {left} and {lab.vms()} VMs")
    return _result(spent, await lab.since(client, then), vms, lab)


def _result(spent: Spent, counts: Counts, vms: int, lab: Lab) -> Result:
    return {
        "vms": vms,
        "seconds": spent.seconds,
        "vmsPerSecond": vms / spent.seconds,
        "operatorCpuMsPerVm": 1000 * spent.operator_cpu / vms,
        "serverCpuMsPerVm": 1000 * spent.server_cpu / vms,
        "operatorMemoryMB": lab.operator().resident,
        "writesPerVm": counts.on_instances / vms,
        "otherWritesPerVm": counts.on_others / vms,
        "cloudCallsPerVm": counts.but_listings / vms,
        "listings": counts.calls["list_vms"],
        **counts.wire(),
    }


async def snapshot(client: Client) -> dict[str, list[Object]]:
    """All objects that the operator made, and the clusters."""
    found = {
        plural: await client.list(f"{HERE}/{plural}") for plural in ("virtualclusters", "clusterservices", "instances")
    }
    secrets = await client.list(f"/api/v1/namespaces/{HERE.rpartition('/')[2]}/secrets")
    return {**found, "secrets": [one for one in secrets if one["type"] == "cloudherd.dev/user-data"]}
