"""The reflector on virtual time against the simulated API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cloudherd.runtime.kinds import INSTANCE, SECRET, SECRET_METADATA
from cloudherd.runtime.ports import ApiError, Kind, Object, WatchEvent
from controllers.reflector import Reflector
from tests.fakes.apiserver import Call, SimulatedServer
from tests.fakes.clock import SeededRandom, VirtualClock, on_virtual_time
from tests.fakes.examples import instance


def full_name(name: str) -> str:
    """An Instance's, by what tells it from the others here."""
    return f"c-{name}-0"


def short_name(obj: Object) -> str:
    name: str = obj["metadata"]["name"]
    return name.removeprefix("c-").removesuffix("-0")


class Mirror:
    """A sink that holds the objects by name and remembers what it was told."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.told: list[str] = []
        self.fails_on = ""
        self.heard_at = -1.0

    def replace(self, kind: Kind, objects: list[Object], resource_version: str) -> None:
        self.objects = {short_name(obj): obj for obj in objects}
        self.told.append(f"LIST {' '.join(self.objects)}".strip())

    def apply(self, kind: Kind, event: WatchEvent) -> None:
        name = short_name(event.object)
        if name == self.fails_on:
            self.fails_on = ""
            raise ValueError(f"{event.object}")
        self.told.append(f"{event.type} {name}")
        if event.type == "DELETED":
            self.objects.pop(name)
        else:
            self.objects[name] = event.object

    def heard(self, kind: Kind, at: float) -> None:
        self.heard_at = at


class World:
    """A reflector that runs between a simulated server and a mirror."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.server = SimulatedServer(self.clock, SeededRandom(1))
        self.api = self.server.client("test")
        self.mirror = Mirror()
        self.reflector = self.reflect(INSTANCE)

    def reflect(self, kind: Kind) -> Reflector:
        return Reflector(self.server.client("reflector"), kind, self.mirror, self.clock, SeededRandom(2))

    @asynccontextmanager
    async def running(self, reflector: Reflector | None = None) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task((reflector or self.reflector).run())
            yield
            task.cancel()

    async def create(self, *names: str) -> None:
        for name in names:
            await self.api.create(INSTANCE, instance(full_name(name)))

    async def delete(self, name: str) -> None:
        obj = await self.api.get(INSTANCE, "default", full_name(name))
        assert obj is not None
        await self.api.delete(INSTANCE, "default", full_name(name), uid=obj["metadata"]["uid"])

    def count(self, verb: str) -> int:
        return sum(call.manager == "reflector" and call.verb == verb for call in self.server.calls)

    def refuse(self, times: int, error: ApiError, *verbs: str) -> None:
        """The next calls of the reflector's with one of these verbs fail."""
        left = [error] * times

        async def fault(call: Call, when: str) -> None:
            if left and when == "before" and call.manager == "reflector" and call.verb in verbs:
                raise left.pop()

        self.server.fault = fault


@on_virtual_time
async def test_changes_reach_the_sink_in_the_order_of_the_server() -> None:
    world = World()
    await world.create("a", "b")
    async with world.running():
        await world.clock.settle()
        await world.create("c")
        await world.api.patch(INSTANCE, "default", full_name("a"), {"metadata": {"labels": {"x": "1"}}})
        await world.delete("b")
        await world.clock.settle()
    assert world.mirror.told == ["LIST a b", "ADDED c", "MODIFIED a", "DELETED b"]


@on_virtual_time
async def test_a_closed_watch_goes_on_where_it_ended_without_a_new_list() -> None:
    world = World()
    async with world.running():
        await world.clock.settle()
        await world.create("a")
        await world.clock.settle()
        world.server.close_watches()
        await world.create("b")
        await world.clock.advance(2)
    assert world.mirror.told == ["LIST", "ADDED a", "ADDED b"]
    assert world.count("list") == 1


@on_virtual_time
async def test_what_vanished_while_nobody_watched_is_gone_after_the_new_list() -> None:
    world = World()
    await world.create("stays", "goes")
    async with world.running():
        await world.clock.settle()
        world.refuse(2, ApiError("Unreachable"), "watch")
        world.server.close_watches()
        await world.clock.settle()
        await world.delete("goes")
        world.server.compact()
        await world.clock.until(lambda: "goes" not in world.mirror.objects, within=10)
    assert world.mirror.told == ["LIST goes stays", "LIST stays"]


@on_virtual_time
async def test_an_expired_version_is_answered_by_a_new_list_at_once() -> None:
    world = World()
    async with world.running():
        await world.clock.settle()
        world.refuse(1, ApiError("Expired", status=410), "watch")
        world.server.close_watches()
        before = world.clock.monotonic()
        await world.clock.until(lambda: world.count("list") == 2)
        assert world.clock.monotonic() - before < 2


@on_virtual_time
async def test_versions_that_always_expire_do_not_make_it_list_without_pause() -> None:
    world = World()
    world.refuse(1000, ApiError("Expired", status=410), "watch")
    async with world.running():
        await world.clock.advance(600)
    assert 10 < world.count("list") < 50


@on_virtual_time
async def test_a_watch_that_fell_silent_is_noticed_and_nothing_is_missed() -> None:
    world = World()
    async with world.running():
        await world.clock.settle()
        world.server.hang_watches()
        await world.create("a")
        await world.clock.advance(60)
        assert world.mirror.told == ["LIST"]
        await world.clock.advance(15)
    assert world.mirror.told == ["LIST", "ADDED a"]
    assert world.count("list") == 1


