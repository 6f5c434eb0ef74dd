"""The end of a virtual cluster: scalable VMs first, then the fixed ones, dependants before what they depend on; then
the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

from cloudherd.api import Instance
from cloudherd.plan.dependencies import closures, loop_in
from cloudherd.plan.model import ClusterView, DeleteInstance, Plan
from cloudherd.plan.status import deletion_status


def teardown(view: ClusterView, now: float) -> Plan:
    """Deletes one rank of services at a time; the finalizer goes with the last record."""
    left = sorted(view.instances, key=lambda one: one.name)
    if not left and not view.strangers:
        return Plan(
            drop_user_data=tuple(sorted(view.user_data)),
            drop_services=tuple(service for _, service in sorted(view.services.items())),
            remove_finalizer=True,
        )
    rank = _first_rank(view, left)
    return Plan(
        delete=tuple(
            DeleteInstance(one, "ClusterDeleted", f"VirtualCluster {view.cluster.name} is deleted")
            for one in rank
            if not one.deleting
        ),
        status=deletion_status(view, now),
    )


def _first_rank(view: ClusterView, left: Sequence[Instance]) -> list[Instance]:
    """Those that nothing that is left depends on; what is scalable, or not in the manifest, goes before all fixed
    ones.
    """
    fixed = {service.name for service in view.cluster.spec.services if service.fixed}
    if view.namespace_ends:
        return list(left)
    scalable = [one for one in left if one.spec.service_name not in fixed]
    if scalable or loop_in(view.cluster.spec):
        return scalable or list(left)
    needed = {
        dependency
        for name, all_of_it in closures(view.cluster.spec).items()
        if any(one.spec.service_name == name for one in left)
        for dependency in all_of_it
    }
    return [one for one in left if one.spec.service_name not in needed]
