"""VMs that rest and come back, and that are shut down before they end, at both clouds of the example and at others."""

from __future__ import annotations

from cloudherd.clouds.protocol import VMState
from devenv.stage import Stage
from tests.e2e.other_clouds import other_clouds
from tests.e2e.world import World, until


def power(world: World, names: list[str], state: str, reason: str) -> None:
    for name in names:
        world.merge("instance", name, {"spec": {"powerState": state}})
    for name in names:
        until(f"{name} {reason}", lambda name=name: ready_reason(world, name) == reason)  # type: ignore[misc]


def ready_reason(world: World, name: str) -> str:
    return str(world.condition("instance", name, "Ready").get("reason", ""))


def test_a_worker_of_each_cloud_stops_and_comes_back_and_ends_with_grace(world: World) -> None:
    batch = world.cluster(workers=6)
    batch["spec"]["services"][1]["machine"]["deletionGrace"] = "1m"
    world.apply(batch)
    world.wait_ready(master=2, worker=6)
    (at_home, *_), (at_aws, *_) = world.vms("home", "worker"), world.vms("aws", "worker")
    names, before = [at_home.instance, at_aws.instance], [vm.id for vm in world.vms()]

    power(world, names, "Stopped", "Stopped")
    assert {vm.id: vm.state for vm in world.home.vms()}[at_home.id] is VMState.STOPPED
    assert world.ec2.instances()[at_aws.id]["State"]["Name"] == "stopped"
    power(world, names, "Running", "ServiceReady")
    assert [vm.id for vm in world.vms()] == before, "the same VMs, and no others"
    world.delete("virtualcluster", "batch")
    world.wait_gone("virtualcluster", "batch")
    assert world.vms() == []
    calls = [call for call in world.home.calls() if call.vm == at_home.id and call.operation in ("power", "destroy_vm")]
    asked = [str(call.arguments.get("verb", "end")) for call in calls]
    assert asked == ["shut down", "start", "shut down", "end"]
    stopped = world.moto.calls(world.region)["StopInstances"]
    assert stopped == 1 + len([vm for vm in world.ever() if vm.cloud == "aws" and vm.service == "worker"])


def test_so_do_those_at_opennebula_and_cloudstack(stage: Stage) -> None:
    with other_clouds(stage) as scene:
        world = scene.world
        batch = world.cluster(workers=4)
        batch["spec"]["services"][1]["machine"]["deletionGrace"] = "1m"
        world.apply(batch)
        world.wait_ready(master=2, worker=4)
        workers = {vm.account: vm for vm in scene.vms() if vm.service == "worker"}
        at_one, at_stack = workers["home"], workers["aws"]
        names, before = [scene.instance(at_one), scene.instance(at_stack)], {vm.id for vm in scene.vms()}

        power(world, names[:1], "Suspended", "Suspended")
        power(world, names, "Stopped", "Stopped")
        power(world, names, "Running", "ServiceReady")
        assert {vm.id for vm in scene.vms()} == before, "the same VMs, and no others"
        world.delete("virtualcluster", "batch")
        world.wait_gone("virtualcluster", "batch")
        assert scene.vms() == []
        to_one = [what for vm_id, what in scene.one.actions if vm_id == at_one.id]
        assert to_one == ["suspend", "resume", "poweroff", "resume", "poweroff", "terminate-hard"]
        to_stack = [what for vm_id, what in scene.stack.actions if vm_id == at_stack.id]
        assert to_stack == ["stop", "start", "stop", "destroy"]


def test_what_a_cloud_cannot_do_is_told_on_the_instance(world: World) -> None:
    world.apply(world.cluster(workers=6))
    world.wait_ready(master=2, worker=6)
    (vm, *_) = world.vms("aws", "worker")
    world.merge("instance", vm.instance, {"spec": {"powerState": "Suspended"}})
    told = until("the condition", lambda: world.condition("instance", vm.instance, "Unsupported") or None)
    assert told["message"] == "spec.powerState Suspended: it stays running, since the provider ec2 cannot suspend VMs"
    assert ready_reason(world, vm.instance) == "ServiceReady"
