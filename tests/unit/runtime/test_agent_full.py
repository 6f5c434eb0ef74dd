"""Full clouds: a handful of calls, the account told first, and the places found again."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Literal

from cloudherd.agent.settings import AgentSettings
from cloudherd.clouds.protocol import CloudError, ErrorKind, Limits
from cloudherd.runtime import kinds
from tests.fakes.agentworld import World, agent_at_work
from tests.fakes.clock import on_virtual_time
from tests.fakes.cloud import NO_TOKENS

When = Literal["before", "after"]


def refuses(world: World, kind: ErrorKind, code: str, *, flavor_only: bool = False) -> None:
    def fault(operation: str, when: When, what: str) -> None:
        if operation == "create_vm" and when == "before":
            raise CloudError(kind, code, "the cloud's own words", flavor_only=flavor_only)

    world.home.fault = fault


def full(world: World) -> list[tuple[str, str, str]]:
    return [(mark.flavor, mark.image, mark.reason) for mark in world.account_now().status.full]


@on_virtual_time
async def test_a_refused_instance_fails_at_once_and_its_record_can_go_at_once() -> None:
    async with agent_at_work(capacity=1) as world:
        await world.instances(1)
        await world.clock.until(world.all_are("Ready", 1))
        await world.instance("batch-worker-1")
        await world.clock.until(lambda: world.phases()["batch-worker-1"] == "Failed", within=1)
        record = world.records()["batch-worker-1"]
        assert world.ready("batch-worker-1").reason == "CloudFull"
        assert "no more than 1 VMs" in world.ready("batch-worker-1").message
        launched = record.condition("Launched")
        assert launched is not None
        assert (launched.status, launched.reason) == ("False", "Refused")
        await world.delete("batch-worker-1")
        await world.clock.until(lambda: len(world.records()) == 1, within=0.1)


@on_virtual_time
async def test_the_account_says_it_is_full_before_the_instance_fails() -> None:
    async with agent_at_work(capacity=0) as world:
        order: list[str] = []

        async def watch(call, when: When) -> None:  # type: ignore[no-untyped-def]
            if call.subresource == "status" and when == "after":
                order.append(call.kind.kind + (" full" if full(world) else ""))

        world.server.fault = watch
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Failed", 1), within=1)
        assert order.index("CloudAccount full") < order.index("Instance full")
        capacity = world.condition("CapacityAvailable")
        assert capacity is not None
        assert (capacity.status, capacity.reason) == ("False", "CloudFull")


@on_virtual_time
async def test_ten_instances_on_a_full_cloud_cost_a_handful_of_calls() -> None:
    async with agent_at_work(capacity=0, latency=0.5, settings=AgentSettings(concurrent_launches=4)) as world:
        await world.clock.advance(10)
        await world.instances(40)
        await world.clock.until(world.all_are("Failed", 40), within=3)
        assert world.home.count("create_vm") <= 4


@on_virtual_time
async def test_an_hour_of_no_room_costs_a_probe_after_each_doubled_wait() -> None:
    async with agent_at_work(capacity=0) as world:
        end = world.clock.monotonic() + 3600
        slot = 0
        while world.clock.monotonic() < end:
            if not full(world):  # as the gateway does: it binds again as soon as nothing is full
                await world.delete(*world.records())
                await world.clock.advance(0.5)
                slot += 3
                await world.instances(3, first=slot)
            await world.clock.advance(0.5)
        assert 6 <= world.home.count("create_vm") <= 8  # three at once, then one after 1, 3, 7, 15 and 31 minutes


@on_virtual_time
async def test_after_a_mark_launches_go_one_at_a_time_until_one_succeeds() -> None:
    async with agent_at_work(capacity=0, latency=1) as world:
        await world.clock.advance(5)
        await world.instance("batch-worker-0")
        await world.clock.until(lambda: bool(full(world)))
        world.home.capacity = 10
        await world.clock.until(lambda: not full(world), within=70)
        await world.clock.advance(3)
        before = world.home.count("create_vm")
        await world.instances(5, first=1)
        await world.clock.advance(0.9)
        assert world.home.count("create_vm") == before + 1
        await world.clock.advance(1.2)
        assert world.home.count("create_vm") == before + 5
        await world.clock.until(lambda: list(world.phases().values()).count("Ready") == 5, within=5)


@on_virtual_time
async def test_a_launch_that_was_under_way_when_another_was_refused_proves_no_room_when_its_vm_runs() -> None:
    async with agent_at_work(capacity=1, boot=1) as world:

        def fault(operation: str, when: When, what: str) -> Awaitable[None] | None:
            return world.clock.sleep(2) if (operation, when) == ("create_vm", "after") else None

        world.home.fault = fault
        await world.instances(2)
        await world.clock.until(lambda: sorted(world.phases().values()) == ["Failed", "Ready"], within=10)
        await world.clock.advance(10)
        assert full(world) == [("", "", "CloudFull")]


@on_virtual_time
async def test_the_end_of_a_vm_of_ours_lifts_the_mark() -> None:
    async with agent_at_work(capacity=2) as world:
        await world.instances(3)
        await world.clock.until(lambda: sorted(world.phases().values()) == ["Failed", "Ready", "Ready"], within=2)
        assert full(world) == [("", "", "CloudFull")]
        await world.delete(*(name for name, phase in world.phases().items() if phase == "Ready"))
        await world.clock.until(lambda: not full(world), within=10)


@on_virtual_time
async def test_limits_that_grow_lift_the_mark_and_are_asked_only_while_something_is_full() -> None:
    async with agent_at_work(capacity=1) as world:
        await world.instances(1)
        await world.clock.until(world.all_are("Ready", 1))
        await world.clock.advance(300)
        asked = world.home.count("limits")
        world.home.capacity = 2
        await world.instance("batch-worker-1")
        await world.clock.until(world.all_are("Ready", 2))
        await world.instance("batch-worker-2")
        await world.clock.until(lambda: bool(full(world)))
        await world.clock.advance(10)
        world.home.capacity = 5
        await world.clock.until(lambda: not full(world), within=59)
        assert world.home.count("limits") > asked


@on_virtual_time
async def test_a_limit_that_claims_room_where_there_is_none_does_not_lift_the_mark() -> None:
    async with agent_at_work(capacity=0) as world:
        world.home.limits = Limits(instances=100)
        await world.instance("batch-worker-0")
        await world.clock.until(lambda: bool(full(world)))
        await world.clock.advance(55)
        assert full(world)


@on_virtual_time
async def test_a_lack_of_one_flavor_fills_that_flavor_only() -> None:
    async with agent_at_work() as world:
        refuses(world, ErrorKind.FULL, "InsufficientInstanceCapacity", flavor_only=True)
        await world.instance("batch-worker-0")
        await world.clock.until(lambda: bool(full(world)))
        assert full(world) == [("sim.small", "", "CloudFull")]
        world.home.fault = None
        await world.instance("batch-worker-1", flavor="sim.large")
        await world.clock.until(lambda: world.phases()["batch-worker-1"] == "Ready", within=2)


@on_virtual_time
async def test_a_missing_image_is_told_to_all_who_place() -> None:
    async with agent_at_work() as world:
        refuses(world, ErrorKind.NOT_FOUND, "InvalidAMIID.NotFound")
        await world.user.patch(kinds.CLOUD_ACCOUNT, "physics", "home", {"spec": {"images": {"gone": "ami-gone"}}})
        await world.instance("batch-worker-0", image="ami-gone")
        await world.clock.until(world.all_are("Failed", 1), within=2)
        assert world.ready("batch-worker-0").reason == "ImageMissing"
        assert full(world) == [("sim.small", "ami-gone", "ImageMissing")]


@on_virtual_time
async def test_a_request_that_cannot_succeed_is_made_once_and_keeps_nobody_else_out() -> None:
    async with agent_at_work() as world:
        refuses(world, ErrorKind.INVALID, "InvalidParameterValue")
        await world.instances(1, revision="bad")
        await world.clock.until(world.all_are("Failed", 1), within=2)
        assert world.ready("batch-worker-0").reason == "Invalid"
        world.home.fault = None
        await world.instance("batch-worker-1", revision="bad")
        await world.instance("batch-worker-2", revision="good")
        await world.clock.until(lambda: world.phases()["batch-worker-2"] == "Ready", within=2)
        assert world.phases()["batch-worker-1"] == "Failed"
        assert full(world) == []


@on_virtual_time
async def test_a_vm_that_is_made_and_finds_no_place_fills_its_flavor_and_is_ended() -> None:
    async with agent_at_work(boot=1, capabilities=NO_TOKENS) as world:
        world.home.hosts = 1
        order: list[str] = []

        async def watch(call, when: When) -> None:  # type: ignore[no-untyped-def]
            if call.subresource == "status" and when == "after" and full(world):
                order.append(call.kind.kind)

        world.server.fault = watch
        await world.instances(3)
        await world.clock.until(lambda: sorted(world.phases().values()) == ["Failed", "Failed", "Ready"], within=10)
        assert order[0] == "CloudAccount"
        assert full(world) == [("sim.small", "", "CloudFull")]
        failed = [name for name, phase in world.phases().items() if phase == "Failed"]
        assert {world.ready(name).reason for name in failed} == {"CloudFull"}
        await world.delete(*failed)
        await world.clock.until(lambda: len(world.records()) == 1 and len(world.home.alive()) == 1, within=10)
        assert full(world), "a place that nobody had is none that was given back"


@on_virtual_time
async def test_where_launches_are_taken_and_come_to_nothing_the_waits_double_all_the_same() -> None:
    async with agent_at_work(boot=1) as world:
        world.home.hosts = 0
        waits = []
        for slot in range(4):
            await world.instance(f"batch-worker-{slot}")
            await world.clock.until(lambda: bool(full(world)), within=10)
            begun = world.clock.monotonic()
            await world.delete(*world.records())
            await world.clock.until(lambda: not full(world), within=600)
            waits.append(round((world.clock.monotonic() - begun) / 60))
        assert waits == [1, 2, 4, 8]


@on_virtual_time
async def test_a_vm_that_ran_and_then_has_no_place_is_broken_and_says_nothing_of_room() -> None:
    async with agent_at_work() as world:
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1))
        (machine,) = world.home.machines.values()
        machine.no_room = True
        await world.clock.until(world.all_are("Failed", 1), within=90)
        assert world.ready("batch-worker-0").reason == "VMError"
        assert full(world) == []


@on_virtual_time
async def test_throttling_is_waited_out() -> None:
    async with agent_at_work() as world:

        def fault(operation: str, when: When, what: str) -> None:
            if operation == "create_vm" and world.clock.monotonic() < 20:
                raise CloudError(ErrorKind.THROTTLED, "RequestLimitExceeded")

        world.home.fault = fault
        await world.instances(20)
        await world.clock.advance(19)
        assert set(world.phases().values()) == {"Pending"}
        await world.clock.until(world.all_are("Ready", 20), within=60)
        assert world.home.count("create_vm") < 150


@on_virtual_time
async def test_the_memory_of_what_is_full_outlives_a_restart() -> None:
    async with agent_at_work(capacity=0) as world:
        await world.instance("batch-worker-0")
        await world.clock.until(lambda: bool(full(world)))
        calls = world.home.count("create_vm")
        await world.kill()
        world.start()
        await world.clock.advance(10)
        await world.instance("batch-worker-1")
        await world.clock.until(lambda: world.phases()["batch-worker-1"] == "Failed", within=5)
        assert world.home.count("create_vm") == calls
        await world.clock.until(lambda: not full(world), within=60)


@on_virtual_time
async def test_our_quota_is_a_ceiling_whatever_is_bound() -> None:
    async with agent_at_work() as world:
        await world.user.patch(
            kinds.CLOUD_ACCOUNT, "physics", "home", {"spec": {"quota": {"instances": 5, "cpus": 4, "memory": "100Gi"}}}
        )
        await world.clock.settle()
        await world.instances(9)
        await world.clock.until(lambda: "Pending" not in world.phases().values(), within=5)
        await world.clock.advance(5)
        assert len(world.home.alive()) == 4
        refused = [name for name, phase in world.phases().items() if phase == "Failed"]
        assert {world.ready(name).reason for name in refused} == {"QuotaExceeded"}
        assert world.home.count("create_vm") == 4


@on_virtual_time
async def test_two_agents_by_mistake_do_not_write_over_each_other_without_end() -> None:
    async with agent_at_work() as world:
        world.start()
        await world.clock.advance(10)
        calls: list[str] = []

        def fault(operation: str, when: When, what: str) -> None:
            calls.extend([what] if (operation, when) == ("create_vm", "before") else [])
            if operation == "create_vm" and when == "before" and len(calls) == 1:
                raise CloudError(ErrorKind.FULL, "QuotaReached", "no more VMs")  # to one of them only

        world.home.fault = fault
        await world.instance("batch-worker-0")
        await world.clock.advance(50)
        assert len(world.server.writes(kinds.CLOUD_ACCOUNT)) < 5 * 50
