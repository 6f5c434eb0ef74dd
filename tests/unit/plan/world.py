"""A small world for the planner: objects as the gateway's store has them, read-your-writes, and what happened to them.

It holds what users, gateway and agents write, wakes whom the gateway would wake, and carries out plans as the executor
does. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from typing import Any, TypeVar

from cloudherd.api import CloudAccount, ClusterService, Condition, Context, Instance, ObjectKey, VirtualCluster
from cloudherd.api.account import SecretRef
from cloudherd.api.cluster import AccountKeyRef
from cloudherd.api.conditions import merged
from cloudherd.api.instance import InstanceSpec
from cloudherd.api.meta import ObjectMeta
from cloudherd.plan.capacity import Ledger
from cloudherd.plan.cluster import FINALIZER
from cloudherd.plan.model import RECIPE, ClusterView, CreateInstance, DeleteInstance, Memory, Plan, Stranger
from cloudherd.rendering.model import RenderResult
from cloudherd.rendering.render import render
from tests.unit.plan.objects import CONTEXTS, EPOCH, NAMESPACE, at, context

T = TypeVar("T", Instance, VirtualCluster, ClusterService)


class World:
    """`fails` decides of each write whether the API server refuses it."""

    def __init__(self, *accounts: CloudAccount) -> None:
        self.monotonic = 0.0
        self.accounts: dict[ObjectKey, CloudAccount] = {one.key: one for one in accounts}
        self.clusters: dict[ObjectKey, VirtualCluster] = {}
        self.services: dict[ObjectKey, ClusterService] = {}
        self.instances: dict[str, Instance] = {}
        self.strangers: dict[ObjectKey, list[Stranger]] = {}
        self.contexts: dict[str, Context] = {name: context(name, text) for name, text in CONTEXTS.items()}
        self.secrets: dict[str, dict[str, str] | str] = {}
        self.user_data: dict[str, bytes] = {}
        self.user_data_of: dict[str, ObjectKey] = {}
        self.rendered: dict[str, RenderResult] = {}
        self.ledger, self.memories = Ledger(), dict[ObjectKey, Memory]()
        self.woken: set[ObjectKey] = set()
        self.changes = 0
        self.fails: Callable[[str], bool] = lambda _: False
        self._numbers = count(1)

    @property
    def now(self) -> float:
        return EPOCH + self.monotonic

    # -- what a plan reads

    def view(self, cluster: VirtualCluster) -> ClusterView:
        own = [one for one in self.instances.values() if one.spec.cluster_name == cluster.name]
        return ClusterView(
            cluster=cluster,
            services={
                one.spec.service_name: one for one in self.services.values() if one.spec.cluster_name == cluster.name
            },
            instances=tuple(own),
            contexts=self.contexts,
            accounts=self.accounts,
            namespaces={NAMESPACE: {}},
            secrets=self.secrets,
            strangers=tuple(self.strangers.get(cluster.key, ())),
            taken=self.instances.keys(),
            user_data=frozenset(name for name, owner in self.user_data_of.items() if owner == cluster.key),
            rendered=self.rendered,
        )

    def of(self, cluster: str, service: str = "", account: str = "") -> list[Instance]:
        return [
            one
            for one in self.instances.values()
            if one.spec.cluster_name == cluster
            and service in ("", one.spec.service_name)
            and account in ("", one.spec.account_ref.name)
        ]

    # -- carrying out a plan; every refused write wakes the cluster again

    def carry_out(self, key: ObjectKey, plan: Plan) -> None:
        if plan.add_finalizer:
            self._try(key, "finalizer", partial(self._finalizers, key, (FINALIZER,)))
            return
        for request in plan.renders:
            self.rendered[request.key] = render(request)
            self.woken.add(key)
        self._carry_out_services(key, plan)
        for data in plan.user_data:
            self._write_user_data(key, data.secret, data.content)
        for deletion in plan.delete:
            self._try(key, deletion.instance.name, partial(self._delete, deletion))
        for creation in plan.create:
            self._try(key, creation.name, partial(self._create, key, creation))
        for name in plan.drop_user_data:
            del self.user_data[name], self.user_data_of[name]
            self.changes += 1
        if plan.remove_finalizer:
            self._try(key, "finalizer", partial(self._finalizers, key, ()))

    def _carry_out_services(self, key: ObjectKey, plan: Plan) -> None:
        for action in plan.create_services:
            service = ClusterService(metadata=self._metadata(action.name), spec=action.spec)
            self._try(key, action.name, partial(self.put_service, service))
        for update in plan.update_services:
            self._try(key, update.service.name, partial(self._update, update.service, update.changes))
        for service in plan.drop_services:
            self._remove_service(service)

    def write_status(self, key: ObjectKey, plan: Plan) -> None:
        cluster = self.clusters.get(key)
        if cluster and plan.status and plan.status != cluster.status:
            self.put_cluster(cluster.model_copy(update={"status": plan.status}))
        for name, status in plan.service_status.items():
            service = self.services.get(ObjectKey(key.namespace, f"{key.name}-{name}"))
            if service and service.status != status:
                self.put_service(service.model_copy(update={"status": status}))

    def _try(self, key: ObjectKey, what: str, write: Callable[[], None]) -> None:
        if self.fails(what):
            self.woken.add(key)
        else:
            write()

    def _finalizers(self, key: ObjectKey, finalizers: tuple[str, ...]) -> None:
        cluster = self.clusters[key]
        if cluster.deleting and not finalizers:
            del self.clusters[key]
            self.woken |= set(self.ledger.forget(key))
            self.memories.pop(key, None)
            self.changes += 1
        else:
            self.put_cluster(_with_metadata(cluster, finalizers=finalizers))

    def _update(self, service: ClusterService, changes: Any) -> None:
        current = self.services[service.key]
        spec = {name: value for name, value in {**current.spec.wire(), **changes}.items() if value is not None}
        self.put_service(
            ClusterService.model_validate({"metadata": current.metadata, "spec": spec, "status": current.status})
        )

    def _write_user_data(self, key: ObjectKey, name: str, content: bytes) -> None:
        if name not in self.user_data:
            self.user_data[name], self.user_data_of[name] = content, key
            self.changes += 1

    def _create(self, key: ObjectKey, action: CreateInstance) -> None:
        assert action.name not in self.instances, f"{action.name} exists already"
        number = next(self._numbers)
        spec = InstanceSpec(
            id=f"00000000-0000-0000-0000-{number:012d}",
            cluster_name=key.name,
            service_name=action.service,
            account_ref=AccountKeyRef(namespace=action.account.namespace, name=action.account.name),
            flavor=action.offer.flavor_id,
            image=action.offer.image_id,
            resources=action.offer.resources,
            options=dict(action.offer.options),
            user_data_ref=SecretRef(name=action.user_data.secret),
            revision=action.user_data.revision,
            recipe=RECIPE,
        )
        self.put_instance(Instance(metadata=self._metadata(action.name), spec=spec))

    def _delete(self, action: DeleteInstance) -> None:
        current = self.instances.get(action.instance.name)
        if current and current.uid == action.instance.uid:
            self.delete_instance(current)

    # -- writes, and whom they wake

    def put_instance(self, one: Instance) -> None:
        cluster, before = ObjectKey(one.namespace, one.spec.cluster_name), self.instances.get(one.name)
        self.instances[one.name] = one
        self.ledger.changed(cluster, before, one)
        self.woken.add(cluster)
        self.changes += 1

    def delete_instance(self, one: Instance) -> None:
        if not one.deleting:
            self.put_instance(_with_metadata(one, deletion_timestamp=at(self.monotonic)))

    def remove_instance(self, one: Instance) -> None:
        """Its finalizer goes, and it with it."""
        cluster = ObjectKey(one.namespace, one.spec.cluster_name)
        del self.instances[one.name]
        self.ledger.changed(cluster, one, None)
        self.woken.add(cluster)
        self.changes += 1

    def set_status(self, one: Instance, *conditions: Condition, **fields: Any) -> None:
        status = one.status.model_copy(update={**fields, "conditions": merged(one.status.conditions, *conditions)})
        if status != one.status:
            self.put_instance(one.model_copy(update={"status": status}))

    def add_stranger(self, cluster: ObjectKey, stranger: Stranger) -> None:
        self.strangers.setdefault(cluster, []).append(stranger)
        self.ledger.changed(cluster, None, stranger)
        self.woken.add(cluster)

    def put_account(self, one: CloudAccount) -> None:
        self.accounts[one.key] = one
        self.woken |= self.clusters.keys()
        self.changes += 1

    def remove_account(self, key: ObjectKey) -> None:
        del self.accounts[key]
        self.woken |= self.clusters.keys()

    def put_cluster(self, one: VirtualCluster) -> None:
        before = self.clusters.get(one.key)
        self.clusters[one.key] = one
        if before is None or before.model_copy(update={"status": one.status}) != one:
            self.woken.add(one.key)
        self.changes += 1

    def put_service(self, one: ClusterService) -> None:
        before = self.services.get(one.key)
        generation = 1 if before is None else before.metadata.generation + (before.spec != one.spec)
        self.services[one.key] = _with_metadata(one, generation=generation)
        self.woken.add(ObjectKey(one.namespace, one.spec.cluster_name))
        self.changes += 1

    def put_context(self, one: Context) -> None:
        self.contexts[one.name] = one
        self.woken |= self.clusters.keys()

    def _remove_service(self, service: ClusterService) -> None:
        if self.services.pop(service.key, None):
            self.changes += 1

    def restart_gateway(self) -> None:
        """A new process: all that was only remembered is gone."""
        self.ledger, self.memories, self.rendered = Ledger(), {}, {}
        for one in self.instances.values():
            self.ledger.changed(ObjectKey(one.namespace, one.spec.cluster_name), None, one)
        for cluster, strangers in self.strangers.items():
            for stranger in strangers:
                self.ledger.changed(cluster, None, stranger)
        self.woken |= self.clusters.keys()

    def _metadata(self, name: str) -> ObjectMeta:
        return ObjectMeta(
            name=name,
            namespace=NAMESPACE,
            uid=f"uid-{next(self._numbers)}",
            generation=1,
            creation_timestamp=at(self.monotonic),
        )


def _with_metadata(one: T, **changes: Any) -> T:
    return one.model_copy(update={"metadata": one.metadata.model_copy(update=changes)})


def names(instances: Iterable[Instance]) -> list[str]:
    return sorted(one.name for one in instances)


def is_quiet(plan: Plan) -> bool:
    """Whether a plan does nothing but keep the status."""
    return not any(
        (
            plan.add_finalizer,
            plan.create_services,
            plan.update_services,
            plan.renders,
            plan.user_data,
            plan.create,
            plan.delete,
            plan.drop_user_data,
            plan.drop_services,
            plan.remove_finalizer,
            plan.notes,
        )
    )
