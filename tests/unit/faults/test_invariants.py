"""Every judge can say no: each of these worlds breaks one rule, and exactly that is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from cloudherd.clouds.protocol import LaunchRequest
from cloudherd.runtime import kinds
from tests.fakes.cloud import Machine
from tests.faults import manifests
from tests.faults.calm import quiet
from tests.faults.run import Case, run
from tests.faults.truth import NEWER
from tests.faults.world import World

ID = "00000000-0000-4000-8000-00000000000{}"


async def _record(world: World, slot: int, *, service: str = "worker") -> None:
    body = manifests.instance("batch", service, slot, ID.format(slot), userDataRef={"name": "data"})
    body["metadata"]["finalizers"] = ["cloudherd.dev/instance"]
    await world.user.create(kinds.INSTANCE, body)


def _vm(world: World, slot: int, *, token: str = "", data: bytes = b"") -> Machine:
    """What the agent would ask for, straight from the cloud."""
    tags = {
        "cloudherd-installation": "ours",
        "cloudherd-account": "physics.home",
        "cloudherd-namespace": "physics",
        "cloudherd-name": f"batch-worker-{slot}",
        "cloudherd-id": ID.format(slot),
    }
    name = f"batch-worker-{slot}"
    vm = world.home.launch(LaunchRequest(token or name, name, "sim.small", "sim-debian-12", tags, data))
    return world.home.machines[vm.id]


async def _cluster(world: World, workers: int = 2, **account: object) -> None:
    await world.prepare(manifests.account("home", **account))
    await world.apply(manifests.cluster("batch", workers, ["home"]))


async def two_vms_for_one_record(world: World) -> None:
    """rule 4"""
    await _cluster(world)
    await _record(world, 0)
    _vm(world, 0)
    _vm(world, 0, token="another attempt")


async def more_vms_than_asked_for(world: World) -> None:
    """rule 2"""
    await _cluster(world, workers=1)
    for slot in range(2):
        await _record(world, slot)
        _vm(world, slot)


async def more_vms_than_the_quota(world: World) -> None:
    """rule 7"""
    await _cluster(world, quota={"instances": 1})
    for slot in range(2):
        await _record(world, slot)
        _vm(world, slot)


async def a_neighbour_that_never_was(world: World) -> None:
    """rule 6"""
    await _cluster(world)
    await _record(world, 0)
    _vm(world, 0, data=b"HOST=10.0.0.99\n")


async def a_stranger_ended(world: World) -> None:
    """rule 5"""
    world.home.destroy(world.home.strangers()[2].id)


async def a_vm_ended_under_its_record(world: World) -> None:
    """rule 1"""
    await _cluster(world)
    await _record(world, 0)
    world.home.destroy(_vm(world, 0).id)


async def a_record_gone_before_its_vm(world: World) -> None:
    """rule 1"""
    await _cluster(world)
    await _record(world, 0)
    _vm(world, 0)
    await world.delete(kinds.INSTANCE, "batch-worker-0")
    await world.change(kinds.INSTANCE, "batch-worker-0", {"metadata": {"finalizers": None}})


async def a_young_orphan_ended(world: World) -> None:
    """rule 5"""
    await _cluster(world)
    await _record(world, 0)
    machine = _vm(world, 0)
    status = {"status": {"providerID": f"fake://physics.home/{machine.id}"}}
    await world.user.patch(kinds.INSTANCE, "physics", "batch-worker-0", status, subresource="status")
    await world.clock.sleep(100)
    await world.change(kinds.INSTANCE, "batch-worker-0", {"metadata": {"finalizers": None}})
    await world.delete(kinds.INSTANCE, "batch-worker-0")
    await world.clock.sleep(100)
    world.home.destroy(machine.id)


async def a_running_vm_called_lost(world: World) -> None:
    """rule 1"""
    await _cluster(world)
    await _record(world, 0)
    lost = {
        "type": "Ready",
        "status": "False",
        "reason": "VMVanished",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = {"phase": "Failed", "providerID": f"fake://physics.home/{_vm(world, 0).id}", "conditions": [lost]}
    await world.user.patch(kinds.INSTANCE, "physics", "batch-worker-0", {"status": status}, subresource="status")


async def an_instance_deleted_without_its_cluster(world: World) -> None:
    """rule 12"""
    await world.prepare()
    await _record(world, 0)
    gateway, record = world.server.client("cloudherd-gateway"), world.objects(kinds.INSTANCE)[0]
    await gateway.delete(kinds.INSTANCE, "physics", "batch-worker-0", uid=record["metadata"]["uid"])


class _Young:
    """An operator that has just started."""

    def __init__(self, world: World) -> None:
        self.started_at = world.clock.monotonic()

    def check(self) -> None:
        return

    def step(self, what: str) -> None:
        return


async def a_slot_out_of_turn(world: World) -> None:
    """rule 3"""
    await _cluster(world, workers=2)
    record = manifests.instance("batch", "worker", 7, ID.format(7), userDataRef={"name": "data"})
    await world.server.client("cloudherd-gateway").create(kinds.INSTANCE, record)


async def a_name_that_is_no_slot(world: World) -> None:
    """rule 3"""
    await _cluster(world)
    record = manifests.instance("batch", "worker", 0, ID.format(7), userDataRef={"name": "data"})
    record["metadata"]["name"] = "batch-worker-new"
    await world.server.client("cloudherd-gateway").create(kinds.INSTANCE, record)


async def a_flavor_that_is_not_offered(world: World) -> None:
    """rule 10"""
    await _cluster(world, flavors={"large": "sim.large"})
    await _record(world, 0)
    _vm(world, 0)


async def an_image_that_is_not_offered(world: World) -> None:
    """rule 10"""
    await _cluster(world, images={"rocky-9": "sim-rocky-9"})
    await _record(world, 0)
    _vm(world, 0)


async def keys_as_user_data(world: World) -> None:
    """rule 10"""
    await _cluster(world)
    await world.apply(manifests.secret("data", key="key-1"))
    await _record(world, 0)
    _vm(world, 0)


async def a_launch_elsewhere(world: World) -> None:
    """rule 1"""
    await _cluster(world)
    await _record(world, 0)
    await _record(world, 1)
    status = {"status": {"providerID": f"fake://physics.home.beyond/{_vm(world, 0).id}"}}
    await world.user.patch(kinds.INSTANCE, "physics", "batch-worker-0", status, subresource="status")
    _vm(world, 1)


async def an_account_gone_before_its_vms(world: World) -> None:
    """rule 1"""
    await _cluster(world)
    await _record(world, 0)
    _vm(world, 0)
    await world.change(kinds.CLOUD_ACCOUNT, "home", {"metadata": {"finalizers": ["test/holds"]}})
    await world.delete(kinds.CLOUD_ACCOUNT, "home")
    await world.change(kinds.CLOUD_ACCOUNT, "home", {"metadata": {"finalizers": None}})


async def a_launch_without_an_installation(world: World) -> None:
    """rule 5"""
    await _cluster(world)
    await _record(world, 0)
    world.home.caller = _Young(world)
    _vm(world, 0)


async def _orphan(world: World) -> Machine:
    """Old by the cloud's clock, of an installation that is known."""
    await _cluster(world)
    system = await world.user.get(kinds.NAMESPACE, "", "kube-system")
    assert system
    meta = {"name": "cloudherd-installation", "namespace": "cloudherd-system"}
    data = {"id": "ours", "kubeSystemUID": system["metadata"]["uid"]}
    await world.user.create(kinds.CONFIG_MAP, {"metadata": meta, "data": data})
    await _record(world, 0)
    machine = _vm(world, 0)
    await world.change(kinds.INSTANCE, "batch-worker-0", {"metadata": {"finalizers": None}})
    await world.delete(kinds.INSTANCE, "batch-worker-0")
    await _record(world, 1)
    world.home.caller = _Young(world)
    await world.clock.sleep(900)
    return machine


