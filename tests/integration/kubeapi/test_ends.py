"""How objects end: preconditions of a deletion, finalizers, and a namespace that goes with all in it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress

from cloudherd.runtime.kinds import INSTANCE, NAMESPACE
from cloudherd.runtime.ports import ApiError, Object
from tests.integration.kubeapi.contract import FINALIZER, World, changes, metadata, refusal, told

OTHER_UID = "00000000-0000-0000-0000-000000000000"


async def test_a_deletion_meets_only_the_object_that_was_meant(world: World) -> None:
    created = await world.instance()
    assert await refusal(world.delete(created, uid=OTHER_UID)) == "Conflict"
    await world.patch({"metadata": {"labels": {"a": "b"}}})
    assert await refusal(world.delete(created, resource_version=metadata(created)["resourceVersion"])) == "Conflict"
    assert await world.get() is not None
    assert await world.delete(created) is None
    assert await world.get() is None


async def test_finalizers_hold_an_object_until_the_last_is_taken_off(world: World) -> None:
    created = await world.instance("c-s-0", FINALIZER, "example.com/other")
    deleted = await world.delete(created)
    assert metadata(deleted)["deletionTimestamp"]
    assert metadata(deleted)["generation"] == 2
    assert await world.delete(created) == deleted == await world.get()
    assert await refusal(world.instance()) == "AlreadyExists"
    working = await world.patch({"status": {"phase": "Terminating"}}, subresource="status")
    assert working["status"]["phase"] == "Terminating"
    more = [FINALIZER, "example.com/other", "example.com/new"]
    assert await refusal(world.patch({"metadata": {"finalizers": more}})) == "Invalid"
    await world.patch({"metadata": {"finalizers": [FINALIZER]}})
    last = await world.patch({"metadata": {"finalizers": None}})
    assert metadata(last)["deletionTimestamp"]
    assert "finalizers" not in metadata(last)
    assert await world.get() is None
    assert metadata(await world.instance())["uid"] != metadata(created)["uid"]


async def test_a_replacement_meets_only_what_was_read_and_takes_the_last_finalizer_off(world: World) -> None:
    created = await world.instance("c-s-0", FINALIZER)
    assert await refusal(world.api.replace(INSTANCE, without_finalizers(created, uid=OTHER_UID))) == "Conflict"
    deleted = await world.delete(created)
    assert await refusal(world.api.replace(INSTANCE, without_finalizers(created))) == "Conflict"
    last = await world.api.replace(INSTANCE, without_finalizers(deleted))
    assert metadata(last)["deletionTimestamp"]
    assert await world.get() is None
    assert await refusal(world.api.replace(INSTANCE, without_finalizers(deleted))) == "NotFound"


async def test_of_many_who_take_the_last_finalizer_off_none_ends_the_next_of_that_name(world: World) -> None:
    """By patches one would, in a round out of five."""
    for name in (f"c-s-{number}" for number in range(15)):
        deleted = await world.delete(await world.instance(name, FINALIZER))
        over = asyncio.Event()
        making = [asyncio.create_task(make_until(over, world, name)) for _ in range(6)]
        ending = (world.api.replace(INSTANCE, without_finalizers(deleted)) for _ in range(10))
        await asyncio.gather(*ending, return_exceptions=True)
        async with asyncio.timeout(20):
            while (await world.get(name) or deleted) == deleted:
                pass
        over.set()
        made = [one for each in await asyncio.gather(*making) for one in each]
        assert made == [await world.get(name)]


async def make_until(over: asyncio.Event, world: World, name: str) -> list[Object]:
    """What was made under that name, again and again, as soon as it was free."""
    made = []
    while not over.is_set():
        with suppress(ApiError):
            made.append(await world.instance(name, FINALIZER))
    return made


def without_finalizers(obj: Object | None, **changes: str) -> Object:
    return {**(obj or {}), "metadata": {**metadata(obj), "finalizers": [], **changes}}


async def test_a_namespace_ends_when_nothing_holds_what_is_in_it(world: World) -> None:
    await world.instance("c-s-0", FINALIZER)
    await world.instance("c-s-1")
    namespace = await world.api.get(NAMESPACE, "", world.namespace)
    ending = await world.api.delete(NAMESPACE, "", world.namespace, uid=metadata(namespace)["uid"])
    assert ending is not None
    assert ending["status"]["phase"] == "Terminating"
    assert await refusal(world.instance("c-s-2")) == "Forbidden"
    events = await changes(world, INSTANCE, metadata(ending)["resourceVersion"], 2)
    assert sorted(told(events)) == [("DELETED", "c-s-1"), ("MODIFIED", "c-s-0")]
    assert metadata(await world.get())["deletionTimestamp"]
    assert await world.api.get(NAMESPACE, "", world.namespace) is not None
    await world.patch({"metadata": {"finalizers": None}})
    await namespace_ends(world, metadata(ending)["resourceVersion"])


async def namespace_ends(world: World, since: str) -> None:
    async with asyncio.timeout(60), aclosing(world.api.watch(NAMESPACE, since)) as events:
        async for event in events:
            if event.type == "DELETED" and metadata(event.object)["name"] == world.namespace:
                return
