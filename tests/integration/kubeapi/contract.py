"""The API server as gateway and agent meet it, in a namespace of the test's own, and what tests ask of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from cloudherd.runtime.kinds import INSTANCE, NAMESPACE, SECRET_METADATA
from cloudherd.runtime.ports import ApiError, Kind, KubeApi, Object, WatchEvent
from tests.fakes import examples

FINALIZER = "cloudherd.dev/instance"


@dataclass
class World:
    """An API server, seen by two field managers, and a namespace of the test's own."""

    api: KubeApi
    other: KubeApi
    namespace: str = ""

    async def instance(self, name: str = "c-s-0", *finalizers: str, **spec: Any) -> Object:
        obj = examples.instance(name, namespace=self.namespace, finalizers=finalizers, **spec)
        return await self.api.create(INSTANCE, obj)

    async def patch(self, body: Object, *, subresource: str = "", name: str = "c-s-0") -> Object:
        return await self.api.patch(INSTANCE, self.namespace, name, body, subresource=subresource)

    async def get(self, name: str = "c-s-0") -> Object | None:
        return await self.api.get(INSTANCE, self.namespace, name)

    async def delete(self, obj: Object, **preconditions: str) -> Object | None:
        name, uid = obj["metadata"]["name"], obj["metadata"]["uid"]
        return await self.api.delete(INSTANCE, self.namespace, name, **{"uid": uid, **preconditions})


@asynccontextmanager
async def home(api: KubeApi, other: KubeApi) -> AsyncIterator[World]:
    """A namespace that is left to its end, with nothing in it that would hold it."""
    created = await api.create(NAMESPACE, {"metadata": {"generateName": "contract-"}})
    name = created["metadata"]["name"]
    try:
        yield World(api, other, name)
    finally:
        await api.delete(NAMESPACE, "", name, uid=created["metadata"]["uid"])
        for kind in (INSTANCE, SECRET_METADATA):
            for obj in (await api.list(kind, namespace=name))[0]:
                if obj["metadata"].get("finalizers"):
                    await api.patch(kind, name, obj["metadata"]["name"], {"metadata": {"finalizers": None}})


async def refusal(call: Awaitable[Any]) -> str:
    """The reason for which a call is refused."""
    with pytest.raises(ApiError) as refused:
        await call
    return refused.value.reason


def metadata(obj: Object | None) -> dict[str, Any]:
    assert obj is not None
    found: dict[str, Any] = obj["metadata"]
    return found


def told(events: list[WatchEvent]) -> list[tuple[str, str]]:
    return [(event.type, event.object["metadata"]["name"]) for event in events]


async def changes(world: World, kind: Kind, version: str, count: int) -> list[WatchEvent]:
    """The next so many changes in the test's own namespace."""
    seen: list[WatchEvent] = []
    async with asyncio.timeout(20), aclosing(world.api.watch(kind, version)) as events:
        async for event in events:
            if event.type != "BOOKMARK" and metadata(event.object)["namespace"] == world.namespace:
                seen.append(event)
            if len(seen) == count:
                break
    return seen
