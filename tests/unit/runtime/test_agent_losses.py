"""VMs that vanish, clouds that cannot be reached, lists that lie: what is not seen is not lost."""

from __future__ import annotations

from typing import Literal

import pytest

from cloudherd.agent.settings import AgentSettings
from cloudherd.clouds.protocol import CloudError, ErrorKind, VMState
from cloudherd.runtime import kinds
from tests.fakes.agentworld import World, agent_at_work
from tests.fakes.clock import on_virtual_time
from tests.fakes.cloud import NO_TOKENS, TOKENS

When = Literal["before", "after"]
DOWN = CloudError(ErrorKind.UNREACHABLE, "ConnectTimeout", "no answer")
DENIED = CloudError(ErrorKind.DENIED, "AuthFailure", "the key is not known")


async def some_ready(world: World, count: int, first: int = 0) -> list[str]:
    names = await world.instances(count, first)
    await world.clock.until(lambda: list(world.phases().values()).count("Ready") == count + first)
    await world.clock.advance(20)
    return names


@on_virtual_time
async def test_a_vanished_vm_fails_its_instance_and_costs_one_look() -> None:
    async with agent_at_work() as world:
        names = await some_ready(world, 4)
        world.home.vanish("vm-2")
        await world.clock.until(lambda: "Failed" in world.phases().values(), within=70)
        failed = [name for name in names if world.phases()[name] == "Failed"]
        assert len(failed) == 1
        assert world.ready(failed[0]).reason == "VMVanished"
        assert world.home.count("get_vm") == 1
        assert any(event.startswith("VMVanished") for event in world.events())
        await world.delete(*failed)
        await world.clock.until(lambda: len(world.records()) == 3, within=10)


@pytest.mark.parametrize(
    ("state", "reason"), [(VMState.STOPPED, "VMStopped"), (VMState.ERROR, "VMError"), (VMState.DELETING, "VMVanished")]
)
@on_virtual_time
async def test_a_vm_that_does_not_run_any_more_fails_its_instance_in_the_clouds_words(
    state: VMState, reason: str
) -> None:
    async with agent_at_work() as world:
        await some_ready(world, 3)
        world.home.break_("vm-1", state, "host failure 42")
        await world.clock.until(lambda: "Failed" in world.phases().values(), within=70)
        (failed,) = [name for name, phase in world.phases().items() if phase == "Failed"]
        assert world.ready(failed).reason == reason
        assert "host failure 42" in world.ready(failed).message


@on_virtual_time
async def test_a_vm_that_a_list_hides_but_the_cloud_shows_is_not_lost() -> None:
    async with agent_at_work() as world:
        await some_ready(world, 3)
        world.home.hidden = {"vm-1", "vm-2"}
        await world.clock.advance(300)
        assert set(world.phases().values()) == {"Ready"}
        await world.delete(*world.records())
        await world.clock.until(lambda: not world.records(), within=60)
        assert not world.home.alive()


@on_virtual_time
async def test_an_incomplete_list_says_nothing_of_what_it_lacks() -> None:
    async with agent_at_work() as world:
        await some_ready(world, 3)
        world.home.complete, world.home.hidden = False, {"vm-1", "vm-2", "vm-3"}
        await world.clock.until(lambda: world.condition("Ready").status == "False", within=70)  # type: ignore[union-attr]
        await world.clock.advance(100)
        assert set(world.phases().values()) == {"Ready"}
        assert world.home.count("get_vm") == 0


@on_virtual_time
async def test_many_vms_lost_at_once_freeze_the_account_until_somebody_agrees() -> None:
    async with agent_at_work() as world:
        await some_ready(world, 8)
        world.home.vanish(*(f"vm-{number}" for number in range(1, 7)))
        await world.clock.until(lambda: world.condition("MassLoss") is not None, within=70)
        condition = world.condition("MassLoss")
        assert condition is not None
        assert condition.status == "True"
        assert "6 of 8 VMs" in condition.message
        ready = world.condition("Ready")
        assert ready is not None
        assert (ready.status, ready.reason) == ("False", "MassLoss")
        await world.clock.advance(600)
        assert set(world.phases().values()) == {"Ready"}
        unknown = [name for name in world.records() if world.ready(name).reason == "MassLoss"]
        assert len(unknown) == 6

        await world.annotate(kinds.CLOUD_ACCOUNT, "home", accept_loss="another-set")
        await world.clock.advance(5)
        assert "Failed" not in world.phases().values()
        digest = condition.message.rsplit(" ", 1)[1]
        await world.annotate(kinds.CLOUD_ACCOUNT, "home", accept_loss=digest)
        await world.clock.until(lambda: list(world.phases().values()).count("Failed") == 6, within=5)
        assert world.condition("MassLoss").status == "False"  # type: ignore[union-attr]
        assert world.condition("Ready").status == "True"  # type: ignore[union-attr]


