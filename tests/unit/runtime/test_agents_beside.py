"""Two agents of one account: one after the other, or by mistake at the same time."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from cloudherd.runtime import kinds
from cloudherd.runtime.ports import ApiError
from tests.fakes.agentworld import NAMESPACE, World, agent_at_work
from tests.fakes.apiserver import Call
from tests.fakes.clock import on_virtual_time
from tests.fakes.cloud import NO_TOKENS, TOKENS

When = Literal["before", "after"]


def unclaimed(world: World) -> list[str]:
    """The Instances whose launch reached the cloud without a word of it in their status; told as it goes on."""
    found: list[str] = []

    def look(operation: str, when: When, what: str) -> None:
        waiting = [one for one in world.records().values() if one.condition("Launched") is None]
        if operation == "create_vm" and when == "before":
            found.extend(one.name for one in waiting if what.startswith(one.name))

    world.home.fault = look
    return found


@on_virtual_time
async def test_the_account_names_the_agent_that_began_last_and_nobody_fights_over_it() -> None:
    async with agent_at_work() as world:
        assert world.account_now().status.agent == "agent-1"
        world.start()
        await world.clock.until(lambda: world.account_now().status.agent == "agent-2", within=10)
        await world.clock.advance(10)
        (told,) = [event for event in world.events() if event.startswith("AnotherAgent")]
        assert "agent-2 began to serve this account, which agent-1 still does" in told
        version = world.server.version
        await world.clock.advance(300)
        assert world.server.version == version


@on_virtual_time
async def test_what_was_made_for_it_an_agent_launches_without_a_claim() -> None:
    async with agent_at_work() as world:
        without = unclaimed(world)
        names = await world.instances(3)
        await world.clock.until(world.all_are("Ready", 3))
        assert sorted(without) == names


@on_virtual_time
async def test_what_was_made_for_an_earlier_agent_is_claimed_first() -> None:
    async with agent_at_work() as world:
        without = unclaimed(world)
        await world.kill()
        await world.instances(3)
        world.start()
        await world.clock.until(world.all_are("Ready", 3))
        assert without == []
        assert len(world.home.machines) == 3


@on_virtual_time
async def test_a_record_outlives_the_launch_that_another_agent_has_under_way() -> None:
    """Of which nothing is written, and nothing shows at the cloud."""
    async with agent_at_work(capabilities=replace(TOKENS, visibility_seconds=0)) as world:
        readers = iter(["the first one"])

        async def fault(call: Call, when: When) -> None:
            if (call.name, when) == ("more", "before") and not next(readers, ""):
                raise ApiError("InternalError", "", 500)

        await world.instance("batch-other-0", agent="agent-2")
        world.start()
        await world.clock.until(world.all_are("Ready", 1), within=100)
        await world.secret("more", "cloudherd.dev/user-data", userData="#!/bin/sh")
        world.server.fault = fault  # so that only one of them gets as far as the launch
        world.home.fault = lambda operation, *_: world.clock.sleep(150) if operation == "create_vm" else None
        await world.instance("batch-worker-0", agent="agent-1", userDataRef={"name": "more"})
        await world.clock.advance(1)
        await world.delete("batch-worker-0")
        await world.clock.until(lambda: len(world.home.machines) == 2, within=200)
        assert "batch-worker-0" in world.records()
        world.server.fault = None
        await world.clock.until(lambda: list(world.records()) == ["batch-other-0"], within=900)
        assert len(world.home.alive()) == 1


@on_virtual_time
async def test_an_agent_that_is_refused_leaves_the_record_to_the_one_that_it_was_made_for() -> None:
    async with agent_at_work(capacity=0) as world:
        await world.instance("batch-worker-0", agent="another")
        await world.clock.until(world.all_are("Failed", 1), within=30)
        launched = world.records()["batch-worker-0"].condition("Launched")
        assert launched is not None
        assert (launched.status, launched.reason) == ("False", "ClaimWithdrawn")
        await world.delete("batch-worker-0")
        await world.clock.advance(500)
        assert world.records(), "the one that it was made for may still have a launch under way"
        await world.clock.until(lambda: not world.records(), within=200)


@on_virtual_time
async def test_a_claim_that_meets_a_deletion_launches_nothing() -> None:
    async with agent_at_work() as world:

        async def fault(call: Call, when: When) -> None:
            if (call.kind, call.subresource, when) == (kinds.INSTANCE, "status", "before"):
                world.server.fault = None
                await world.delete("batch-worker-0")

        world.server.fault = fault
        await world.instance("batch-worker-0", agent="another")
        await world.clock.until(lambda: not world.records(), within=900)
        assert not world.home.machines


@on_virtual_time
async def test_without_tokens_what_was_made_for_another_agent_waits_for_the_vm_that_it_may_have() -> None:
    async with agent_at_work(capabilities=NO_TOKENS) as world:
        await world.clock.advance(5)
        await world.instance("batch-worker-0", agent="another")
        await world.instance("batch-worker-1")
        await world.clock.until(lambda: world.home.names() == ["batch-worker-1"], within=30)
        await world.clock.advance(NO_TOKENS.visibility_seconds / 2)
        assert world.home.names() == ["batch-worker-1"]
        await world.clock.until(world.all_are("Ready", 2), within=300)


@on_virtual_time
async def test_objects_that_vanish_and_come_back_with_their_account_find_their_vms_without_tokens() -> None:
    async with agent_at_work(capabilities=NO_TOKENS) as world:
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1), within=100)
        saved = {kind: world.objects(kind)[0] for kind in (kinds.CLOUD_ACCOUNT, kinds.INSTANCE)}
        for kind, one in saved.items():
            name, uid = one["metadata"]["name"], one["metadata"]["uid"]
            await world.user.patch(kind, NAMESPACE, name, {"metadata": {"finalizers": []}})
            await world.user.delete(kind, NAMESPACE, name, uid=uid)
        await world.clock.advance(10)
        world.home.hidden = set(world.home.machines)
        for kind, one in saved.items():
            meta = {key: one["metadata"][key] for key in ("name", "namespace", "finalizers")}
            await world.user.create(kind, {**one, "metadata": meta, "status": {}})
            await world.clock.advance(3)
        await world.clock.advance(NO_TOKENS.visibility_seconds / 2)
        world.home.hidden = set()
        await world.clock.until(world.all_are("Ready", 1), within=300)
        assert len(world.home.machines) == 1
