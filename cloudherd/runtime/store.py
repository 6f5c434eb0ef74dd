"""What is known of the cluster's objects: fed by the reflectors and by our own writes, read by every plan.

A write's answer enters at once, so that the next plan reads what the last one wrote; a late watch event never puts an
older state, or an object that we saw off, back. An object that cannot be read is kept as `Unreadable`: present, never
absent.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ValidationError

from cloudherd.api import CloudAccount, ClusterService, Context, Instance, ObjectKey, Resource, VirtualCluster
from cloudherd.runtime.ports import Kind, Object, WatchEvent


class Plain(Resource):
    """An object of which only the metadata matters here: Secrets, Namespaces."""

    kind: ClassVar[str] = ""
    plural: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An object that our models do not understand (a newer version's): its place is taken all the same."""

    key: ObjectKey
    uid: str
    resource_version: str
    raw: Object

    def spec_text(self, field: str) -> str:
        """A text of its spec where that much can be read, else empty."""
        spec = self.raw.get("spec")
        value = spec.get(field) if isinstance(spec, dict) else None
        return value if isinstance(value, str) else ""

    @property
    def account(self) -> ObjectKey | None:
        spec = self.raw.get("spec")
        ref = spec.get("accountRef") if isinstance(spec, dict) else None
        match ref:
            case {"namespace": str(namespace), "name": str(name)}:
                return ObjectKey(namespace, name)
        return None


T = TypeVar("T")
Entry = Resource | Unreadable
Listener = Callable[[str, Entry | None, Entry | None], None]
"""Told of every change as (plural, before, after)."""

_NONE: set[str] = set()
MODELS: dict[str, type[Resource]] = {
    model.plural: model for model in (CloudAccount, ClusterService, Context, Instance, VirtualCluster)
}


def parse(plural: str, obj: Object) -> Entry:
    """An object as its model, or as Unreadable."""
    try:
        entry = MODELS.get(plural, Plain).model_validate(obj)
    except ValidationError:
        meta: dict[str, Any] = obj.get("metadata") or {}
        key = ObjectKey(str(meta.get("namespace", "")), str(meta.get("name", "")))
        return Unreadable(key, str(meta.get("uid", "")), str(meta.get("resourceVersion", "")), obj)
    _make_lean(entry)
    return entry


def _make_lean(model: BaseModel) -> None:
    """Forgets which fields were set, which nobody asks: pydantic's notes of that are half of what an object takes."""
    object.__setattr__(model, "__pydantic_fields_set__", _NONE)
    for value in model.__dict__.values():
        for part in value if isinstance(value, list) else (value,):
            if isinstance(part, BaseModel):
                _make_lean(part)


def version_of(entry: Entry) -> int:
    """Resource versions are compared as numbers, which Kubernetes allows within one resource since 1.35."""
    text = entry.resource_version if isinstance(entry, Unreadable) else entry.metadata.resource_version
    return _number(text)


def _number(resource_version: str) -> int:
    return int(resource_version) if resource_version.isdigit() else 0


