"""What gateway and agent rely on of the API server, asked of the real one and of the simulated one alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from cloudherd.runtime.kinds import (
    CLUSTER_SERVICE,
    CONFIG_MAP,
    EVENT,
    INSTANCE,
    LEASE,
    NAMESPACE,
    SECRET,
    SECRET_METADATA,
)
from cloudherd.runtime.ports import ApiError, Kind, KubeApi, Object, WatchEvent
from controllers.connection import connect
from controllers.kubeapi import HttpKubeApi
from controllers.system import SystemClock
from devenv.controlplane import ControlPlane
from tests.fakes import examples
from tests.fakes.apiserver import SimulatedServer
from tests.fakes.clock import SeededRandom

_CRDS = Path(__file__).parents[2] / "crds"
_FINALIZER = "cloudherd.dev/instance"
OTHER_UID = "00000000-0000-0000-0000-000000000000"


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


@pytest.fixture(scope="module")
def kubeconfig(control_plane: ControlPlane) -> str:
    """The real control plane's, our CRDs installed there."""
    control_plane.kubectl("apply", "--server-side", "-f", str(_CRDS))
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(_CRDS))
    return str(control_plane.kubeconfig)


@asynccontextmanager
async def real_apis(kubeconfig: str) -> AsyncIterator[tuple[KubeApi, KubeApi]]:
    connection = await connect(kubeconfig)
    try:
        yield HttpKubeApi(connection, "one"), HttpKubeApi(connection, "two")
    finally:
        await connection.close()


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