@on_virtual_time
async def test_bookmarks_keep_a_quiet_kind_fresh_and_its_version_young() -> None:
    world = World()
    async with world.running():
        await world.clock.advance(30)
        await world.api.create(SECRET, {"metadata": {"namespace": "default", "name": "other"}})
        for _ in range(20):
            await world.clock.advance(60)
            assert world.reflector.heard_at == world.mirror.heard_at >= world.clock.monotonic() - 71
        world.server.compact()
        world.server.close_watches()
        await world.clock.advance(60)
    assert world.count("list") == 1
    assert world.mirror.told == ["LIST"]


@on_virtual_time
async def test_without_any_bookmark_it_asks_again_and_stays_as_fresh(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    async with world.running():
        for _ in range(60):
            await world.clock.advance(60)
            assert (world.reflector.heard_at or 0) >= world.clock.monotonic() - 71
    assert world.count("list") == 1
    assert world.count("watch") < 60
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@on_virtual_time
async def test_it_is_not_synced_before_the_first_complete_list_and_asks_ever_more_rarely() -> None:
    world = World()
    await world.create("a")
    world.refuse(12, ApiError("Unreachable"), "list")
    async with world.running():
        await world.clock.settle()
        assert not world.reflector.synced
        assert world.reflector.heard_at is None
        assert world.mirror.told == []
        await world.clock.until(lambda: world.reflector.synced, within=600)
        await world.clock.settle()
    pauses = [call.at for call in world.server.calls if call.verb == "list"]
    assert pauses[1] - pauses[0] <= 0.5
    assert 15 <= pauses[-1] - pauses[-2] <= 30
    assert world.mirror.told == ["LIST a"]


@on_virtual_time
async def test_a_list_is_as_fresh_as_the_moment_it_was_asked_for() -> None:
    world = World()

    async def slow(call: Call, when: str) -> None:
        if call.verb == "list" and when == "after":
            await world.clock.sleep(20)
        if call.verb == "watch":
            raise ApiError("Unreachable")

    world.server.fault = slow
    async with world.running():
        await world.clock.until(lambda: world.reflector.synced)
        assert world.reflector.heard_at == 0
        assert world.clock.monotonic() == 20


@on_virtual_time
async def test_a_server_that_is_down_is_resumed_from_the_last_version_however_long_it_took() -> None:
    world = World()
    async with world.running():
        await world.clock.settle()
        world.refuse(30, ApiError("Unreachable"), "watch")
        world.server.close_watches()
        await world.create("a")
        await world.clock.until(lambda: "a" in world.mirror.objects)
    assert world.count("list") == 1


@on_virtual_time
async def test_a_watch_that_is_refused_again_and_again_ends_in_a_new_list() -> None:
    world = World()
    async with world.running():
        await world.clock.settle()
        world.refuse(3, ApiError("Unreachable", "cannot decode", 500), "watch")
        world.server.close_watches()
        await world.clock.until(lambda: world.count("list") == 2, within=60)


@on_virtual_time
async def test_the_server_says_how_long_to_wait() -> None:
    world = World()
    world.refuse(1, ApiError("TooManyRequests", status=429, retry_after=17), "list")
    async with world.running():
        await world.clock.until(lambda: world.reflector.synced)
        assert world.clock.monotonic() == 17


@on_virtual_time
async def test_a_sink_that_fails_on_an_object_gets_all_of_them_anew(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    async with world.running():
        await world.clock.settle()
        world.mirror.fails_on = "poison"
        await world.create("poison", "after")
        await world.clock.advance(5)
    assert world.mirror.told == ["LIST", "LIST after poison"]
    assert "ValueError in the sink" in caplog.text
    assert "metadata" not in caplog.text.replace('["metadata"]', "")


@on_virtual_time
async def test_an_object_without_a_name_is_passed_over() -> None:
    world = World()
    await world.create("a")
    listed = world.server.objects.list

    def with_a_monster(kind: Kind, namespace: str = "") -> tuple[list[Object], str]:
        found, version = listed(kind, namespace)
        return [{"metadata": None}, *found], version

    world.server.objects.list = with_a_monster  # type: ignore[method-assign]
    async with world.running():
        await world.clock.settle()
    assert world.mirror.told == ["LIST a"]


@on_virtual_time
async def test_secrets_are_mirrored_without_their_data() -> None:
    world = World()
    await world.api.create(SECRET, {"metadata": {"namespace": "default", "name": "a"}, "stringData": {"x": "hush"}})
    async with world.running(world.reflect(SECRET_METADATA)):
        await world.clock.settle()
        await world.api.create(SECRET, {"metadata": {"namespace": "default", "name": "b"}, "stringData": {"x": "hush"}})
        await world.clock.settle()
    assert [sorted(obj) for obj in world.mirror.objects.values()] == [["apiVersion", "kind", "metadata"]] * 2


@on_virtual_time
async def test_cancelling_it_leaves_no_watch_open() -> None:
    world = World()
    async with world.running():
        await world.clock.settle()
        assert world.server.open_watches == 1
    assert world.server.open_watches == 0
