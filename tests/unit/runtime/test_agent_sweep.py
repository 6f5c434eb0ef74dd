"""The sweep for orphans: late, few at a time, and never on a list in doubt."""

from __future__ import annotations

from typing import Literal

from cloudherd.agent.settings import AgentSettings
from cloudherd.clouds.protocol import LaunchRequest
from cloudherd.runtime import kinds
from cloudherd.runtime.ports import ApiError
from tests.fakes.agentworld import NAMESPACE, World, agent_at_work
from tests.fakes.apiserver import Call
from tests.fakes.clock import on_virtual_time

When = Literal["before", "after"]
SOON = AgentSettings(orphan_age=120, predecessor_age=300)


def orphan(world: World, name: str, **tags: str) -> str:
    """A VM that bears our tags, of an Instance that does not exist."""
    model = next(iter(world.home.machines.values())).request
    own = {**model.tags, "cloudherd-name": name, "cloudherd-id": f"id-of-{name}", **tags}
    request = LaunchRequest(token=name, name=name, flavor="sim.small", image="sim-debian-12", tags=own)
    return world.home.add(request).id


async def some_ready(world: World, count: int) -> None:
    await world.instances(count)
    await world.clock.until(world.all_are("Ready", count))


@on_virtual_time
async def test_an_orphan_is_ended_when_it_is_old_enough_by_our_own_clock() -> None:
    async with agent_at_work(settings=SOON) as world:
        await some_ready(world, 2)
        vm = orphan(world, "batch-worker-7")
        await world.clock.advance(119)
        assert world.home.count("destroy_vm") == 0
        await world.kill()
        world.start()
        await world.clock.advance(100)
        assert world.home.count("destroy_vm") == 0  # the wait starts anew with the process
        await world.clock.until(lambda: world.home.count("destroy_vm") == 1, within=150)
        await world.clock.advance(1000)
        assert [one.id for one in world.home.alive()] == ["vm-1", "vm-2"]
        assert vm == "vm-3"
        assert any(event.startswith("OrphanEnded home") for event in world.events())


@on_virtual_time
async def test_vms_of_others_are_counted_and_never_touched() -> None:
    async with agent_at_work(settings=SOON) as world:
        await some_ready(world, 1)
        orphan(world, "a", **{"cloudherd-installation": "another"})
        orphan(world, "b", **{"cloudherd-account": "physics.other"})
        model = LaunchRequest(token="c", name="c", flavor="sim.large", image="i", tags={"team": "atlas"})
        world.home.add(model)
        await world.clock.advance(1000)
        assert world.home.count("destroy_vm") == 0
        status = world.account_now().status
        assert status.foreign is not None
        assert (status.foreign.instances, status.foreign.cpus, status.foreign.memory) == (3, 6, "12Gi")
        assert status.used is not None
        assert (status.used.instances, status.used.cpus) == (1, 1)


@on_virtual_time
async def test_only_a_few_are_ended_at_a_time() -> None:
    async with agent_at_work(settings=AgentSettings(orphan_age=120, sweep_cap=2)) as world:
        await some_ready(world, 2)
        for number in range(6):
            orphan(world, f"batch-old-{number}")
        await world.clock.until(lambda: world.home.count("destroy_vm") > 0, within=200)
        await world.clock.settle()
        assert world.home.count("destroy_vm") == 2
        await world.clock.until(lambda: len(world.home.alive()) == 2, within=300)


@on_virtual_time
async def test_with_no_instance_at_all_nothing_is_ended() -> None:
    async with agent_at_work(settings=SOON) as world:
        await some_ready(world, 3)
        await world.kill()
        for name, record in world.records().items():
            await world.user.patch(kinds.INSTANCE, NAMESPACE, name, {"metadata": {"finalizers": []}})
            await world.user.delete(kinds.INSTANCE, NAMESPACE, name, uid=record.uid)
        world.start()
        await world.clock.advance(3000)
        assert len(world.home.alive()) == 3


@on_virtual_time
async def test_records_that_vanish_behind_our_back_stop_the_sweep() -> None:
    async with agent_at_work(settings=SOON) as world:
        await some_ready(world, 9)
        await world.clock.advance(100)
        for name in [f"batch-worker-{slot}" for slot in range(8)]:
            await world.user.patch(kinds.INSTANCE, NAMESPACE, name, {"metadata": {"finalizers": []}})
        await world.delete(*(f"batch-worker-{slot}" for slot in range(8)))
        await world.clock.advance(119)
        assert len(world.home.alive()) == 9


@on_virtual_time
async def test_the_named_instance_is_read_live_before_anything_is_ended() -> None:
    async with agent_at_work(settings=SOON) as world:
        await some_ready(world, 2)
        vm = orphan(world, "batch-worker-7")

        async def fault(call: Call, when: When) -> None:
            if call.verb == "get" and call.kind == kinds.INSTANCE and call.name == "batch-worker-7":
                raise ApiError("InternalError", "", 500)

        world.server.fault = fault
        await world.clock.advance(1000)
        assert world.home.shown(vm) is not None
        world.server.fault = None
        await world.clock.until(lambda: world.home.shown(vm) is None, within=100)


@on_virtual_time
async def test_the_second_vm_of_one_instance_is_ended() -> None:
    async with agent_at_work(settings=SOON) as world:
        await some_ready(world, 2)
        record = world.records()["batch-worker-0"]
        vm = orphan(world, "batch-worker-0", **{"cloudherd-id": record.spec.id})
        await world.clock.advance(200)
        assert world.home.shown(vm) is not None
        await world.clock.until(lambda: world.home.shown(vm) is None, within=300)
        assert len(world.home.alive()) == 2
        assert set(world.phases().values()) == {"Ready"}