class Store:
    """All objects by kind (its plural) and key, with the indexes that plans need. Not for use by several threads."""

    def __init__(self, plurals: Iterable[str]) -> None:
        self._objects: dict[str, dict[ObjectKey, Entry]] = {plural: {} for plural in plurals}
        self._synced: set[str] = set()
        self._heard: dict[str, float] = {}
        self._watched: dict[str, int] = dict.fromkeys(self._objects, 0)  # the highest version that the server told of
        self._gone: dict[str, set[str]] = {plural: set() for plural in self._objects}
        self._listeners: list[Listener] = []
        self._complete = asyncio.Event()
        self._by_cluster: dict[ObjectKey, dict[ObjectKey, Entry]] = defaultdict(dict)
        self._by_account: dict[ObjectKey, dict[ObjectKey, Entry]] = defaultdict(dict)

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    # -- reading

    @property
    def synced(self) -> bool:
        """True once every kind was listed completely: nothing may be planned, launched or swept before."""
        return len(self._synced) == len(self._objects)

    async def wait_synced(self) -> None:
        await self._complete.wait()

    def heard_at(self, plural: str) -> float | None:
        """When (monotonic) the server last said anything of this kind."""
        return self._heard.get(plural)

    def entry(self, plural: str, key: ObjectKey) -> Entry | None:
        return self._objects[plural].get(key)

    def entries(self, plural: str) -> Iterable[Entry]:
        return self._objects[plural].values()

    def of_cluster(self, key: ObjectKey) -> Iterable[Entry]:
        """The Instances, readable or not, that name this VirtualCluster."""
        return self._by_cluster.get(key, {}).values()

    def of_account(self, key: ObjectKey) -> Iterable[Entry]:
        """The Instances, readable or not, that are bound to this account."""
        return self._by_account.get(key, {}).values()

    def cluster(self, key: ObjectKey) -> VirtualCluster | None:
        return _as(VirtualCluster, self._objects["virtualclusters"].get(key))

    def account(self, key: ObjectKey) -> CloudAccount | None:
        return _as(CloudAccount, self._objects["cloudaccounts"].get(key))

    def instance(self, key: ObjectKey) -> Instance | None:
        return _as(Instance, self._objects["instances"].get(key))

    # -- what the reflectors say

    def replace(self, kind: Kind, objects: list[Object], resource_version: str) -> None:
        """A complete list: what it lacks is gone, unless we wrote it after the list was taken."""
        plural = kind.plural
        at = _number(resource_version)
        self._watched[plural] = max(self._watched[plural], at)
        listed = {entry.key: entry for entry in (parse(plural, obj) for obj in objects)}
        uids = {entry.uid for entry in listed.values()}
        self._gone[plural] &= uids
        for key, before in list(self._objects[plural].items()):
            if key not in listed and version_of(before) <= at:
                self._put(plural, key, None)
        for entry in listed.values():
            self._offer(plural, entry)
        self._synced.add(plural)
        if self.synced:
            self._complete.set()

    def apply(self, kind: Kind, event: WatchEvent) -> None:
        meta = event.object.get("metadata") or {}
        version = _number(str(meta.get("resourceVersion", "")))
        self._watched[kind.plural] = max(self._watched[kind.plural], version)
        if event.type == "BOOKMARK" or (event.type != "DELETED" and self._knows(kind.plural, meta, version)):
            return
        entry = parse(kind.plural, event.object)
        if event.type == "DELETED":
            self._gone[kind.plural].discard(entry.uid)
            self._drop(kind.plural, entry.key, entry.uid)
        else:
            self._offer(kind.plural, entry)

    def heard(self, kind: Kind, at: float) -> None:
        self._heard[kind.plural] = at

    # -- what we wrote ourselves

    def wrote(self, kind: Kind, obj: Object) -> Entry:
        """The answer to a create or a patch. One without finalizers that is being deleted is gone with it."""
        entry = parse(kind.plural, obj)
        meta = obj.get("metadata") or {}
        if meta.get("deletionTimestamp") and not meta.get("finalizers"):
            self.removed(kind, entry.key, entry.uid)
        elif entry.key in self._objects[kind.plural] or version_of(entry) > self._watched[kind.plural]:
            self._offer(kind.plural, entry)
        # Else its end was told before this answer came.
        return entry

    def removed(self, kind: Kind, key: ObjectKey, uid: str) -> None:
        """We saw this object off: events that still speak of it are late."""
        self._gone[kind.plural].add(uid)
        self._drop(kind.plural, key, uid)

    # -- within

    def _knows(self, plural: str, meta: Object, version: int) -> bool:
        """Whether this state or a later one is here already: most events tell of what we wrote."""
        before = self._objects[plural].get(ObjectKey(str(meta.get("namespace", "")), str(meta.get("name", ""))))
        return before is not None and before.uid == meta.get("uid") and version_of(before) >= version

    def _offer(self, plural: str, entry: Entry) -> None:
        before = self._objects[plural].get(entry.key)
        if entry.uid in self._gone[plural]:
            return
        if before is None or version_of(entry) > version_of(before):
            self._put(plural, entry.key, entry)

    def _drop(self, plural: str, key: ObjectKey, uid: str) -> None:
        before = self._objects[plural].get(key)
        if before is not None and before.uid == uid:
            self._put(plural, key, None)

    def _put(self, plural: str, key: ObjectKey, after: Entry | None) -> None:
        before = self._objects[plural].pop(key, None)
        if after is not None:
            self._objects[plural][key] = after
        if plural == "instances":
            self._index(before, add=False)
            self._index(after, add=True)
        for listener in self._listeners:
            listener(plural, before, after)

    def _index(self, entry: Entry | None, *, add: bool) -> None:
        if entry is None:
            return
        for index, key in ((self._by_cluster, cluster_of(entry)), (self._by_account, account_of(entry))):
            if key is None:
                continue
            if add:
                index[key][entry.key] = entry
            else:
                index[key].pop(entry.key, None)
                if not index[key]:
                    del index[key]


def cluster_of(entry: Entry) -> ObjectKey | None:
    """The VirtualCluster that an Instance names."""
    if isinstance(entry, Instance):
        return ObjectKey(entry.namespace, entry.spec.cluster_name)
    if isinstance(entry, Unreadable) and entry.spec_text("clusterName"):
        return ObjectKey(entry.key.namespace, entry.spec_text("clusterName"))
    return None


def account_of(entry: Entry) -> ObjectKey | None:
    """The account that an Instance is bound to."""
    return entry.account if isinstance(entry, Instance | Unreadable) else None


def _as(model: type[T], entry: object) -> T | None:
    return entry if isinstance(entry, model) else None
