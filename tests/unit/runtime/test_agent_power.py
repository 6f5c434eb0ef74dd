"""An agent that stops, starts, suspends and gently ends VMs, on virtual time."""

from __future__ import annotations

from dataclasses import replace

from cloudherd.clouds.protocol import CloudError, ErrorKind, Verb, VMState
from cloudherd.runtime import kinds
from tests.fakes.agentworld import NAMESPACE, World, agent_at_work
from tests.fakes.clock import on_virtual_time
from tests.fakes.cloud import TOKENS

ALL = replace(TOKENS, verbs=frozenset(Verb))
NAME = "batch-worker-0"


async def ask(world: World, power_state: str) -> None:
    await world.user.patch(kinds.INSTANCE, NAMESPACE, NAME, {"spec": {"powerState": power_state}})


async def up(world: World, **spec: str) -> None:
    await world.instance(NAME, **spec)
    await world.clock.until(world.all_are("Ready", 1))
    await world.clock.advance(61)  # it is in a listing


def asked(world: World) -> list[str]:
    return [call.what for call in world.home.calls if call.operation == "power"]


def state(world: World) -> VMState:
    return world.home.machines["vm-1"].state(world.home.now())


@on_virtual_time
async def test_it_stops_and_starts_the_same_vm_as_powerstate_asks() -> None:
    async with agent_at_work(capabilities=ALL) as world:
        await up(world)
        for wanted, there in (("Stopped", VMState.STOPPED), ("Suspended", VMState.SUSPENDED)):
            await ask(world, wanted)
            await world.clock.until(lambda wanted=wanted: world.ready(NAME).reason == wanted)  # type: ignore[misc]
            assert state(world) is there
        assert world.phases() == {NAME: "Stopped"}
        await ask(world, "Running")
        await world.clock.until(world.all_are("Ready", 1))
        assert asked(world) == [f"vm-1 {verb}" for verb in ("shut down", "start", "suspend", "resume")]
        assert list(world.home.machines) == ["vm-1"]


@on_virtual_time
async def test_a_vm_that_rests_costs_nothing_but_listings() -> None:
    async with agent_at_work(capabilities=ALL) as world:
        await up(world)
        await ask(world, "Stopped")
        await world.clock.until(world.all_are("Stopped", 1))
        await world.clock.until(lambda: world.ready(NAME).reason == "Stopped")
        await world.clock.advance(120)
        writes, listings = world.writes(), world.home.count("list_vms")
        await world.clock.advance(3600)
        assert world.writes() == writes
        assert world.home.count("list_vms") - listings <= 61
        assert asked(world) == ["vm-1 shut down"]


@on_virtual_time
async def test_a_guest_that_is_deaf_is_switched_off_after_two_minutes() -> None:
    async with agent_at_work(capabilities=ALL) as world:
        await up(world)
        world.home.deaf.add("vm-1")
        await ask(world, "Stopped")
        await world.clock.advance(110)
        assert state(world) is VMState.RUNNING
        await world.clock.until(lambda: world.ready(NAME).reason == "Stopped", within=60)
        assert asked(world)[-1] == "vm-1 stop"


@on_virtual_time
async def test_a_new_agent_neither_replaces_nor_forgets_a_vm_that_rests() -> None:
    async with agent_at_work(capabilities=ALL) as world:
        await up(world)
        await ask(world, "Stopped")
        await world.clock.until(lambda: world.ready(NAME).reason == "Stopped")
        await world.kill()
        await ask(world, "Running")
        world.start()
        await world.clock.until(world.all_are("Ready", 1))
        assert list(world.home.machines) == ["vm-1"]


@on_virtual_time
async def test_what_the_provider_cannot_do_is_a_condition_with_the_reason() -> None:
    async with agent_at_work() as world:
        await up(world)
        await ask(world, "Suspended")
        await world.clock.settle()
        told = world.records()[NAME].condition("Unsupported")
        assert told is not None
        assert (told.status, told.message.partition(",")[0]) == ("True", "spec.powerState Suspended: it stays running")
        assert world.phases() == {NAME: "Ready"}
        await ask(world, "Running")
        await world.clock.settle()
        told = world.records()[NAME].condition("Unsupported")
        assert told is not None
        assert told.status == "False"


@on_virtual_time
async def test_what_the_cloud_refuses_for_this_vm_is_asked_once_and_told() -> None:
    async with agent_at_work(capabilities=ALL) as world:
        await up(world)

        def refuse(operation: str, when: str, what: str) -> None:
            if operation == "power" and when == "before":
                raise CloudError(ErrorKind.INVALID, "UnsupportedOperation", "not with an instance store")

        world.home.fault = refuse
        await ask(world, "Suspended")
        await world.clock.until(lambda: world.records()[NAME].condition("Unsupported") is not None)
        told = world.records()[NAME].condition("Unsupported")
        assert told is not None
        assert told.message.endswith("UnsupportedOperation: not with an instance store")
        await world.clock.advance(600)
        assert len(asked(world)) == 1
        assert world.phases() == {NAME: "Ready"}


@on_virtual_time
async def test_a_busy_cloud_is_asked_again() -> None:
    async with agent_at_work(capabilities=ALL) as world:
        await up(world)
        busy = [CloudError(ErrorKind.BUSY, "IncorrectInstanceState")] * 3

        def refuse(operation: str, when: str, what: str) -> None:
            if operation == "power" and when == "before" and busy:
                raise busy.pop()

        world.home.fault = refuse
        await ask(world, "Stopped")
        await world.clock.until(lambda: world.ready(NAME).reason == "Stopped", within=60)


@on_virtual_time
async def test_a_deletion_gives_the_guest_its_grace_and_no_more() -> None:
    for deaf, least, most in ((False, 0, 10), (True, 120, 140)):
        async with agent_at_work(capabilities=ALL) as world:
            await up(world, deletionGrace="2m")
            if deaf:
                world.home.deaf.add("vm-1")
            began = world.clock.monotonic()
            await world.delete(NAME)
            await world.clock.until(lambda world=world: not world.records(), within=200)  # type: ignore[misc]
            assert least <= world.clock.monotonic() - began <= most
            assert [call.operation for call in world.home.calls if call.operation in ("power", "destroy_vm")] == [
                "power",
                "destroy_vm",
            ]


@on_virtual_time
async def test_a_vm_that_is_in_no_listing_yet_has_its_grace_too() -> None:
    async with agent_at_work(capabilities=ALL) as world:
        await world.instance(NAME, deletionGrace="2m")
        await world.clock.until(world.all_are("Ready", 1))
        await world.delete(NAME)
        await world.clock.until(lambda: not world.records(), within=30)
        assert asked(world) == ["vm-1 shut down"]


@on_virtual_time
async def test_a_grace_that_cannot_be_given_is_told_and_holds_nothing_up() -> None:
    async with agent_at_work(shutdown=5) as world:
        await up(world, deletionGrace="1h")
        await world.delete(NAME)
        await world.clock.until(lambda: world.home.count("destroy_vm") == 1, within=5)
        told = world.records()[NAME].condition("Unsupported")
        assert told is not None
        assert told.message.startswith("spec.deletionGrace: it is ended at once")
        await world.clock.until(lambda: not world.records(), within=30)
