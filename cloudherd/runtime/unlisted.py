"""Whether the API server's lists and watches left something out: asked by name, before anything new is made.

A list that was cut short, or a watch that stalls, looks like VMs that are missing. What a cluster's own last status
counted is looked for where no list has shown it; of one without a status, which is new or comes from a backup, the
lowest slot that seems free of each service. As long as something is there, nothing is planned: it never enters the
store this way, since its end could have been told before the answer came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from cloudherd.api import ObjectKey, VirtualCluster
from cloudherd.plan.slots import free_slots
from cloudherd.runtime.kinds import CLOUD_ACCOUNT, INSTANCE
from cloudherd.runtime.ports import Kind, KubeApi
from cloudherd.runtime.store import Store


class Unlisted:
    def __init__(self, api: KubeApi, store: Store) -> None:
        self._api, self._store = api, store

    async def of(self, cluster: VirtualCluster) -> list[str]:
        """What exists and stands in no list, as `kind namespace/name`. ApiError where it cannot be asked for."""
        missing = [*self._accounts(cluster), *self._instances(cluster)]
        found = await asyncio.gather(*(self._api.get(kind, *key) for kind, key in missing))
        there = [(kind, key) for (kind, key), obj in zip(missing, found, strict=True) if obj is not None]
        return [f"{kind.kind} {key}" for kind, key in there if self._store.entry(kind.plural, key) is None]

    def _accounts(self, cluster: VirtualCluster) -> Iterator[tuple[Kind, ObjectKey]]:
        """Where it had sites."""
        for site in cluster.status.sites:
            key = ObjectKey(site.account_ref.namespace, site.account_ref.name)
            if self._store.entry("cloudaccounts", key) is None:
                yield CLOUD_ACCOUNT, key

    def _instances(self, cluster: VirtualCluster) -> Iterator[tuple[Kind, ObjectKey]]:
        """The lowest slots, where fewer Instances are listed than were counted, or where nobody counted yet."""
        if not cluster.status.observed_generation:
            taken = {entry.key.name for entry in self._store.of_cluster(cluster.key)}
            for service in cluster.spec.services:
                yield INSTANCE, ObjectKey(cluster.namespace, next(free_slots(cluster.name, service.name, taken)))
            return
        counted = sum(service.current for service in cluster.status.services)
        if counted <= sum(1 for _ in self._store.of_cluster(cluster.key)):
            return
        for count in cluster.status.services:
            for slot in range(count.current):
                key = ObjectKey(cluster.namespace, f"{cluster.name}-{count.name}-{slot}")
                if self._store.entry("instances", key) is None:
                    yield INSTANCE, key
