"""Accounts: what they say of themselves, what they hold, and how they end."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from cloudherd.clouds.protocol import CloudError, ErrorKind, LaunchRequest
from cloudherd.runtime import kinds
from cloudherd.runtime.ports import Kind, Object
from tests.fakes.agentworld import NAMESPACE, SYSTEM, World, agent_at_work, message, told
from tests.fakes.clock import on_virtual_time


async def patch(world: World, kind: Kind, name: str, body: Object) -> None:
    await world.user.patch(kind, NAMESPACE, name, body)


async def remove(world: World, kind: Kind, name: str) -> None:
    found = await world.user.get(kind, NAMESPACE, name)
    assert found is not None
    await world.user.delete(kind, NAMESPACE, name, uid=found["metadata"]["uid"])


def finalizers(world: World, kind: Kind, name: str) -> list[str]:
    (found,) = [one for one in world.objects(kind) if one["metadata"]["name"] == name]
    return list(found["metadata"].get("finalizers", []))


@on_virtual_time
async def test_an_account_tells_its_flavors_limit_and_use() -> None:
    async with agent_at_work(capacity=7) as world:
        await world.instances(2)
        await world.clock.until(world.all_are("Ready", 2))
        await world.clock.advance(62)
        status = world.account_now().status
        assert [(one.name, one.id, one.cpus, one.memory) for one in status.flavors] == [
            ("large", "f-2", 4, "8Gi"),
            ("small", "f-1", 1, "2Gi"),
        ]
        assert status.limit is not None
        assert status.limit.instances == 7
        assert status.used is not None
        assert (status.used.instances, status.used.cpus, status.used.memory) == (2, 2, "4Gi")
        assert status.scope == "physics.home"
        for type_ in ("Ready", "CredentialsValid", "CapacityAvailable"):
            condition = world.condition(type_)
            assert condition is not None
            assert (condition.status, condition.observed_generation) == ("True", 1)


@on_virtual_time
async def test_an_instance_may_name_its_flavor_by_the_clouds_id() -> None:
    async with agent_at_work() as world:
        await world.clock.advance(5)
        await world.instance("batch-worker-0", flavor="f-1")
        await world.clock.until(world.all_are("Ready", 1), within=5)


@on_virtual_time
async def test_what_others_place_by_is_told_at_once_and_what_is_used_at_a_pace() -> None:
    async with agent_at_work(boot=60) as world:

        def counts() -> tuple[int, int]:
            status = world.account_now().status
            return (
                status.used.instances if status.used else 0,
                status.foreign.instances if status.foreign else 0,
            )

        await world.instance("batch-worker-0")
        await world.clock.until(lambda: counts() == (1, 0), within=10)
        await world.instance("batch-worker-1")
        world.home.add(LaunchRequest("", "somebody-else-s", "f-1", "sim-debian-12", {}))
        await world.clock.until(lambda: counts() == (1, 1), within=3)
        await world.clock.until(lambda: counts() == (2, 1), within=5)


@on_virtual_time
async def test_a_flavor_that_the_cloud_does_not_know_is_named_and_the_others_are_used() -> None:
    async with agent_at_work() as world:
        await patch(world, kinds.CLOUD_ACCOUNT, "home", {"spec": {"flavors": {"huge": "sim.huge"}}})
        await world.clock.advance(130)
        assert told(world) == ("True", "FlavorUnknown")
        assert "its cloud does not know sim.huge: correct spec.flavors.huge" in message(world)
        await patch(world, kinds.CLOUD_ACCOUNT, "home", {"spec": {"flavors": {"huge": None}}})
        await world.clock.advance(62)
        assert told(world) == ("True", "Ready")


@on_virtual_time
async def test_a_missing_secret_is_one_sentence_and_heals_when_it_comes() -> None:
    async with agent_at_work() as world:
        world.cloud("other")
        await world.account("other", credentialsRef={"name": "later"})
        await world.clock.advance(5)
        assert told(world, account="other") == ("False", "CredentialsMissing")
        assert "Secret physics/later that spec.credentialsRef names does not exist" in message(world, "other")
        assert told(world) == ("True", "Ready")
        await world.secret("later", "Opaque", key="k")
        await world.clock.until(lambda: told(world, account="other") == ("True", "Ready"), within=5)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"provider": "nimbus"}, "spec.provider nimbus is not known"),
        ({"credentialsRef": {"name": "empty"}}, "the Secret lacks the key key"),
    ],
)
@on_virtual_time
async def test_settings_that_make_no_sense_are_told_and_hurt_nobody_else(spec: dict[str, Any], words: str) -> None:
    async with agent_at_work() as world:
        await world.secret("empty", "Opaque", nothing="x")
        world.cloud("other")
        await world.account("other", **spec)
        await world.clock.advance(5)
        assert told(world, account="other") == ("False", "InvalidSettings")
        assert words in message(world, "other")
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1), within=5)


@on_virtual_time
async def test_new_keys_make_a_new_connection_at_once() -> None:
    async with agent_at_work() as world:
        await world.clock.advance(5)
        world.home.down = CloudError(ErrorKind.DENIED, "AuthFailure", "expired")
        await world.clock.until(lambda: told(world) == ("False", "CredentialsRefused"), within=70)
        assert told(world, "CredentialsValid") == ("False", "CredentialsRefused")
        world.home.down = None
        data = {"key": base64.b64encode(b"new").decode()}
        await patch(world, kinds.SECRET, "keys", {"data": data})
        await world.clock.until(lambda: told(world) == ("True", "Ready"), within=2)
        assert world.clouds.made[-1] == ("physics.home", {"key": "new"})
        assert [client.closed for client in world.clouds.clients] == [True, False]


@on_virtual_time
async def test_our_own_finalizer_on_the_secret_makes_no_new_connection() -> None:
    async with agent_at_work() as world:
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1))
        await world.clock.advance(70)
        assert len(world.clouds.clients) == 1


@on_virtual_time
async def test_account_and_keys_are_held_while_instances_are_bound() -> None:
    async with agent_at_work() as world:
        await world.clock.advance(5)
        assert finalizers(world, kinds.CLOUD_ACCOUNT, "home") == []
        await world.instances(4)
        await world.clock.until(world.all_are("Ready", 4))
        await remove(world, kinds.CLOUD_ACCOUNT, "home")
        await remove(world, kinds.SECRET, "keys")
        await world.clock.advance(5)
        assert told(world) == ("False", "Deleting")
        assert "4 Instances: physics/batch-worker-0, physics/batch-worker-1, " in message(world)
        assert finalizers(world, kinds.CLOUD_ACCOUNT, "home") == ["cloudherd.dev/account"]
        assert finalizers(world, kinds.SECRET, "keys") == ["cloudherd.dev/credentials"]

        await world.delete(*world.records())
        await world.clock.until(lambda: not world.objects(kinds.CLOUD_ACCOUNT), within=10)
        assert not world.records()
        assert not world.home.alive()
        assert [one["metadata"]["name"] for one in world.objects(kinds.SECRET)] == ["data"]


@on_virtual_time
async def test_keys_that_two_accounts_share_are_held_until_neither_needs_them() -> None:
    async with agent_at_work() as world:
        world.cloud("other")
        await world.account("other")
        await world.instance("batch-worker-0")
        await world.instance("batch-worker-1", accountRef={"namespace": NAMESPACE, "name": "other"})
        await world.clock.until(world.all_are("Ready", 2))
        await world.delete("batch-worker-0")
        await world.clock.until(lambda: len(world.records()) == 1, within=10)
        await world.clock.advance(5)
        assert finalizers(world, kinds.SECRET, "keys") == ["cloudherd.dev/credentials"]
        assert finalizers(world, kinds.CLOUD_ACCOUNT, "home") == []
        await world.delete("batch-worker-1")
        await world.clock.until(lambda: not finalizers(world, kinds.SECRET, "keys"), within=10)


@on_virtual_time
async def test_a_secret_that_no_account_names_any_more_is_let_go() -> None:
    async with agent_at_work() as world:
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1))
        await world.secret("new-keys", "Opaque", key="k2")
        await patch(world, kinds.CLOUD_ACCOUNT, "home", {"spec": {"credentialsRef": {"name": "new-keys"}}})
        await world.clock.until(lambda: not finalizers(world, kinds.SECRET, "keys"), within=10)
        await world.clock.until(lambda: bool(finalizers(world, kinds.SECRET, "new-keys")), within=10)


@on_virtual_time
async def test_the_end_of_a_namespace_ends_vms_keys_and_account() -> None:
    async with agent_at_work(shutdown=3) as world:
        await world.instances(5)
        await world.clock.until(world.all_are("Ready", 5))
        for kind in (kinds.SECRET, kinds.CLOUD_ACCOUNT, kinds.INSTANCE):
            for one in world.objects(kind):
                await world.user.delete(kind, NAMESPACE, one["metadata"]["name"], uid=one["metadata"]["uid"])
        await world.clock.until(
            lambda: not any(world.objects(kind) for kind in (kinds.SECRET, kinds.CLOUD_ACCOUNT, kinds.INSTANCE)),
            within=60,
        )
        assert not world.home.alive()


@on_virtual_time
async def test_an_account_that_shows_another_place_makes_its_vms_unknown_and_launches_nothing() -> None:
    async with agent_at_work() as world:
        await world.instances(2)
        await world.clock.until(world.all_are("Ready", 2))
        elsewhere = world.cloud("home", scope="another-project")
        await patch(world, kinds.SECRET, "keys", {"data": {"key": base64.b64encode(b"other").decode()}})
        await world.clock.until(lambda: told(world) == ("False", "AccountRepointed"), within=70)
        await world.instance("batch-worker-2")
        await world.delete("batch-worker-0")
        await world.clock.advance(300)
        assert world.ready("batch-worker-1").reason == "AccountRepointed"
        assert len(world.records()) == 3
        assert elsewhere.count("create_vm") == elsewhere.count("destroy_vm") == 0
        world.clouds.clouds["physics.home"] = world.home
        await patch(world, kinds.SECRET, "keys", {"data": {"key": base64.b64encode(b"first").decode()}})
        await world.clock.until(world.all_are("Ready", 2), within=70)
        assert {world.ready(name).reason for name in world.records()} == {"ServiceReady"}


# -- the installation


@on_virtual_time
async def test_the_installation_id_is_made_once() -> None:
    async with agent_at_work() as world:
        (made,) = world.objects(kinds.CONFIG_MAP)
        await world.kill()
        world.start()
        await world.clock.advance(10)
        assert world.objects(kinds.CONFIG_MAP) == [made]


@on_virtual_time
async def test_without_its_config_map_nothing_is_launched_while_instances_exist() -> None:
    async with agent_at_work() as world:
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1))
        await world.kill()
        (made,) = world.objects(kinds.CONFIG_MAP)
        await world.user.delete(kinds.CONFIG_MAP, SYSTEM, made["metadata"]["name"], uid=made["metadata"]["uid"])
        await world.instance("batch-worker-1")
        world.start()
        await world.clock.advance(1000)
        assert told(world) == ("False", "InstallationMissing")
        assert world.home.count("create_vm") == 1
        assert world.home.count("destroy_vm") == 0
        meta = {key: made["metadata"][key] for key in ("name", "namespace")}
        await world.user.create(kinds.CONFIG_MAP, {**made, "metadata": meta})
        await world.clock.until(world.all_are("Ready", 2), within=70)


@on_virtual_time
async def test_a_copy_in_another_cluster_touches_nothing_until_it_is_told_to_take_over() -> None:
    async with agent_at_work() as world:
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1))
        await world.kill()
        (made,) = world.objects(kinds.CONFIG_MAP)
        here = made["data"]["kubeSystemUID"]
        await world.user.patch(kinds.CONFIG_MAP, SYSTEM, made["metadata"]["name"], {"data": {"kubeSystemUID": "old"}})
        world.start()
        await world.instance("batch-worker-1")
        calls = len(world.home.calls)
        await world.clock.advance(1000)
        assert told(world) == ("False", "InstallationMoved")
        assert len(world.home.calls) == calls
        await world.annotate(kinds.CONFIG_MAP, made["metadata"]["name"], take_over=here)
        await world.clock.until(world.all_are("Ready", 2), within=70)
        assert told(world) == ("True", "Ready")


# -- Instances that may not be


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"flavor": "sim.huge"}, "FlavorMissing"),
        ({"image": "somebody-elses"}, "ImageMissing"),
        ({"userDataRef": {"name": "keys"}}, "UserDataMissing"),
        ({"userDataRef": {"name": "none"}}, "UserDataMissing"),
        ({"userDataRef": {"name": "big"}}, "UserDataTooLarge"),
    ],
)
@on_virtual_time
async def test_the_agent_trusts_no_instance(spec: dict[str, Any], reason: str) -> None:
    async with agent_at_work() as world:
        await world.secret("big", "cloudherd.dev/user-data", userData="x" * 16385)
        await world.clock.advance(5)
        await world.instance("batch-worker-0", **spec)
        await world.clock.until(world.all_are("Failed", 1), within=5)
        assert world.ready("batch-worker-0").reason == reason
        assert world.home.count("create_vm") == 0
        await world.delete("batch-worker-0")
        await world.clock.until(lambda: not world.records(), within=1)


@pytest.mark.parametrize(
    ("allowed", "phase"),
    [
        ({"from": "Same"}, "Failed"),
        ({"from": "All"}, "Ready"),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "atlas"}}}, "Ready"),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "cms"}}}, "Failed"),
    ],
)
@on_virtual_time
async def test_who_may_place_instances_here_is_checked_again(allowed: dict[str, Any], phase: str) -> None:
    async with agent_at_work() as world:
        meta = {"name": "guests", "labels": {"team": "atlas"}}
        await world.user.create(kinds.NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
        secret = {**world.objects(kinds.SECRET)[0], "metadata": {"name": "data", "namespace": "guests"}}
        await world.user.create(kinds.SECRET, secret)
        await patch(world, kinds.CLOUD_ACCOUNT, "home", {"spec": {"allowedNamespaces": allowed}})
        await world.clock.advance(5)
        await world.instance("batch-worker-0", namespace="guests")
        await world.clock.until(world.all_are(phase, 1), within=5)
        if phase == "Failed":
            assert world.ready("batch-worker-0").reason == "NotAllowed"


@on_virtual_time
async def test_an_instance_without_an_account_waits_and_can_go() -> None:
    async with agent_at_work() as world:
        await world.clock.advance(5)
        await world.instance("batch-worker-0", accountRef={"namespace": NAMESPACE, "name": "none"})
        await world.clock.until(lambda: world.records()["batch-worker-0"].condition("Ready") is not None, within=5)
        assert world.ready("batch-worker-0").reason == "AccountMissing"
        await world.delete("batch-worker-0")
        await world.clock.until(lambda: not world.records(), within=5)


@on_virtual_time
async def test_a_record_robbed_of_its_account_goes_only_when_somebody_abandons_its_vm() -> None:
    async with agent_at_work() as world:
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1))
        await remove(world, kinds.CLOUD_ACCOUNT, "home")
        await patch(world, kinds.CLOUD_ACCOUNT, "home", {"metadata": {"finalizers": []}})
        await world.delete("batch-worker-0")
        await world.clock.advance(100)
        assert world.ready("batch-worker-0").reason == "AccountMissing"
        await world.annotate(kinds.INSTANCE, "batch-worker-0", abandon="true")
        await world.clock.until(lambda: not world.records(), within=5)
        assert any(event.startswith("Abandoned") for event in world.events())
