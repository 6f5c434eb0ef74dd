"""The pure planner alone, as the gateway calls it: one big cluster over 50 accounts, and a thousand small ones.

The Instances are those that the planner itself asks for, each ready at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from statistics import median
from typing import Any

from bench import manifests
from bench.client import Object
from cloudherd.api import VirtualCluster
from cloudherd.plan.capacity import Ledger
from cloudherd.plan.cluster import FINALIZER, plan_cluster
from cloudherd.plan.model import CreateInstance, Memory, Plan
from cloudherd.rendering.model import RenderResult
from cloudherd.rendering.render import render
from cloudherd.runtime import kinds
from cloudherd.runtime.index import Index
from cloudherd.runtime.ports import Kind, WatchEvent
from cloudherd.runtime.store import Entry, Store, cluster_of

ACCOUNTS = 50
ROUNDS = 20
AT = "2026-01-01T00:00:00Z"
READY = {"type": "Ready", "status": "True", "reason": "Ready", "lastTransitionTime": AT}


class Desk:
    """A store, a ledger and the planner, with no API server behind them."""

    def __init__(self, clusters: list[Object]) -> None:
        self.store = Store(kind.plural for kind in kinds.GATEWAY_READS)
        self.index, self.ledger, self.memories = Index(self.store), Ledger(), dict[str, Memory]()
        self.rendered: dict[str, RenderResult] = {}
        self._numbers = count(1)
        self.store.subscribe(self._follow)
        for kind in kinds.GATEWAY_READS:
            self.store.replace(kind, [], "1")
        self.put(kinds.NAMESPACE, {"metadata": {"name": manifests.NAMESPACE}})
        for plural, body in manifests.foundations("60s"):
            self.put(kinds.CONTEXT, body) if plural == "contexts" else None
        for number in range(ACCOUNTS):
            self.put(kinds.CLOUD_ACCOUNT, _account(f"cloud-{number:02}"))
        for body in clusters:
            body["metadata"] |= {"finalizers": [FINALIZER], "generation": 1}
            self.put(kinds.VIRTUAL_CLUSTER, body)
        self.clusters = [one for one in self.store.entries("virtualclusters") if isinstance(one, VirtualCluster)]

    def put(self, kind: Kind, body: Object) -> None:
        number = str(next(self._numbers) + 1)
        meta = {**body["metadata"], "uid": f"u{number}", "resourceVersion": number, "creationTimestamp": AT}
        self.store.apply(kind, WatchEvent("ADDED", {**body, "metadata": meta}))

    def _follow(self, plural: str, before: Entry | None, after: Entry | None) -> None:
        if plural == "instances" and after and (cluster := cluster_of(after)):
            self.ledger.changed(cluster, before, after)  # type: ignore[arg-type]

    def plan(self, cluster: VirtualCluster, memory: Memory) -> Plan:
        view = self.index.view(cluster, {}, self.rendered)
        return plan_cluster(view, self.ledger, memory, 1e9, 1e6)

    def settle(self) -> None:
        """Carries plans out until there is nothing more to make."""
        left = list(self.clusters)
        while left:
            left = [one for one in left if self._carry_out(one)]

    def _carry_out(self, cluster: VirtualCluster) -> bool:
        plan = self.plan(cluster, self.memories.get(cluster.name, Memory()))
        self.ledger.planned(cluster.key, plan.holds, plan.waits_for)
        self.memories[cluster.name] = plan.memory
        self.rendered |= {request.key: render(request) for request in plan.renders}
        for action in plan.create:
            self.put(kinds.INSTANCE, _instance(cluster, action))
        for made in plan.create_services:
            self.put(kinds.CLUSTER_SERVICE, {**_named(made.name), "spec": made.spec.wire()})
        return bool(plan.renders or plan.create or plan.create_services)


def planning(scale: int) -> dict[str, Any]:
    """Milliseconds of CPU, which a busy machine does not change. `first` is a cluster's first plan in a process,
    `next` every later one.
    """
    workers = scale - ACCOUNTS
    accounts: list[Object] = [{"name": f"cloud-{n:02}", "maxInstances": scale // ACCOUNTS} for n in range(ACCOUNTS)]
    one = Desk([manifests.cluster("pool", workers, accounts)])
    many = Desk(manifests.many(scale))
    for desk in (one, many):
        desk.settle()
    big = one.clusters[0]
    return {
        "vms": scale,
        "accounts": ACCOUNTS,
        "oneFirstMs": _milliseconds(lambda: one.plan(big, Memory())),
        "oneNextMs": _milliseconds(lambda: one.plan(big, one.memories["pool"])),
        "clusters": len(many.clusters),
        "allManyMs": _milliseconds(lambda: [many.plan(each, many.memories[each.name]) for each in many.clusters], 5),
    }


def _milliseconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    took = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        took.append(1000 * (time.process_time() - begun))
    return median(took)


def _named(name: str) -> Object:
    return {"metadata": {"namespace": manifests.NAMESPACE, "name": name}}


def _account(name: str) -> Object:
    sizes = [{"name": "small", "id": "sim.small", "cpus": 1, "memory": "2Gi"}]
    spec = {"provider": "simulated", "flavors": {"small": "sim.small"}, "images": {"debian-12": "sim-debian-12"}}
    return {**_named(name), "spec": spec, "status": {"flavors": sizes, "conditions": [READY]}}


def _instance(cluster: VirtualCluster, action: CreateInstance) -> Object:
    return {
        **_named(action.name),
        "spec": {
            "id": "00000000-0000-4000-8000-000000000000",
            "clusterName": cluster.name,
            "serviceName": action.service,
            "accountRef": {"namespace": action.account.namespace, "name": action.account.name},
            "flavor": action.offer.flavor_id,
            "image": action.offer.image_id,
            "resources": action.offer.resources.wire(),
            "userDataRef": {"name": action.user_data.secret},
            "revision": action.user_data.revision,
        },
        "status": {
            "phase": "Ready",
            "providerID": f"simulated://{action.account.name}/{action.name}",
            "addresses": {"private": ["10.0.0.1"]},
            "conditions": [READY],
        },
    }
