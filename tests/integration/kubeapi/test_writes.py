"""What a write makes of an object, and which writes are refused: schemas, names, versions, UIDs."""

from __future__ import annotations

import asyncio
from unittest.mock import ANY

from cloudherd.runtime.kinds import CONFIG_MAP, INSTANCE
from cloudherd.runtime.ports import ApiError
from tests.fakes import examples
from tests.integration.kubeapi.contract import World, metadata, refusal


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


async def test_a_patch_cannot_rename_nor_touch_what_is_the_servers(world: World) -> None:
    created = metadata(await world.instance())
    assert await refusal(world.patch({"metadata": {"name": "c-s-1"}})) == "BadRequest"
    patched = metadata(await world.patch({"metadata": {"generation": 9, "creationTimestamp": None}}))
    assert patched | {"resourceVersion": ANY} == created


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
