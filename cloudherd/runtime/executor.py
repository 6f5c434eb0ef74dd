"""Carries out plans of the gateway, step by step in the order of `Plan`'s fields. Decides nothing.

Every answer enters the store at once. What fails is left to the next plan: nothing here is tried twice. A step that a
later one relies on ends the plan when it fails.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Iterable
from contextlib import suppress

from cloudherd.api import ClusterService, ObjectKey, Resource, VirtualCluster
from cloudherd.api.account import SecretRef
from cloudherd.api.cluster import AccountKeyRef, ClusterStatus
from cloudherd.api.instance import InstanceSpec
from cloudherd.api.labels import label_value
from cloudherd.api.meta import GROUP, VERSION
from cloudherd.api.service import ServiceStatus
from cloudherd.plan.cluster import FINALIZER
from cloudherd.plan.model import RECIPE, CreateInstance, CreateService, DeleteInstance, Plan, UpdateService, UserData
from cloudherd.runtime.kinds import CLUSTER_SERVICE, INSTANCE, SECRET, SECRET_METADATA, VIRTUAL_CLUSTER
from cloudherd.runtime.ports import ApiError, Kind, KubeApi, Object, Random
from cloudherd.runtime.records import Gone, let_go
from cloudherd.runtime.store import Store

INSTANCE_FINALIZER = f"{GROUP}/instance"
USER_DATA_TYPE = f"{GROUP}/user-data"


class Executor:
    """Writes for the gateway, through one API port (field manager cloudherd-gateway)."""

    def __init__(self, api: KubeApi, store: Store, random: Random) -> None:
        self._api, self._store, self._random = api, store, random

    async def carry_out(self, cluster: VirtualCluster, plan: Plan) -> None:
        """All of the plan but its renders, notes and throttled status. ApiError: the first failure, after all was tried
        that does not rely on it.
        """
        if plan.add_finalizer:
            await self._finalizers(cluster, (*cluster.metadata.finalizers, FINALIZER))
            return
        await _all(self._create_service(cluster, one) for one in plan.create_services)
        await _all(self._update_service(one) for one in plan.update_services)
        await _all(self._write_user_data(cluster, one) for one in plan.user_data)
        await _all(
            (
                *(self._delete_instance(one) for one in plan.delete),
                *(self._create_instance(cluster, one) for one in plan.create),
            )
        )
        await _all(self._drop(SECRET, ObjectKey(cluster.namespace, name)) for name in plan.drop_user_data)
        await _all(self._drop(CLUSTER_SERVICE, one.key) for one in plan.drop_services)
        if plan.remove_finalizer:
            await self._finalizers(cluster, tuple(one for one in cluster.metadata.finalizers if one != FINALIZER))

    async def write_status(self, cluster: VirtualCluster, status: ClusterStatus) -> None:
        body = {"metadata": _as_seen(cluster), "status": status.wire()}
        await self._patch(VIRTUAL_CLUSTER, cluster.key, body, subresource="status")

    async def write_service_status(self, service: ClusterService, status: ServiceStatus) -> None:
        body = {"metadata": _as_seen(service), "status": status.wire()}
        await self._patch(CLUSTER_SERVICE, service.key, body, subresource="status")

    # -- the steps

    async def _finalizers(self, cluster: VirtualCluster, finalizers: tuple[str, ...]) -> None:
        if cluster.deleting and not finalizers:
            with suppress(Gone):
                await let_go(self._api, self._store, VIRTUAL_CLUSTER, cluster)
            return
        # A merge patch replaces the whole list, so somebody else's finalizer must not have come meanwhile.
        meta = cluster.metadata
        body = {"metadata": {"uid": meta.uid, "resourceVersion": meta.resource_version, "finalizers": list(finalizers)}}
        await self._patch(VIRTUAL_CLUSTER, cluster.key, body)

    async def _create_service(self, cluster: VirtualCluster, action: CreateService) -> None:
        body = _object(CLUSTER_SERVICE, cluster.namespace, action.name, spec=action.spec.wire())
        body["metadata"]["labels"] = _labels(cluster.name, action.spec.service_name)
        await self._create(CLUSTER_SERVICE, body)

    async def _update_service(self, action: UpdateService) -> None:
        service = action.service
        await self._patch(CLUSTER_SERVICE, service.key, {"metadata": _as_seen(service), "spec": dict(action.changes)})

    async def _write_user_data(self, cluster: VirtualCluster, data: UserData) -> None:
        key = ObjectKey(cluster.namespace, data.secret)
        if self._store.entry(SECRET_METADATA.plural, key):
            return
        body = _object(SECRET, *key)
        body["metadata"]["labels"] = {f"{GROUP}/cluster": label_value(cluster.name)}
        content = base64.b64encode(data.content).decode()
        body |= {"type": USER_DATA_TYPE, "immutable": True, "data": {"userData": content}}
        try:
            await self._create(SECRET, body)
        except ApiError as error:
            found = await self._api.get(SECRET, *key) if error.reason == "AlreadyExists" else None
            if not found or found.get("type") != USER_DATA_TYPE or found.get("data") != body["data"]:
                raise

    async def _create_instance(self, cluster: VirtualCluster, action: CreateInstance) -> None:
        account = self._store.account(action.account)
        service = cluster.spec.service(action.service)
        assert account
        assert service
        spec = InstanceSpec(
            id=self._random.uuid(),
            cluster_name=cluster.name,
            service_name=action.service,
            account_ref=AccountKeyRef(namespace=action.account.namespace, name=action.account.name),
            flavor=action.offer.flavor_id,
            image=action.offer.image_id,
            resources=action.offer.resources,
            network=account.spec.network,
            options=dict(action.offer.options),
            tags=service.machine.tags,
            deletion_grace=service.machine.deletion_grace,
            user_data_ref=SecretRef(name=action.user_data.secret),
            agent=account.status.agent,
            revision=action.user_data.revision,
            recipe=RECIPE,
        )
        body = _object(INSTANCE, cluster.namespace, action.name, spec=spec.wire())
        body["metadata"]["finalizers"] = [INSTANCE_FINALIZER]
        account_label = label_value(f"{action.account.namespace}.{action.account.name}")
        body["metadata"]["labels"] = {**_labels(cluster.name, action.service), f"{GROUP}/account": account_label}
        try:
            await self._create(INSTANCE, body)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            # Our view was stale: the slot is taken. The next plan reads what is there.
            found = await self._api.get(INSTANCE, cluster.namespace, action.name)
            if found:
                self._store.wrote(INSTANCE, found)

    async def _delete_instance(self, action: DeleteInstance) -> None:
        one = action.instance
        version = one.metadata.resource_version if action.guarded else ""
        await self._delete(INSTANCE, one.key, one.uid, version)

    async def _drop(self, kind: Kind, key: ObjectKey) -> None:
        entry = self._store.entry(kind.plural, key)
        if entry:
            await self._delete(kind, key, entry.uid)

    # -- writes that enter the store

    async def _create(self, kind: Kind, body: Object) -> None:
        self._store.wrote(kind, await self._api.create(kind, body))

    async def _patch(self, kind: Kind, key: ObjectKey, body: Object, *, subresource: str = "") -> None:
        self._store.wrote(kind, await self._api.patch(kind, *key, body, subresource=subresource))

    async def _delete(self, kind: Kind, key: ObjectKey, uid: str, version: str = "") -> None:
        left = await self._api.delete(kind, *key, uid=uid, resource_version=version)
        if left:
            self._store.wrote(kind, left)
        else:
            self._store.removed(kind, key, uid)


async def _all(steps: Iterable[Awaitable[None]]) -> None:
    """Everything at once; the first ApiError is raised when all have ended, so that one failure stops none of the
    others.
    """
    failed: ApiError | None = None
    for result in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(result, ApiError):
            failed = failed or result
        elif isinstance(result, BaseException):
            raise result
    if failed:
        raise failed


def _as_seen(resource: Resource) -> Object:
    """Preconditions: this very object (which a status patch does not ask for by its uid), as the plan read it."""
    return {"uid": resource.uid, "resourceVersion": resource.metadata.resource_version}


def _object(kind: Kind, namespace: str, name: str, **fields: Object) -> Object:
    version = f"{kind.group}/{VERSION}" if kind.group == GROUP else kind.version
    metadata: Object = {"namespace": namespace, "name": name}
    return {"apiVersion": version, "kind": kind.kind, "metadata": metadata, **fields}


def _labels(cluster: str, service: str) -> dict[str, str]:
    return {f"{GROUP}/cluster": label_value(cluster), f"{GROUP}/service": label_value(service)}