async def an_orphan_ended_after_a_restart(world: World) -> None:
    """rule 13"""
    machine = await _orphan(world)
    world.home.caller = _Young(world)
    world.home.destroy(machine.id)


async def a_sweep_where_a_record_cannot_be_read(world: World) -> None:
    """rule 12"""
    machine = await _orphan(world)
    await world.change(kinds.INSTANCE, "batch-worker-1", {"metadata": {"annotations": {NEWER: "true"}}})
    await world.clock.sleep(900)
    world.home.destroy(machine.id)


async def an_unreadable_instance_deleted(world: World) -> None:
    """rule 12"""
    await _cluster(world)
    await _record(world, 0)
    await world.change(kinds.INSTANCE, "batch-worker-0", {"metadata": {"annotations": {NEWER: "true"}}})
    await world.clock.sleep(900)
    gateway, record = world.server.client("cloudherd-gateway"), world.objects(kinds.INSTANCE)[0]
    await gateway.delete(kinds.INSTANCE, "physics", "batch-worker-0", uid=record["metadata"]["uid"])


async def writes_in_quiet_times(world: World) -> None:
    """rule 8"""
    await _cluster(world)

    async def heartbeat() -> None:
        while True:
            await asyncio.sleep(60)
            await world.annotate(kinds.CLOUD_ACCOUNT, "home", beat=str(world.clock.now()))

    beating = asyncio.create_task(heartbeat())
    try:
        await quiet(world)
    finally:
        beating.cancel()


@pytest.mark.parametrize(
    "script",
    [
        two_vms_for_one_record,
        more_vms_than_asked_for,
        more_vms_than_the_quota,
        a_neighbour_that_never_was,
        a_stranger_ended,
        a_vm_ended_under_its_record,
        a_record_gone_before_its_vm,
        a_young_orphan_ended,
        a_running_vm_called_lost,
        an_instance_deleted_without_its_cluster,
        a_slot_out_of_turn,
        a_name_that_is_no_slot,
        a_flavor_that_is_not_offered,
        an_image_that_is_not_offered,
        keys_as_user_data,
        a_launch_elsewhere,
        an_account_gone_before_its_vms,
        a_launch_without_an_installation,
        an_orphan_ended_after_a_restart,
        a_sweep_where_a_record_cannot_be_read,
        an_unreadable_instance_deleted,
        writes_in_quiet_times,
    ],
    ids=lambda script: script.__name__,
)
def test_a_broken_rule_is_told(script: Callable[[World], Awaitable[None]]) -> None:
    violations = run(Case(0, script.__name__, script), 1).violations
    assert violations, "nothing was told"
    assert violations[0].startswith(f"{script.__doc__}: "), violations


def test_a_loop_that_logs_an_error_is_a_violation() -> None:
    async def script(world: World) -> None:
        import logging

        logging.getLogger("cloudherd.runtime.anything").error("this must not happen")
        await world.clock.sleep(1)

    assert run(Case(0, "logs", script), 1).violations == ["a defect was logged: this must not happen"]