@on_virtual_time
async def test_a_service_lost_as_a_whole_is_frozen_alone_and_the_account_goes_on() -> None:
    async with agent_at_work() as world:
        names = await some_ready(world, 6)
        for slot in range(10):
            await world.instance(f"batch-store-{slot}")
        await world.clock.until(world.all_are("Ready", 16))
        await world.clock.advance(20)
        stores = [one.id for one in world.home.alive() if "store" in one.request.name]
        world.home.vanish(*(one.id for one in world.home.alive() if one.id not in stores), stores[0])
        await world.clock.until(lambda: "Failed" in world.phases().values(), within=120)
        await world.clock.advance(300)
        assert list(world.phases().values()).count("Failed") == 1
        assert {world.ready(name).reason for name in names} == {"MassLoss"}
        loss = world.condition("MassLoss")
        assert loss is not None
        assert "6 of 6 VMs of physics/batch worker look lost at once" in loss.message
        assert world.condition("Ready").status == "True"  # type: ignore[union-attr]
        assert any(event.startswith("MassLoss home: 6 of 6 VMs of physics/batch worker") for event in world.events())
        await world.kill()
        world.start()
        await world.instance("batch-other-0")
        await world.clock.until(lambda: world.phases()["batch-other-0"] == "Ready", within=70)
        await world.annotate(kinds.CLOUD_ACCOUNT, "home", accept_loss=loss.message.rsplit(" ", 1)[1])
        await world.clock.until(lambda: list(world.phases().values()).count("Failed") == 7, within=300)


@on_virtual_time
async def test_losses_that_trickle_in_are_still_many_at_once() -> None:
    async with agent_at_work() as world:
        await some_ready(world, 8)
        world.home.boot = 600
        await world.instance("batch-moving-0")  # so that it polls every two seconds
        for number in range(1, 9):
            world.home.vanish(f"vm-{number}")
            await world.clock.advance(3)
        await world.clock.advance(60)
        assert list(world.phases().values()).count("Failed") <= 4
        assert world.condition("MassLoss") is not None


@on_virtual_time
async def test_looks_that_fail_do_not_make_many_losses_a_few() -> None:
    async with agent_at_work() as world:
        await some_ready(world, 8)

        def fault(operation: str, when: When, what: str) -> None:
            if operation == "get_vm" and any(what.endswith(vm) for vm in ("vm-1", "vm-2", "vm-3", "vm-4")):
                raise CloudError(ErrorKind.UNREACHABLE, "HTTP500")

        world.home.fault = fault
        world.home.vanish(*(f"vm-{number}" for number in range(1, 9)))
        await world.clock.advance(300)
        assert set(world.phases().values()) == {"Ready"}
        world.home.fault = None
        await world.clock.until(lambda: world.condition("MassLoss") is not None, within=400)


@on_virtual_time
async def test_a_frozen_account_thaws_when_its_vms_are_seen_again() -> None:
    async with agent_at_work() as world:
        await some_ready(world, 8)
        gone = {one.id: one.gone_at for one in world.home.alive()}
        world.home.vanish(*gone)
        await world.clock.until(lambda: world.condition("MassLoss") is not None, within=70)
        await world.kill()
        world.start()
        for _ in range(100):
            await world.clock.advance(3)
            assert set(world.phases().values()) == {"Ready"}
            assert world.condition("MassLoss").status == "True"  # type: ignore[union-attr]
        for one in world.home.machines.values():
            one.ends_at = one.gone_at = float("inf")
        await world.clock.until(
            lambda: {world.ready(name).reason for name in world.records()} == {"ServiceReady"}, within=70
        )
        assert world.condition("Ready").status == "True"  # type: ignore[union-attr]


