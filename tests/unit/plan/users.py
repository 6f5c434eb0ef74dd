"""What people do in the simulation: manifests, kubectl scale, edit and delete."""

from __future__ import annotations

from typing import Any

from cloudherd.api import CloudAccount, Instance, VirtualCluster
from cloudherd.api.cluster import ClusterStatus
from cloudherd.api.instance import InstanceStatus
from cloudherd.api.meta import GROUP
from cloudherd.api.service import ServiceStatus
from tests.unit.plan.objects import at, context, key
from tests.unit.plan.simulation import Simulation


class User:
    def __init__(self, simulation: Simulation) -> None:
        self.simulation, self.world = simulation, simulation.world

    def say(self, text: str) -> None:
        self.simulation.story.append(f"[user]    {text}")

    def apply(self, *clusters: VirtualCluster) -> None:
        for one in clusters:
            self.say(f"applies {one.name}")
            self.world.put_cluster(one)

    def edit(self, name: str, **changes: Any) -> None:
        """Changes of the spec by path: `paused=True`, `worker__replicas=3`, `placement__accounts=[...]`."""
        before = self.world.clusters[key(name)]
        spec = before.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
        for path, value in changes.items():
            at_, steps = spec, path.split("__")
            for step in steps[:-1]:
                at_ = next(one for one in spec["services"] if one["name"] == step) if step not in at_ else at_[step]
            if value is None:
                at_.pop(steps[-1], None)
            else:
                at_[steps[-1]] = value
            self.say(f"edits {name}: {'.'.join(steps)} is {'left out' if value is None else value}")
        self._change_cluster(before, spec=spec)

    def _change_cluster(self, before: VirtualCluster, *, spec: Any = None, **metadata: Any) -> None:
        meta = before.metadata.model_copy(update={"generation": before.metadata.generation + 1, **metadata})
        self.world.put_cluster(
            VirtualCluster(
                metadata=meta,
                spec=before.spec
                if spec is None
                else VirtualCluster.model_validate({"metadata": meta, "spec": spec}).spec,
                status=before.status,
            )
        )

    def delete(self, name: str) -> None:
        self.say(f"deletes {name}")
        before = self.world.clusters[key(name)]
        if before.metadata.finalizers:
            self._change_cluster(before, deletion_timestamp=at(self.world.monotonic))
        else:
            del self.world.clusters[key(name)]
            self.world.woken.discard(key(name))

    def scale(self, name: str, replicas: int) -> None:
        """Of a ClusterService."""
        self.say(f"kubectl scale clusterservice/{name} --replicas={replicas}")
        before = self.world.services.get(key(name))
        if before is None:
            self.say("and is told that there is none yet")
            return
        self.world.put_service(
            before.model_copy(update={"spec": before.spec.model_copy(update={"replicas": replicas})})
        )

    def delete_instance(self, cluster: str, service: str) -> None:
        for one in self.world.of(cluster, service)[-1:]:
            self.say(f"deletes {one.name}")
            self.world.delete_instance(one)

    def mark(self, cluster: str, service: str, account: str, cost: int) -> None:
        """With a deletion cost, the first of a service at a site."""
        found = sorted(self.world.of(cluster, service, account), key=lambda one: one.name)
        for one in found[:1]:
            self.say(f"annotates {one.name} with deletion-cost {cost}")
            self._mark(one, cost)

    def _mark(self, one: Instance, cost: int) -> None:
        meta = one.metadata.model_copy(update={"annotations": {f"{GROUP}/deletion-cost": str(cost)}})
        self.world.put_instance(one.model_copy(update={"metadata": meta}))

    def account(self, name: str, text: str, **spec: Any) -> None:
        """Changes the spec of a CloudAccount."""
        self.say(f"{text}")
        before = self.world.accounts[key(name)]
        wire = before.spec.model_dump(mode="json", by_alias=True, exclude_none=True) | spec
        after = CloudAccount.model_validate({"metadata": before.metadata, "spec": wire})
        self.world.put_account(after.model_copy(update={"status": before.status}))

    def quota(self, name: str, instances: int) -> None:
        self.account(name, f"sets the quota of {name} to {instances}", quota={"instances": instances})

    def cordon(self, name: str) -> None:
        self.account(name, f"cordons {name}", unschedulable=True)

    def uncordon(self, name: str) -> None:
        self.account(name, f"uncordons {name}", unschedulable=False)

    def context(self, name: str, template: str) -> None:
        self.say(f"edits Context {name}: {template}")
        self.world.put_context(context(name, template))

    def remove_service(self, cluster: str, name: str) -> None:
        self.say(f"takes {name} out of {cluster}")
        before = self.world.clusters[key(cluster)]
        spec = before.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
        spec["services"] = [one for one in spec["services"] if one["name"] != name]
        self._change_cluster(before, spec=spec)

    def restore(self) -> None:
        """All objects again as they were written, with new uids and without any status; the VMs are still there."""
        self.say("restores all objects from a backup")
        for cluster in list(self.world.clusters.values()):
            self.world.clusters[cluster.key] = cluster.model_copy(update={"status": ClusterStatus()})
        for service in list(self.world.services.values()):
            self.world.services[service.key] = service.model_copy(update={"status": ServiceStatus()})
        for one in list(self.world.instances.values()):
            meta = one.metadata.model_copy(update={"uid": f"{one.uid}-again"})
            self.world.instances[one.name] = one.model_copy(update={"metadata": meta, "status": InstanceStatus()})
        self.world.restart_gateway()
