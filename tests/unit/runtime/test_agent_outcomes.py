"""Lost answers, lagging lists, crashes in the worst places: one record, one VM, whatever happens."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from cloudherd.agent.settings import AgentSettings
from cloudherd.clouds.protocol import Capabilities, CloudError, ErrorKind, VMState
from cloudherd.runtime import kinds
from cloudherd.runtime.ports import ApiError
from tests.fakes.agentworld import NAMESPACE, agent_at_work
from tests.fakes.apiserver import Call
from tests.fakes.clock import on_virtual_time, run_virtually
from tests.fakes.cloud import LATE_TAGS, NO_TOKENS, TOKENS, FakeCloud

When = Literal["before", "after"]
LOST = CloudError(ErrorKind.UNKNOWN, "Timeout", "no answer came")


def loses_replies(cloud: FakeCloud, *, of: str = "create_vm", times: int = 1) -> None:
    left = [times]

    def fault(operation: str, when: When, what: str) -> None:
        if operation == of and when == "after" and left[0]:
            left[0] -= 1
            raise LOST

    cloud.fault = fault


@on_virtual_time
async def test_a_creation_whose_answer_is_lost_is_adopted_from_the_next_listing() -> None:
    async with agent_at_work() as world:
        loses_replies(world.home)
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1), within=10)
        assert len(world.home.machines) == 1
        assert world.home.count("create_vm") == 1


@on_virtual_time
async def test_while_its_outcome_is_not_known_an_instance_says_so() -> None:
    async with agent_at_work(lag=30) as world:
        loses_replies(world.home)
        await world.instance("batch-worker-0")
        await world.clock.settle()
        assert world.ready("batch-worker-0").reason == "OutcomeUnknown"
        await world.clock.until(world.all_are("Ready", 1), within=60)
        launched = world.records()["batch-worker-0"].condition("Launched")
        assert launched is None or launched.status == "True"


@on_virtual_time
async def test_the_same_token_is_tried_again_while_lists_lag_and_gives_the_same_vm() -> None:
    async with agent_at_work(lag=120) as world:
        loses_replies(world.home, times=3)
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1), within=300)
        assert len(world.home.machines) == 1


@pytest.mark.parametrize("capabilities", [TOKENS, NO_TOKENS], ids=["tokens", "no tokens"])
@on_virtual_time
async def test_a_launch_that_nobody_was_asked_for_leaves_no_doubt(capabilities: Capabilities) -> None:
    async with agent_at_work(capabilities=capabilities) as world:
        world.home.down = CloudError(ErrorKind.UNREACHABLE, "ConnectionRefused", never_sent=True)
        await world.instance("batch-worker-0")
        await world.clock.until(lambda: world.home.count("create_vm") == 1)
        await world.clock.settle()
        assert world.ready("batch-worker-0").reason == "NotAsked"
        await world.clock.advance(60)
        world.home.down = None
        await world.clock.until(world.all_are("Ready", 1), within=90)
        assert len(world.home.machines) == 1


@on_virtual_time
async def test_without_tokens_the_instance_is_claimed_before_the_call() -> None:
    async with agent_at_work(capabilities=NO_TOKENS, latency=3) as world:
        await world.clock.advance(20)
        await world.instance("batch-worker-0")
        await world.clock.advance(1)
        launched = world.records()["batch-worker-0"].condition("Launched")
        assert launched is not None
        assert launched.status == "Unknown"
        assert not world.home.machines
        await world.clock.until(world.all_are("Ready", 1), within=10)
        launched = world.records()["batch-worker-0"].condition("Launched")
        assert launched is not None
        assert launched.status == "True"


@on_virtual_time
async def test_without_tokens_a_lost_answer_is_waited_out_before_anything_is_tried_again() -> None:
    async with agent_at_work(capabilities=NO_TOKENS) as world:

        def fault(operation: str, when: When, what: str) -> None:
            if operation == "create_vm" and when == "before" and world.home.count("create_vm") == 1:
                raise LOST  # and nothing is made

        world.home.fault = fault
        await world.instance("batch-worker-0")
        await world.clock.advance(599)
        assert world.home.count("create_vm") == 1
        await world.clock.until(world.all_are("Ready", 1), within=60)
        assert world.home.count("create_vm") == 2


@on_virtual_time
async def test_without_tokens_a_creation_that_comes_ten_minutes_late_is_adopted() -> None:
    async with agent_at_work(capabilities=replace(NO_TOKENS, visibility_seconds=60)) as world:
        api_launch = world.home.launch

        def late(request):  # type: ignore[no-untyped-def]
            world.home.add(request, after=590)
            raise LOST

        world.home.launch = late  # type: ignore[method-assign]
        await world.instance("batch-worker-0")
        await world.clock.advance(1)
        world.home.launch = api_launch  # type: ignore[method-assign]
        await world.clock.until(world.all_are("Ready", 1), within=700)
        assert len(world.home.machines) == 1


@on_virtual_time
async def test_a_record_deleted_after_a_lost_answer_waits_for_the_vm_that_may_still_come() -> None:
    async with agent_at_work() as world:

        def late(request):  # type: ignore[no-untyped-def]
            world.home.add(request, after=550)
            raise LOST

        world.home.launch = late  # type: ignore[method-assign]
        await world.instance("batch-worker-0")
        await world.clock.settle()
        await world.delete("batch-worker-0")
        await world.clock.advance(500)
        assert world.records()
        await world.clock.until(lambda: not world.records(), within=200)
        assert len(world.home.machines) == 1
        assert not world.home.alive()


@on_virtual_time
async def test_a_new_vm_that_lists_hide_for_two_minutes_is_neither_lost_nor_launched_again() -> None:
    async with agent_at_work(lag=120, capabilities=replace(TOKENS, visibility_seconds=180)) as world:
        await world.instance("batch-worker-0")
        await world.clock.advance(400)
        assert world.phases() == {"batch-worker-0": "Ready"}
        assert world.home.count("create_vm") == 1


@on_virtual_time
async def test_a_cloud_whose_lists_lag_takes_the_record_only_when_the_vm_is_gone() -> None:
    async with agent_at_work(lag=30, shutdown=20) as world:
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1))
        await world.delete("batch-worker-0")
        await world.clock.until(lambda: not world.records(), within=100)
        assert not world.home.alive()


@pytest.mark.parametrize("after", [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 8.0])
@pytest.mark.parametrize("tokens", [True, False])
def test_killed_at_any_point_of_a_launch_and_started_again_it_makes_one_vm(after: float, tokens: bool) -> None:
    async def story() -> None:
        capabilities = TOKENS if tokens else NO_TOKENS
        async with agent_at_work(latency=1, boot=4, capabilities=capabilities) as world:
            await world.instance("batch-worker-0")
            for _ in range(4):
                await world.clock.advance(after)
                await world.kill()
                world.start()
            await world.clock.until(world.all_are("Ready", 1), within=900)
            assert len(world.home.machines) == 1

    run_virtually(story())


@pytest.mark.parametrize("after", [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 8.0])
def test_killed_at_any_point_of_a_deletion_and_started_again_it_leaves_none(after: float) -> None:
    async def story() -> None:
        async with agent_at_work(latency=1, shutdown=3) as world:
            await world.instances(3)
            await world.clock.until(world.all_are("Ready", 3))
            await world.delete(*world.records())
            for _ in range(4):
                await world.clock.advance(after)
                await world.kill()
                world.start()
            await world.clock.until(lambda: not world.records(), within=300)
            assert not world.home.alive()

    run_virtually(story())


@pytest.mark.parametrize("reason", ["Conflict", "InternalError", "Unreachable"])
@on_virtual_time
async def test_a_write_that_fails_loses_no_provider_id(reason: str) -> None:
    async with agent_at_work() as world:
        left = [3]

        async def fault(call: Call, when: When) -> None:
            if call.subresource == "status" and call.kind == kinds.INSTANCE and when == "before" and left[0]:
                left[0] -= 1
                raise ApiError(reason, "", 500)

        world.server.fault = fault
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1), within=60)
        assert world.home.count("create_vm") == 1


@pytest.mark.parametrize("after", [1.0, 2.5, 3.5, 4.5, 5.5, 6.5, 8.0])
@pytest.mark.parametrize("deleted", [True, False])
def test_killed_at_any_point_between_a_launch_and_its_tags_it_leaves_no_stray_vm(after: float, deleted: bool) -> None:
    async def story() -> None:
        async with agent_at_work(latency=3, capabilities=LATE_TAGS) as world:
            await world.clock.advance(30)
            await world.instance("batch-worker-0")
            await world.clock.advance(after)
            await world.kill()
            if deleted:
                await world.delete("batch-worker-0")
            world.start()
            if deleted:
                await world.clock.until(lambda: not world.records(), within=900)
                assert not world.home.alive()
            else:
                await world.clock.until(world.all_are("Ready", 1), within=100)
                (vm,) = world.home.alive()
                assert vm.tags

    run_virtually(story())


@on_virtual_time
async def test_a_vm_that_never_gets_its_tags_goes_with_its_record() -> None:
    async with agent_at_work(capabilities=LATE_TAGS) as world:
        loses_replies(world.home, of="create_vm", times=1000)
        await world.instance("batch-worker-0")
        await world.clock.advance(100)
        assert world.ready("batch-worker-0").reason == "OutcomeUnknown"
        assert len(world.home.machines) == 1
        await world.delete("batch-worker-0")
        await world.clock.until(lambda: not world.records(), within=100)
        assert not world.home.alive()


@on_virtual_time
async def test_of_two_vms_of_one_token_the_one_without_tags_is_ended() -> None:
    async with agent_at_work(capabilities=LATE_TAGS, settings=AgentSettings(predecessor_age=300)) as world:
        await world.instances(2)
        await world.clock.until(world.all_are("Ready", 2))
        twin = world.home.add(world.home.machines["vm-1"].request)
        world.home.untag(twin.id)
        await world.clock.until(lambda: twin not in world.home.alive(), within=400)
        await world.clock.advance(1000)
        assert [one.id for one in world.home.alive()] == ["vm-1", "vm-2"]
        assert set(world.phases().values()) == {"Ready"}


@on_virtual_time
async def test_objects_restored_without_status_find_their_vms() -> None:
    async with agent_at_work() as world:
        await world.instances(6)
        await world.clock.until(world.all_are("Ready", 6))
        await world.kill()
        saved = world.objects(kinds.INSTANCE)
        for one in saved:
            name, uid = one["metadata"]["name"], one["metadata"]["uid"]
            await world.user.patch(kinds.INSTANCE, NAMESPACE, name, {"metadata": {"finalizers": []}})
            await world.user.delete(kinds.INSTANCE, NAMESPACE, name, uid=uid)
        for one in saved:
            meta = {key: one["metadata"][key] for key in ("name", "namespace", "finalizers")}
            await world.user.create(kinds.INSTANCE, {**one, "metadata": meta, "status": {}})
        creations, ends = world.home.count("create_vm"), world.home.count("destroy_vm")
        world.start()
        await world.clock.until(world.all_are("Ready", 6), within=120)
        await world.clock.advance(4000)
        assert (world.home.count("create_vm"), world.home.count("destroy_vm")) == (creations, ends)


@on_virtual_time
async def test_an_account_restored_without_status_refuses_nobody_before_it_knows_its_flavors() -> None:
    async with agent_at_work() as world:
        await world.instance("batch-worker-0", flavor="f-1")
        await world.clock.until(world.all_are("Ready", 1))
        await world.kill()
        for kind, name in ((kinds.CLOUD_ACCOUNT, "home"), (kinds.INSTANCE, "batch-worker-0")):
            bare = {"flavors": None, "conditions": None, "providerID": None, "phase": "Pending", "scope": None}
            await world.user.patch(kind, NAMESPACE, name, {"status": bare}, subresource="status")
        world.home.hidden |= set(world.home.machines)
        loses_replies(world.home, of="sizes")
        world.start()
        await world.clock.until(world.all_are("Ready", 1), within=120)
        assert len(world.home.machines) == 1


@on_virtual_time
async def test_a_launch_waits_while_a_vm_of_its_name_runs_under_another_id() -> None:
    async with agent_at_work() as world:
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1))
        await world.clock.advance(5)
        await world.user.patch(kinds.INSTANCE, NAMESPACE, "batch-worker-0", {"metadata": {"finalizers": []}})
        await world.delete("batch-worker-0")
        await world.instance("batch-worker-0")
        await world.clock.settle()
        await world.clock.until(lambda: world.ready("batch-worker-0").reason == "PredecessorRuns", within=70)
        await world.clock.advance(3000)
        assert len(world.home.alive()) == 1
        await world.clock.until(world.all_are("Ready", 1), within=1000)
        assert len(world.home.alive()) == 1
        assert world.home.alive()[0].id == "vm-2"


@on_virtual_time
async def test_a_vm_that_bears_other_tags_is_not_touched() -> None:
    async with agent_at_work() as world:
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1))
        world.home.machines["vm-1"].tags["cloudherd-installation"] = "another"
        await world.clock.until(world.all_are("Failed", 1), within=70)
        assert world.ready("batch-worker-0").reason == "IdentityConflict"
        await world.delete("batch-worker-0")
        await world.clock.until(lambda: not world.records(), within=70)
        assert world.home.count("destroy_vm") == 0


@on_virtual_time
async def test_a_record_whose_vm_lost_its_tags_stays_until_somebody_decides() -> None:
    async with agent_at_work() as world:
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1))
        world.home.machines["vm-1"].tags.clear()
        await world.clock.until(world.all_are("Failed", 1), within=70)
        await world.delete("batch-worker-0")
        await world.clock.advance(200)
        assert world.ready("batch-worker-0").reason == "IdentityConflict"
        assert world.home.count("destroy_vm") == 0
        await world.annotate(kinds.INSTANCE, "batch-worker-0", abandon="true")
        await world.clock.until(lambda: not world.records(), within=5)
        assert any(event.startswith("Abandoned") for event in world.events())


@on_virtual_time
async def test_creation_accepted_that_ends_in_an_error_fails_with_the_clouds_words() -> None:
    async with agent_at_work(boot=5) as world:
        await world.instance("batch-worker-0")
        await world.clock.settle()
        world.home.break_("vm-1", VMState.ERROR, "No valid host was found")
        await world.clock.until(world.all_are("Failed", 1), within=10)
        ready = world.ready("batch-worker-0")
        assert ready.reason == "VMError"
        assert "No valid host was found" in ready.message
        assert any("No valid host was found" in event for event in world.events())
        await world.delete("batch-worker-0")
        await world.clock.until(lambda: not world.records(), within=10)
        assert not world.home.alive()


@on_virtual_time
async def test_a_vm_whose_record_was_torn_away_while_it_was_made_is_ended_whatever_it_takes() -> None:
    async with agent_at_work(latency=5) as world:
        await world.clock.advance(30)
        await world.instance("batch-worker-0")
        await world.clock.advance(2)
        await world.user.patch(kinds.INSTANCE, NAMESPACE, "batch-worker-0", {"metadata": {"finalizers": []}})
        await world.delete("batch-worker-0")
        loses_replies(world.home, of="destroy_vm", times=2)

        async def fault(call: Call, when: When) -> None:
            if call.verb == "get" and call.kind == kinds.INSTANCE and world.clock.monotonic() < 60:
                raise ApiError("InternalError", "", 500)

        world.server.fault = fault
        await world.clock.until(lambda: not world.home.alive() and bool(world.home.machines), within=100)


@pytest.mark.parametrize("capabilities", [TOKENS, NO_TOKENS], ids=["tokens", "no tokens"])
@on_virtual_time
async def test_two_agents_by_mistake_make_no_vm_twice(capabilities: Capabilities) -> None:
    async with agent_at_work(latency=1, boot=2, capabilities=capabilities) as world:
        world.start()
        await world.clock.advance(10)
        await world.instances(5)
        await world.clock.until(world.all_are("Ready", 5), within=900)
        assert len(world.home.machines) == 5
        await world.delete(*world.records())
        await world.clock.until(lambda: not world.records(), within=100)
        assert not world.home.alive()