@pytest.mark.parametrize(("error", "reason"), [(DOWN, "Unreachable"), (DENIED, "CredentialsRefused")])
@on_virtual_time
async def test_an_account_out_of_sight_turns_its_instances_unknown_and_back(error: CloudError, reason: str) -> None:
    async with agent_at_work() as world:
        await some_ready(world, 50)
        world.home.down = error
        await world.clock.until(lambda: world.condition("Ready").reason == reason, within=70)  # type: ignore[union-attr]
        valid = world.condition("CredentialsValid")
        assert valid is not None
        assert valid.status == ("False" if error is DENIED else "True")

        writes = world.writes()
        await world.clock.until(lambda: world.writes() > writes, within=200)
        begun = world.clock.monotonic()
        await world.clock.until(
            lambda: all(world.ready(name).reason == "AccountUnreachable" for name in world.records()), within=10
        )
        assert world.clock.monotonic() - begun >= 2  # 20 a second
        assert set(world.phases().values()) == {"Ready"}
        writes = world.writes()
        await world.clock.advance(600)
        assert world.writes() == writes

        world.home.down = None
        await world.clock.until(lambda: all(world.ready(name).status == "True" for name in world.records()), within=70)
        assert world.condition("Ready").status == "True"  # type: ignore[union-attr]
        assert world.home.count("create_vm") == 50
        assert world.home.count("destroy_vm") == 0


@on_virtual_time
async def test_a_launch_waits_for_a_cloud_that_comes_back() -> None:
    for capabilities in (TOKENS, NO_TOKENS):
        async with agent_at_work(capabilities=capabilities) as world:
            world.home.down = DOWN
            await world.clock.advance(100)
            await world.instances(3)
            await world.clock.advance(400)
            assert set(world.phases().values()) == {"Pending"}
            assert world.home.count("create_vm") == 0
            world.home.down = None
            await world.clock.until(world.all_are("Ready", 3), within=100)


@on_virtual_time
async def test_launches_alone_may_be_denied_and_are_probed_now_and_then() -> None:
    async with agent_at_work() as world:

        def fault(operation: str, when: When, what: str) -> None:
            if operation == "create_vm" and world.clock.monotonic() < 400:
                raise CloudError(ErrorKind.DENIED, "UnauthorizedOperation", "not for you")

        world.home.fault = fault
        await world.clock.advance(5)
        await world.instances(3)
        await world.clock.advance(300)
        assert world.condition("Ready").reason == "CredentialsRefused"  # type: ignore[union-attr]
        assert world.home.count("create_vm") <= 12
        await world.clock.until(world.all_are("Ready", 3), within=600)
        await world.clock.until(lambda: world.condition("Ready").status == "True", within=70)  # type: ignore[union-attr]


@on_virtual_time
async def test_nothing_is_forgotten_while_the_cloud_refuses_to_end_it() -> None:
    async with agent_at_work() as world:
        await some_ready(world, 2)

        def fault(operation: str, when: When, what: str) -> None:
            if operation == "destroy_vm":
                raise CloudError(ErrorKind.INVALID, "OperationNotPermitted", "termination protection is on")

        world.home.fault = fault
        await world.delete("batch-worker-0")
        await world.clock.advance(300)
        assert len(world.records()) == 2
        assert "termination protection" in world.ready("batch-worker-0").message
        assert world.home.count("destroy_vm") < 20
        world.home.fault = None
        await world.clock.until(lambda: len(world.records()) == 1, within=400)
        assert len(world.home.alive()) == 1


@on_virtual_time
async def test_a_cloud_that_forgets_the_tags_of_all_vms_at_once_is_not_believed() -> None:
    async with agent_at_work() as world:
        await some_ready(world, 8)
        tags = {one.id: one.tags for one in world.home.alive()}
        for one in world.home.alive():
            one.tags = {}
        await world.clock.until(lambda: world.condition("MassLoss") is not None, within=200)
        await world.clock.advance(1000)
        assert set(world.phases().values()) == {"Ready"}
        for one in world.home.alive():
            one.tags = tags[one.id]
        await world.clock.until(lambda: world.condition("Ready").status == "True", within=70)  # type: ignore[union-attr]
        assert {world.ready(name).reason for name in world.records()} == {"ServiceReady"}


@on_virtual_time
async def test_a_launch_that_does_not_reach_the_cloud_holds_the_others_back_until_it_is_listed_again() -> None:
    async with agent_at_work(settings=AgentSettings(concurrent_launches=2)) as world:
        await world.clock.advance(5)

        def fault(operation: str, when: When, what: str) -> None:
            if world.clock.monotonic() < 100:
                raise DOWN

        world.home.fault = fault
        await world.instances(20)
        await world.clock.advance(90)
        assert world.home.count("create_vm") <= 4
        await world.clock.until(world.all_are("Ready", 20), within=200)
        assert len(world.home.machines) == 20
