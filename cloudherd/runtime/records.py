"""Writes to objects that must not meet a namesake or an older state: with UID and resource version, never blind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from cloudherd.api import Resource
from cloudherd.runtime.ports import ApiError, Kind, KubeApi
from cloudherd.runtime.store import Entry, Store, Unreadable

R = TypeVar("R", bound=Resource)
TRIES = 4


class Gone(Exception):  # noqa: N818 - an outcome to be reckoned with, not an error
    """The object does not exist any more, or another one has its name."""


async def let_go(api: KubeApi, store: Store, kind: Kind, record: Resource) -> None:
    """Takes all finalizers off what is being deleted, if it is as `record` says: else Gone, or ApiError Conflict.

    Not by a patch, which may end the next object of that name (see `KubeApi.replace`).
    """
    live = await api.get(kind, record.namespace, record.name)
    if live is None or live["metadata"]["uid"] != record.uid:
        store.removed(kind, record.key, record.uid)
        raise Gone
    if live["metadata"]["resourceVersion"] != record.metadata.resource_version:
        raise ApiError("Conflict", f"{kind.kind} {record.key} has changed", 409)
    live["metadata"]["finalizers"] = []
    try:
        await api.replace(kind, live)
    except ApiError as error:
        if error.reason != "NotFound":
            raise
        store.removed(kind, record.key, record.uid)
        raise Gone from None
    store.removed(kind, record.key, record.uid)


class Records:
    """Patches through one KubeApi; what the server answers enters the store at once."""

    def __init__(self, api: KubeApi, store: Store) -> None:
        self.api = api
        self.store = store

    async def patch_status(self, kind: Kind, record: R, status: dict[str, Any]) -> R:
        """Whatever the object's version, as long as it is the same object: the status is ours alone. Gone, ApiError."""
        for attempt in range(TRIES):
            try:
                return await self.patch_status_once(kind, record, status)
            except ApiError as error:
                if error.reason != "Conflict" or attempt == TRIES - 1:
                    raise
                record = await self.read(kind, record)
        raise AssertionError("unreachable")

    async def patch_status_once(self, kind: Kind, record: R, status: dict[str, Any]) -> R:
        """Only if the object is as `record` says: ApiError Conflict otherwise."""
        return await self._patch(kind, record, {"status": status}, "status")

    async def set_finalizers(self, kind: Kind, record: R, finalizers: list[str]) -> None:
        """Only if the object is as `record` says; what was deleted and has none left is gone with it."""
        if record.deleting and not finalizers:
            whole = replace(kind, metadata_only=False)  # for what is replaced must be sent as a whole
            await let_go(self.api, self.store, whole, record)
            return
        await self._patch(kind, record, {"metadata": {"finalizers": finalizers}}, "")

    async def read(self, kind: Kind, record: R) -> R:
        """The same object as it is now, in the store too. Gone, ApiError."""
        live = await self.api.get(kind, record.namespace, record.name)
        if live is None or live["metadata"]["uid"] != record.uid:
            self.store.removed(kind, record.key, record.uid)
            raise Gone
        return self._readable(kind, record, self.store.wrote(kind, live))

    async def _patch(self, kind: Kind, record: R, body: dict[str, Any], subresource: str) -> R:
        meta = {"uid": record.uid, "resourceVersion": record.metadata.resource_version, **body.get("metadata", {})}
        try:
            answer = await self.api.patch(
                kind, record.namespace, record.name, {**body, "metadata": meta}, subresource=subresource
            )
        except ApiError as error:
            if error.reason != "NotFound":
                raise
            self.store.removed(kind, record.key, record.uid)
            raise Gone from None
        return self._readable(kind, record, self.store.wrote(kind, answer))

    def _readable(self, kind: Kind, record: R, entry: Entry) -> R:
        if isinstance(entry, Unreadable):
            raise ApiError("Unreadable", f"{kind.kind} {record.key} cannot be read any more")
        assert isinstance(entry, type(record))
        return entry