@pytest.fixture(params=["simulated", pytest.param("real", marks=pytest.mark.integration)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "simulated":
        server = SimulatedServer(SystemClock(), SeededRandom())
        async with home(server.client("one"), server.client("two")) as world:
            yield world
    else:
        async with real_apis(request.getfixturevalue("kubeconfig")) as (api, other), home(api, other) as world:
            yield world


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


async def test_a_new_object_gets_what_the_server_gives(world: World) -> None:
    obj = examples.instance("c-s-0", namespace=world.namespace, bogus=1)
    created = await world.api.create(INSTANCE, obj | {"status": {"phase": "Ready"}})
    assert created == await world.get()
    assert (created["apiVersion"], created["kind"]) == ("cloudherd.dev/v1alpha1", "Instance")
    assert metadata(created).keys() == {
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
    }
    assert metadata(created)["generation"] == 1
    assert created["status"] == {"phase": "Pending"}
    assert created["spec"]["powerState"] == "Running"
    assert "bogus" not in created["spec"]


async def test_a_name_is_taken_once(world: World) -> None:
    await world.instance()
    assert await refusal(world.instance()) == "AlreadyExists"


async def test_a_name_can_be_left_to_the_server(world: World) -> None:
    obj = {"metadata": {"namespace": world.namespace, "generateName": "made-"}}
    names = {metadata(await world.api.create(CONFIG_MAP, obj))["name"] for _ in range(2)}
    assert len(names) == 2
    assert all(name.startswith("made-") and len(name) == 10 for name in names)


async def test_what_breaks_the_schema_is_invalid(world: World) -> None:
    assert await refusal(world.instance(flavor="x" * 300)) == "Invalid"
    assert await refusal(world.instance(powerState="Dancing")) == "Invalid"
    obj = examples.instance("c-s-0", namespace=world.namespace)
    del obj["spec"]["image"]
    assert await refusal(world.api.create(INSTANCE, obj)) == "Invalid"
    assert await refusal(world.instance("c-s-" + "0" * 60)) == "Invalid"


async def test_a_namespace_that_is_not_there_takes_nothing(world: World) -> None:
    assert await refusal(world.api.create(INSTANCE, examples.instance("c-s-0", namespace="nowhere"))) == "NotFound"


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


async def test_spec_and_status_are_written_apart_and_only_the_spec_makes_a_generation(world: World) -> None:
    created = await world.instance()
    both = {"metadata": {"labels": {"a": "b"}}, "spec": {"powerState": "Stopped"}, "status": {"phase": "Running"}}
    after_status = await world.patch(both, subresource="status")
    assert after_status["status"] == {"phase": "Running"}
    assert after_status["spec"] == created["spec"]
    assert "labels" not in metadata(after_status)
    assert metadata(after_status)["generation"] == 1
    after_main = await world.patch({**both, "status": {"phase": "Failed"}})
    assert after_main["status"] == {"phase": "Running"}
    assert after_main["spec"]["powerState"] == "Stopped"
    assert metadata(after_main)["labels"] == {"a": "b"}
    assert metadata(after_main)["generation"] == 2
    only_spec = await world.patch({"spec": {"powerState": "Running"}})
    assert metadata(only_spec) == metadata(after_main) | {"generation": 3, "resourceVersion": ANY}
    only_labels = await world.patch({"metadata": {"labels": {"a": "c"}}})
    assert metadata(only_labels)["generation"] == 3


async def test_a_merge_patch_merges_maps_replaces_lists_and_takes_away_by_null(world: World) -> None:
    await world.instance()
    addresses = {"private": ["10.0.0.1", "10.0.0.2"], "public": ["192.0.2.1"]}
    await world.patch({"status": {"addresses": addresses, "providerID": "x"}}, subresource="status")
    patched = await world.patch(
        {"status": {"addresses": {"private": ["10.0.0.3"], "public": None}, "providerID": None}}, subresource="status"
    )
    assert patched["status"] == {"phase": "Pending", "addresses": {"private": ["10.0.0.3"]}}


async def test_a_status_taken_away_comes_back_as_its_default(world: World) -> None:
    await world.instance()
    await world.patch({"status": {"providerID": "x"}}, subresource="status")
    assert (await world.patch({"status": None}, subresource="status"))["status"] == {"phase": "Pending"}


async def test_a_patch_that_changes_nothing_makes_no_version(world: World) -> None:
    await world.instance()
    first = await world.patch({"status": {"phase": "Running"}}, subresource="status")
    again = await world.patch({"status": {"phase": "Running", "providerID": None}}, subresource="status")
    assert metadata(again)["resourceVersion"] == metadata(first)["resourceVersion"]


async def test_an_old_resource_version_is_a_conflict_everywhere(world: World) -> None:
    created = await world.instance()
    current = await world.patch({"metadata": {"labels": {"a": "b"}}})
    old = {"metadata": {"resourceVersion": metadata(created)["resourceVersion"]}}
    assert await refusal(world.patch({**old, "spec": {"powerState": "Stopped"}})) == "Conflict"
    assert await refusal(world.patch({**old, "status": {"phase": "Ready"}}, subresource="status")) == "Conflict"
    assert current == await world.get()


async def test_of_many_who_saw_the_same_version_one_wins(world: World) -> None:
    lock = {"metadata": {"resourceVersion": metadata(await world.instance())["resourceVersion"]}}
    results = await asyncio.gather(
        *(world.patch({**lock, "status": {"providerID": f"{i}"}}, subresource="status") for i in range(10)),
        return_exceptions=True,
    )
    won = [result for result in results if isinstance(result, dict)]
    assert [result["status"]["providerID"] for result in won] == [(await world.get() or {})["status"]["providerID"]]
    assert {result.reason for result in results if isinstance(result, ApiError)} == {"Conflict"}


async def test_a_foreign_uid_is_a_conflict_but_a_subresource_takes_no_notice_of_it(world: World) -> None:
    await world.instance()
    foreign = {"metadata": {"uid": "00000000-0000-0000-0000-000000000000"}}
    assert await refusal(world.patch({**foreign, "spec": {"powerState": "Stopped"}})) == "Conflict"
    patched = await world.patch({**foreign, "status": {"phase": "Running"}}, subresource="status")
    assert patched["status"]["phase"] == "Running"


async def test_a_patch_cannot_rename_nor_touch_what_is_the_servers(world: World) -> None:
    created = metadata(await world.instance())
    assert await refusal(world.patch({"metadata": {"name": "c-s-1"}})) == "BadRequest"
    patched = metadata(await world.patch({"metadata": {"generation": 9, "creationTimestamp": None}}))
    assert patched | {"resourceVersion": ANY} == created


async def test_a_deletion_meets_only_the_object_that_was_meant(world: World) -> None:
    created = await world.instance()
    assert await refusal(world.delete(created, uid="00000000-0000-0000-0000-000000000000")) == "Conflict"
    await world.patch({"metadata": {"labels": {"a": "b"}}})
    assert await refusal(world.delete(created, resource_version=metadata(created)["resourceVersion"])) == "Conflict"
    assert await world.get() is not None
    assert await world.delete(created) is None
    assert await world.get() is None


async def test_finalizers_hold_an_object_until_the_last_is_taken_off(world: World) -> None:
    created = await world.instance("c-s-0", _FINALIZER, "example.com/other")
    deleted = await world.delete(created)
    assert metadata(deleted)["deletionTimestamp"]
    assert metadata(deleted)["generation"] == 2
    assert await world.delete(created) == deleted == await world.get()
    assert await refusal(world.instance()) == "AlreadyExists"
    working = await world.patch({"status": {"phase": "Terminating"}}, subresource="status")
    assert working["status"]["phase"] == "Terminating"
    more = [_FINALIZER, "example.com/other", "example.com/new"]
    assert await refusal(world.patch({"metadata": {"finalizers": more}})) == "Invalid"
    await world.patch({"metadata": {"finalizers": [_FINALIZER]}})
    last = await world.patch({"metadata": {"finalizers": None}})
    assert metadata(last)["deletionTimestamp"]
    assert "finalizers" not in metadata(last)
    assert await world.get() is None
    assert metadata(await world.instance())["uid"] != metadata(created)["uid"]


async def test_a_replacement_meets_only_what_was_read_and_takes_the_last_finalizer_off(world: World) -> None:
    created = await world.instance("c-s-0", _FINALIZER)
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
        deleted = await world.delete(await world.instance(name, _FINALIZER))
        over = asyncio.Event()
        making = [asyncio.create_task(make_until(over, world, name)) for _ in range(6)]
        ending = (world.api.replace(INSTANCE, without_finalizers(deleted)) for _ in range(10))
        await asyncio.gather(*ending, return_exceptions=True)
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
            made.append(await world.instance(name, _FINALIZER))
    return made


def without_finalizers(obj: Object | None, **changes: str) -> Object:
    return {**(obj or {}), "metadata": {**metadata(obj), "finalizers": [], **changes}}


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


async def namespace_ends(world: World, since: str) -> None:
    async with asyncio.timeout(60), aclosing(world.api.watch(NAMESPACE, since)) as events:
        async for event in events:
            if event.type == "DELETED" and metadata(event.object)["name"] == world.namespace:
                return


async def test_a_watch_tells_all_that_followed_a_list_in_order(world: World) -> None:
    _, version = await world.api.list(INSTANCE)
    first = await world.instance("c-s-0", _FINALIZER)
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
    assert metadata(events[-1].object)["finalizers"] == [_FINALIZER]


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


async def test_a_kind_of_metadata_never_carries_the_rest(world: World) -> None:
    _, version = await world.api.list(SECRET_METADATA)
    secret = {"metadata": {"namespace": world.namespace, "name": "s"}, "stringData": {"password": "hush"}}
    created = await world.api.create(SECRET_METADATA, secret)
    held = {"metadata": {"finalizers": [_FINALIZER], "uid": metadata(created)["uid"]}}
    patched = await world.api.patch(SECRET_METADATA, world.namespace, "s", held)
    listed, _ = await world.api.list(SECRET_METADATA, namespace=world.namespace)
    got = await world.api.get(SECRET_METADATA, world.namespace, "s")
    watched = await changes(world, SECRET_METADATA, version, 2)
    deleted = await world.api.delete(SECRET_METADATA, world.namespace, "s", uid=metadata(created)["uid"])
    for obj in (created, patched, *listed, got, *(event.object for event in watched), deleted):
        assert obj is not None
        assert obj.keys() == {"apiVersion", "kind", "metadata"}
        assert (obj["apiVersion"], obj["kind"]) == ("v1", "Secret")
    whole = await world.api.get(SECRET, world.namespace, "s")
    assert whole is not None
    assert (whole["data"], whole["type"]) == ({"password": "aHVzaA=="}, "Opaque")


async def test_an_immutable_secret_keeps_its_data_but_takes_labels(world: World) -> None:
    secret = {"metadata": {"namespace": world.namespace, "name": "s"}, "data": {"x": "aGk="}, "immutable": True}
    await world.api.create(SECRET, secret)
    assert await refusal(world.api.patch(SECRET, world.namespace, "s", {"data": {"x": "aG8="}})) == "Invalid"
    labelled = await world.api.patch(SECRET, world.namespace, "s", {"metadata": {"labels": {"a": "b"}}})
    assert metadata(labelled)["labels"] == {"a": "b"}


async def test_a_service_is_scaled_by_its_subresource(world: World) -> None:
    created = await world.api.create(CLUSTER_SERVICE, examples.cluster_service("c-s", namespace=world.namespace))
    assert created["spec"]["replicas"] == 1
    scale = await world.other.patch(
        CLUSTER_SERVICE, world.namespace, "c-s", {"spec": {"replicas": 7}}, subresource="scale"
    )
    assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 7)
    scaled = await world.api.get(CLUSTER_SERVICE, world.namespace, "c-s")
    assert scaled is not None
    assert scaled["spec"] == {**created["spec"], "replicas": 7}
    assert metadata(scaled)["generation"] == 2
    assert metadata(scaled)["resourceVersion"] == scale["metadata"]["resourceVersion"]
    old = {"metadata": {"resourceVersion": metadata(created)["resourceVersion"]}, "spec": {"replicas": 8}}
    assert (
        await refusal(world.api.patch(CLUSTER_SERVICE, world.namespace, "c-s", old, subresource="scale")) == "Conflict"
    )


async def test_an_instance_has_no_scale(world: World) -> None:
    await world.instance()
    assert await refusal(world.patch({"spec": {"replicas": 1}}, subresource="scale")) == "NotFound"


async def test_leases_and_events_are_taken_as_they_are(world: World) -> None:
    spec = {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000001Z"}
    lease = await world.api.create(LEASE, {"metadata": {"namespace": world.namespace, "name": "l"}, "spec": spec})
    assert lease["spec"] == spec
    assert "generation" not in metadata(lease)
    event = {
        "metadata": {"namespace": world.namespace, "generateName": "e-"},
        "eventTime": "2026-01-01T00:00:00.000001Z",
        "action": "Launch",
        "reason": "Launched",
        "reportingController": "cloudherd.dev/agent",
        "reportingInstance": "test",
        "regarding": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": world.namespace, "name": "x"},
        "note": "It runs.",
        "type": "Normal",
    }
    created = await world.api.create(EVENT, event)
    assert created["note"] == "It runs."


async def test_a_namespace_ends_when_nothing_holds_what_is_in_it(world: World) -> None:
    await world.instance("c-s-0", _FINALIZER)
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
