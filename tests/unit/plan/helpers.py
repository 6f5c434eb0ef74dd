"""What tests of single parts of the planner share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cloudherd.api import CloudAccount, ClusterService, Condition, Instance, VirtualCluster
from cloudherd.api.cluster import ClusterStatus
from cloudherd.api.conditions import find
from cloudherd.plan.capacity import Ledger
from cloudherd.plan.cluster import FINALIZER, plan_cluster
from cloudherd.plan.model import ClusterView, Memory, Plan
from cloudherd.plan.vm import Vm, vm_of
from cloudherd.rendering.render import render
from tests.unit.plan.objects import CONTEXTS, EPOCH, NAMESPACE, context, instance, metadata


def vm(name: str, account: str = "home", **more: Any) -> Vm:
    return vm_of(instance(name, account, **more))


def service(name: str, replicas: int, *, type_: str = "Scalable", **more: Any) -> ClusterService:
    """A ClusterService `<cluster>-<service>`."""
    cluster, _, short = name.partition("-")
    spec = {"clusterName": cluster, "serviceName": short, "type": type_, "replicas": replicas, **more}
    return ClusterService.model_validate({"metadata": metadata(name), "spec": spec})


def view_of(
    cluster: VirtualCluster,
    *instances: Instance,
    accounts: tuple[CloudAccount, ...] = (),
    services: tuple[ClusterService, ...] = (),
    **more: Any,
) -> ClusterView:
    meta = cluster.metadata.model_copy(update={"finalizers": (FINALIZER,)})
    return ClusterView(
        cluster=cluster.model_copy(update={"metadata": meta}),
        services={one.spec.service_name: one for one in services},
        instances=instances,
        contexts={name: context(name, text) for name, text in CONTEXTS.items()},
        accounts={one.key: one for one in accounts},
        namespaces=more.pop("namespaces", {NAMESPACE: {}}),
        **more,
    )


def with_status(cluster: VirtualCluster, **status: Any) -> VirtualCluster:
    return cluster.model_copy(update={"status": ClusterStatus.model_validate(status)})


def ledger_of(view: ClusterView) -> Ledger:
    ledger = Ledger()
    for one in view.instances:
        ledger.changed(view.cluster.key, None, one)
    return ledger


def plan(view: ClusterView, memory: Memory | None = None, *, monotonic: float = 0.0) -> Plan:
    """The plan once all is rendered."""
    rendered = dict(view.rendered)
    while True:
        found = plan_cluster(
            replace(view, rendered=rendered), ledger_of(view), memory or Memory(), EPOCH + monotonic, monotonic
        )
        if not found.renders:
            return found
        rendered |= {request.key: render(request) for request in found.renders}


def condition(found: Plan, type_: str) -> Condition:
    assert found.status
    condition = find(found.status.conditions, type_)
    assert condition
    return condition
