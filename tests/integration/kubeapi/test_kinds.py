"""What is peculiar to single kinds: Secrets, metadata alone, the scale of a service, Leases and Events."""

from __future__ import annotations

from cloudherd.runtime.kinds import CLUSTER_SERVICE, EVENT, LEASE, SECRET, SECRET_METADATA
from tests.fakes import examples
from tests.integration.kubeapi.contract import FINALIZER, World, changes, metadata, refusal


async def test_a_kind_of_metadata_never_carries_the_rest(world: World) -> None:
    _, version = await world.api.list(SECRET_METADATA)
    secret = {"metadata": {"namespace": world.namespace, "name": "s"}, "stringData": {"password": "hush"}}
    created = await world.api.create(SECRET_METADATA, secret)
    held = {"metadata": {"finalizers": [FINALIZER], "uid": metadata(created)["uid"]}}
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
