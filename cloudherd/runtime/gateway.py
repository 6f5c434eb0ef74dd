"""The gateway's loop: wakes, plans one cluster at a time, carries the plan out. It never calls a cloud.

Wakes are merged: a cluster has one plan under way, and the next one when that one's writes are seen. Between planning
and the ledger's note of it nothing is awaited, so that no two clusters are given the same place.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping

from cloudherd.api import CloudAccount, Instance, ObjectKey, VirtualCluster
from cloudherd.plan.capacity import Ledger
from cloudherd.plan.cluster import plan_cluster
from cloudherd.plan.model import Memory, Plan, Stranger
from cloudherd.rendering.model import RenderRequest, RenderResult
from cloudherd.runtime.events import EventRecorder
from cloudherd.runtime.executor import Executor
from cloudherd.runtime.index import Index, stranger
from cloudherd.runtime.metrics import UNMEASURED, Metrics
from cloudherd.runtime.ports import ApiError, Clock, KubeApi, Random, Renderer
from cloudherd.runtime.secrets import Parameters, Values
from cloudherd.runtime.statuses import StatusWriter
from cloudherd.runtime.store import Entry, Store, Unreadable, cluster_of
from cloudherd.runtime.unlisted import Unlisted
from cloudherd.runtime.wakes import TryAgainError, Wakes

log = logging.getLogger(__name__)

MOST_RENDERED = 20_000
LAUNCHED_WAITS = 1.0  # seconds
MOST_BEREFT = 5  # of a cluster's Instances, that are told of
RESTS = 4
"""How many times as long as its plan took a cluster rests before the next one: what comes meanwhile is merged."""


class Gateway:
    """Plans every VirtualCluster of a store whenever something that concerns it changes."""

    def __init__(
        self,
        api: KubeApi,
        store: Store,
        renderer: Renderer,
        events: EventRecorder,
        clock: Clock,
        random: Random,
        metrics: Metrics = UNMEASURED,
    ) -> None:
        self._store, self._renderer, self._clock = store, renderer, clock
        self._ledger = Ledger()
        self._index = Index(store)
        self._parameters = Parameters(api, store)
        self._executor = Executor(api, store, random)
        self._unlisted = Unlisted(api, store)
        self._events = events
        self._statuses = StatusWriter(self._executor, store, clock)
        self._rendered: OrderedDict[str, RenderResult] = OrderedDict()
        self._memories: dict[ObjectKey, Memory] = {}
        self._candidates: dict[ObjectKey, frozenset[ObjectKey]] = {}
        self._rests_until: dict[ObjectKey, float] = {}
        self._wakes = Wakes("cluster", self._reconcile, clock, random, metrics)
        store.subscribe(self._changed)

    async def run(self) -> None:
        """Until cancelled. Nothing is planned before every kind was listed."""
        await self._wakes.run()

    def wake(self, key: ObjectKey) -> None:
        self._wakes.wake(key)

    # -- who is woken

    def _changed(self, plural: str, before: Entry | None, after: Entry | None) -> None:
        entry = after or before
        assert entry
        match plural:
            case "virtualclusters":
                self._wakes.wake(entry.key)
                for derived_from in self._index.rivals(entry):
                    self._wakes.wake(derived_from)
            case "instances":
                self._instance_changed(before, after)
            case "clusterservices":
                for owner in self._index.owners(before, after):
                    self._wakes.wake(owner)
            case "contexts" | "secrets":
                for user in self._index.users(plural, entry.key):
                    self._wakes.wake(user)
            case "cloudaccounts":
                self._account_changed(before, after)
            case "namespaces":
                self._namespace_changed(before, after)

    def _instance_changed(self, before: Entry | None, after: Entry | None) -> None:
        entry = after or before
        assert entry
        cluster = cluster_of(entry)
        if cluster is None:
            return
        self._ledger.changed(cluster, _counted(before), _counted(after))
        if _only_launched(before, after):
            self._wakes.soon(cluster, LAUNCHED_WAITS)
        else:
            self._wakes.wake(cluster)

    def _account_changed(self, before: Entry | None, after: Entry | None) -> None:
        if isinstance(before, CloudAccount) and isinstance(after, CloudAccount) and _same_offer(before, after):
            return
        entry = after or before
        assert entry
        for cluster in self._store.entries("virtualclusters"):
            if isinstance(cluster, VirtualCluster):
                known = entry.key in self._candidates.get(cluster.key, frozenset())
                if known or (isinstance(entry, CloudAccount) and self._index.names_account(cluster, entry)):
                    self._wakes.wake(cluster.key)

    def _namespace_changed(self, before: Entry | None, after: Entry | None) -> None:
        entry = after or before
        assert entry
        for cluster in self._store.entries("virtualclusters"):
            if cluster.key.namespace == entry.key.name:
                self._wakes.wake(cluster.key)

    # -- one cluster

    async def _reconcile(self, key: ObjectKey) -> float | None:
        """One plan and what follows from it. Seconds until time alone would change it, None for never."""
        if (rest := self._rests_until.get(key, 0.0) - self._clock.monotonic()) > 0:
            await self._clock.sleep(rest)
        cluster = self._store.cluster(key)
        if cluster is None:
            self._forget(key)
            await self._tell_the_bereft(key)
            return None
        secrets = await self._parameters.read(key.namespace, self._index.secrets_of(cluster))
        cluster = self._store.cluster(key) or cluster
        first = key not in self._memories
        if first:
            await self._believe_lists(cluster)
        plan = self._plan(cluster, secrets)
        if plan.renders:
            await asyncio.gather(*(self._render(request) for request in plan.renders))
            cluster = self._store.cluster(key) or cluster
            plan = self._plan(cluster, secrets)  # at once: behind all others it would wait for a thousand at a start
        if plan.renders:
            self._wakes.wake(key)
        if plan.create and not first:
            await self._believe_lists(cluster)
        try:
            await self._executor.carry_out(cluster, plan)
        finally:
            soon = await self._report(cluster, plan)
        return min((seconds for seconds in (plan.again_in, soon) if seconds is not None), default=None)

    async def _believe_lists(self, cluster: VirtualCluster) -> None:
        if left_out := await self._unlisted.of(cluster):
            more = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
            text = (
                f"the API server's lists lack {left_out[0]}{more}, which exist: nothing is planned until they show it"
            )
            await self._events.emit(cluster, "Warning", "ListsIncomplete", text)
            raise TryAgainError(text)

    def _plan(self, cluster: VirtualCluster, secrets: Mapping[str, Values]) -> Plan:
        begun = self._clock.monotonic()
        view = self._index.view(cluster, secrets, self._rendered)
        memory = self._memories.get(cluster.key, Memory())
        plan = plan_cluster(view, self._ledger, memory, self._clock.now(), self._clock.monotonic())
        for waiting in self._ledger.planned(cluster.key, plan.holds, plan.waits_for):
            self._wakes.wake(waiting)
        self._memories[cluster.key] = plan.memory
        self._candidates[cluster.key] = plan.candidates
        ended = self._clock.monotonic()
        self._rests_until[cluster.key] = ended + RESTS * (ended - begun)
        return plan

    async def _render(self, request: RenderRequest) -> None:
        result = await self._renderer.render(request)
        if result.transient:
            raise TryAgainError(result.error)
        self._rendered[request.key] = result
        while len(self._rendered) > MOST_RENDERED:
            self._rendered.popitem(last=False)

    async def _report(self, cluster: VirtualCluster, plan: Plan) -> float | None:
        """Statuses and Events. Seconds until a count that was held back may be written."""
        for note in plan.notes:
            await self._events.emit(cluster, note.type, note.reason, note.message)
        if plan.remove_finalizer:
            return None
        try:
            return await self._statuses.write(cluster.key, plan)
        except ApiError as error:
            if error.reason == "NotFound":
                return None
            raise

    async def _tell_the_bereft(self, key: ObjectKey) -> None:
        """Instances whose cluster does not exist are never deleted by us: they may have been restored before it."""
        if self._store.entry(VirtualCluster.plural, key) is not None:
            return
        message = (
            f"VirtualCluster {key} does not exist, and its VM is kept all the same: make the cluster again, or delete "
            "this Instance"
        )
        left = [one for one in self._store.of_cluster(key) if isinstance(one, Instance) and not one.deleting]
        for one in left[:MOST_BEREFT]:
            await self._events.emit(one, "Warning", "ClusterMissing", message)

    def _forget(self, key: ObjectKey) -> None:
        for waiting in self._ledger.forget(key):
            self._wakes.wake(waiting)
        self._memories.pop(key, None)
        self._candidates.pop(key, None)
        self._rests_until.pop(key, None)
        self._statuses.forget(key)


def _only_launched(before: Entry | None, after: Entry | None) -> bool:
    """Whether this changes what people read, but nothing that is decided."""
    return (
        isinstance(before, Instance)
        and isinstance(after, Instance)
        and (before.status.phase, after.status.phase) == ("Pending", "Launching")
        and before.deleting == after.deleting
        and before.metadata.annotations == after.metadata.annotations
    )


def _counted(entry: Entry | None) -> Instance | Stranger | None:
    """An Instance as the ledger counts it, readable or not."""
    return stranger(entry) if isinstance(entry, Unreadable) else entry if isinstance(entry, Instance) else None


def _same_offer(before: CloudAccount, after: CloudAccount) -> bool:
    """Whether nothing changed that a plan reads: what is used of it is counted from Instances."""
    return all(
        (
            before.spec == after.spec,
            before.deleting == after.deleting,
            before.metadata.labels == after.metadata.labels,
            before.status.limit == after.status.limit,
            before.status.foreign == after.status.foreign,
            before.status.full == after.status.full,
            before.status.flavors == after.status.flavors,
            before.status.lacking == after.status.lacking,
            [(one.type, one.status) for one in before.status.conditions]
            == [(one.type, one.status) for one in after.status.conditions],
        )
    )
