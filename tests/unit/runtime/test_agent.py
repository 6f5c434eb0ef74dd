"""The life of a VM, seen from the API server and from the cloud."""

from __future__ import annotations

from dataclasses import replace

from cloudherd.clouds.protocol import VMState
from cloudherd.runtime import kinds
from tests.fakes.agentworld import agent_at_work
from tests.fakes.clock import on_virtual_time
from tests.fakes.cloud import FOREVER, TOKENS


@on_virtual_time
async def test_a_record_becomes_a_ready_vm_and_goes_only_after_it() -> None:
    async with agent_at_work(boot=5) as world:
        await world.instance("batch-worker-0")
        await world.clock.settle()
        record = world.records()["batch-worker-0"]
        assert record.status.phase == "Launching"
        assert record.status.provider_id == "fake://physics.home/vm-1"

        await world.clock.until(world.all_are("Ready", 1), within=10)
        assert world.ready("batch-worker-0").reason == "ServiceReady"
        assert world.writes() == 3  # record, the cloud's answer, ready

        await world.delete("batch-worker-0")
        await world.clock.until(lambda: not world.records(), within=10)
        assert not world.home.alive()
        assert world.writes() == 5  # deletion, finalizer


@on_virtual_time
async def test_a_cloud_that_answers_with_a_running_vm_costs_one_write_less() -> None:
    async with agent_at_work() as world:
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1), within=1)
        assert world.writes() == 2


@on_virtual_time
async def test_steady_state_costs_one_listing_a_minute_and_no_write() -> None:
    async with agent_at_work(boot=3) as world:
        await world.instances(5)
        await world.clock.until(world.all_are("Ready", 5))
        await world.clock.advance(60)
        version, calls = world.server.version, len(world.home.calls)
        await world.clock.advance(600)
        assert world.server.version == version
        assert len(world.home.calls) - calls == 10


@on_virtual_time
async def test_a_restart_writes_nothing_but_who_serves_the_account_now() -> None:
    async with agent_at_work(boot=3, capacity=6) as world:
        await world.instances(6)
        await world.clock.until(world.all_are("Ready", 6))
        await world.clock.advance(60)
        version = world.server.version
        await world.kill()
        await world.clock.advance(30)
        world.start()
        await world.clock.advance(300)
        assert world.account_now().status.agent == "agent-2"
        assert world.server.version == version + 1


@on_virtual_time
async def test_a_deleted_vm_that_lingers_in_listings_is_gone_without_another_look() -> None:
    async with agent_at_work(linger=3600, shutdown=5) as world:
        await world.instances(3)
        await world.clock.until(world.all_are("Ready", 3))
        await world.delete(*world.records())
        await world.clock.until(lambda: not world.records(), within=20)
        assert world.home.count("get_vm") == 0
        assert not world.home.alive()


@on_virtual_time
async def test_launches_of_one_account_run_side_by_side() -> None:
    async with agent_at_work(latency=5) as world:
        await world.clock.advance(30)
        await world.instances(8)
        await world.clock.until(world.all_are("Ready", 8), within=6)


@on_virtual_time
async def test_a_slow_cloud_holds_no_other_account_up() -> None:
    async with agent_at_work(latency=300) as world:
        world.cloud("far")
        await world.account("far")
        await world.instance("batch-worker-0")
        await world.instance("batch-worker-1", accountRef={"namespace": "physics", "name": "far"})
        await world.clock.until(lambda: world.phases()["batch-worker-1"] == "Ready", within=2)
        assert world.phases()["batch-worker-0"] == "Pending"


@on_virtual_time
async def test_the_vm_bears_all_of_its_identity_and_its_user_data() -> None:
    async with agent_at_work() as world:
        await world.instance("batch-worker-0", tags={"team": "atlas", "cloudherd-id": "stolen"})
        await world.clock.until(world.all_are("Ready", 1))
        record, machine = world.records()["batch-worker-0"], world.home.alive()[0]
        installation = world.objects(kinds.CONFIG_MAP)[0]["data"]["id"]
        assert machine.tags == {
            "team": "atlas",
            "cloudherd-installation": installation,
            "cloudherd-account": "physics.home",
            "cloudherd-namespace": "physics",
            "cloudherd-name": "batch-worker-0",
            "cloudherd-id": record.spec.id,
        }
        assert machine.request.name == f"batch-worker-0-{record.spec.id[:8]}"
        assert machine.request.user_data == b"#cloud-config password=s3cret"
        assert len(machine.request.token) == 43


@on_virtual_time
async def test_a_deletion_in_the_middle_of_a_launch_leaves_no_vm() -> None:
    async with agent_at_work(latency=5, boot=20, shutdown=7) as world:
        await world.clock.advance(30)
        await world.instance("batch-worker-0")
        await world.clock.advance(2)
        await world.delete("batch-worker-0")
        await world.clock.until(lambda: not world.records(), within=60)
        assert world.home.count("create_vm") == 1
        assert not world.home.alive()


@on_virtual_time
async def test_a_cloud_slower_than_a_poll_is_waited_for_and_says_so() -> None:
    async with agent_at_work(shutdown=40) as world:
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1))
        await world.delete("batch-worker-0")
        await world.clock.until(world.all_are("Terminating", 1), within=5)
        await world.clock.until(lambda: not world.records(), within=60)
        assert not world.home.alive()
        assert world.home.count("destroy_vm") == 1


@on_virtual_time
async def test_a_vm_that_never_comes_to_its_end_is_told_once_and_costs_a_listing_a_minute() -> None:
    async with agent_at_work(shutdown=FOREVER) as world:
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1))
        world.home.break_("vm-1", VMState.RUNNING, "EPILOG")
        await world.delete("batch-worker-0")
        await world.clock.until(world.all_are("Terminating", 1), within=5)
        writes = world.writes()
        await world.clock.advance(590)
        assert world.writes() == writes
        await world.clock.advance(20)
        assert world.writes() == writes + 1
        told = world.ready("batch-worker-0")
        assert (told.reason, "whose state there is EPILOG, since 2023-11-14T22:" in told.message) == (
            "EndsSlowly",
            True,
        )
        listings = world.home.count("list_vms")
        await world.clock.advance(3600)
        assert world.home.count("list_vms") - listings <= 61
        await world.kill()
        world.start()
        await world.clock.advance(3600)
        assert (world.writes(), world.ready("batch-worker-0")) == (writes + 1, told)
        assert len([one for one in world.events() if one.startswith("EndsSlowly")]) == 1
        world.home.vanish("vm-1")
        await world.clock.until(lambda: not world.records(), within=90)


@on_virtual_time
async def test_a_launched_vm_is_looked_for_with_every_short_poll_however_long_the_cloud_may_hide_new_ones() -> None:
    async with agent_at_work(boot=5, capabilities=replace(TOKENS, visibility_seconds=60)) as world:
        await world.clock.advance(10)
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1), within=10)
