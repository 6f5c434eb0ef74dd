"""What is read and what is absent, lists, and watches that go on from them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from unittest.mock import ANY

import pytest

from cloudherd.runtime.kinds import CONFIG_MAP, INSTANCE
from cloudherd.runtime.ports import Kind, WatchEvent
from tests.integration.kubeapi.contract import FINALIZER, World, changes, metadata, refusal, told


async def test_what_does_not_exist(world: World) -> None:
    assert await world.get() is None
    assert await world.api.delete(INSTANCE, world.namespace, "c-s-0", uid="any") is None
    assert await refusal(world.patch({})) == "NotFound"
    assert await refusal(world.patch({}, subresource="status")) == "NotFound"


async def test_a_kind_that_is_not_served_is_no_absent_object(world: World) -> None:
    unknown = Kind("cloudherd.dev", "v1alpha1", "unicorns", "Unicorn")
    assert await refusal(world.api.get(unknown, world.namespace, "a")) == "NotServed"
    assert await refusal(world.api.list(unknown)) == "NotServed"
    assert await refusal(world.api.delete(unknown, world.namespace, "a", uid="any")) == "NotServed"


async def test_a_list_holds_all_pages_of_one_moment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controllers.kubeapi.PAGE", 2)
    names = [f"c-s-{slot}" for slot in range(5)]
    for name in names:
        await world.instance(name)
    objects, version = await world.api.list(INSTANCE, namespace=world.namespace)
    assert [metadata(obj)["name"] for obj in objects] == names
    assert int(version) >= max(int(metadata(obj)["resourceVersion"]) for obj in objects)
    everywhere, _ = await world.api.list(INSTANCE)
    assert [obj for obj in everywhere if metadata(obj)["namespace"] == world.namespace] == objects
    assert await world.api.list(INSTANCE, namespace="nowhere") == ([], ANY)


async def test_a_watch_tells_all_that_followed_a_list_in_order(world: World) -> None:
    _, version = await world.api.list(INSTANCE)
    first = await world.instance("c-s-0", FINALIZER)
    await world.instance("c-s-1")
    await world.api.create(CONFIG_MAP, {"metadata": {"namespace": world.namespace, "name": "other"}})
    await world.patch({"status": {"phase": "Running"}}, subresource="status")
    await world.delete(first)
    last = await world.patch({"metadata": {"finalizers": None}})
    events = await changes(world, INSTANCE, version, 5)
    assert told(events) == [
        ("ADDED", "c-s-0"),
        ("ADDED", "c-s-1"),
        ("MODIFIED", "c-s-0"),
        ("MODIFIED", "c-s-0"),
        ("DELETED", "c-s-0"),
    ]
    assert events[0].object == first
    versions = [int(metadata(event.object)["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))
    assert versions[-1] > int(metadata(last)["resourceVersion"])
    assert metadata(events[-1].object)["uid"] == metadata(first)["uid"]
    assert metadata(events[-1].object)["finalizers"] == [FINALIZER]


async def test_a_watch_tells_what_comes_while_it_is_open(world: World) -> None:
    _, version = await world.api.list(INSTANCE)
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(changes(world, INSTANCE, version, 2))
        await world.instance("c-s-0")
        await world.instance("c-s-1")
    assert told(watching.result()) == [("ADDED", "c-s-0"), ("ADDED", "c-s-1")]


async def test_a_watch_goes_on_from_any_event(world: World) -> None:
    first = await world.instance("c-s-0")
    await world.instance("c-s-1")
    events = await changes(world, INSTANCE, metadata(first)["resourceVersion"], 1)
    assert told(events) == [("ADDED", "c-s-1")]


async def test_a_watch_begins_with_a_bookmark_of_the_version_it_was_asked_for(world: World) -> None:
    _, version = await world.api.list(INSTANCE)
    async with asyncio.timeout(20), aclosing(world.api.watch(INSTANCE, version)) as events:
        assert await anext(events) == WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": version}})


async def test_history_ends_somewhere(world: World) -> None:
    assert await refusal(changes(world, INSTANCE, "1", 1)) == "Expired"
