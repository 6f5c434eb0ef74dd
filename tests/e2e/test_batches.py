"""EC2 with `spec.options.batch`: one call for many VMs, and every Instance has just its own."""

from __future__ import annotations

import pytest

from tests.e2e.front import Ec2Call
from tests.e2e.world import World, until


@pytest.fixture
def world(world: World) -> World:
    world.merge("cloudaccount", "aws", {"spec": {"options": {"batch": 16}, "quota": {"instances": 40}}})
    return world


def launches(world: World) -> list[int]:
    """How many VMs each call made."""
    return [len(call.instances) for call in world.front.calls("RunInstances") if call.status == 200]


def exact(world: World, at_aws: int) -> bool:
    """Each Instance at EC2 names a VM of its own, which bears its name and its id; there are no others."""
    records = [one for one in world.get("instances") if one["spec"]["accountRef"]["name"] == "aws"]
    named = {one["status"].get("providerID", "").rpartition("/")[2]: one for one in records}
    vms = {vm.id: vm for vm in world.vms("aws")}
    return (
        len(records) == at_aws
        and named.keys() == vms.keys()
        and all(
            (vms[vm_id].instance, vms[vm_id].tags["cloudherd-id"]) == (one["metadata"]["name"], one["spec"]["id"])
            for vm_id, one in named.items()
        )
    )


def test_a_scale_up_takes_few_calls_and_every_instance_has_its_own_vm(world: World) -> None:
    world.front.slowness = lambda: 0.5  # as a cloud is: others come while one call is under way
    world.apply(world.cluster(workers=30))
    world.wait_ready(master=2, worker=30)
    assert world.counts() == {"home master": 1, "home worker": 3, "aws master": 1, "aws worker": 27}
    assert exact(world, 28)
    assert sum(launches(world)) == 28
    assert len(launches(world)) <= 9, "28 without it"
    (master,) = world.vms("aws", "master")
    for worker in world.vms("aws", "worker"):
        assert f"CONDOR_HOST = {master.addresses[0]}" in world.user_data(worker)

    world.apply(world.cluster(workers=3))
    world.wait_ready(master=1, worker=3)
    assert world.counts() == {"home master": 1, "home worker": 3}
    assert world.most() == 32, "none was ever made twice"


def said(world: World) -> str:
    return str(world.condition("virtualcluster", "batch", "Placed").get("message"))


def test_a_limit_in_the_middle_of_a_call_is_filled_to_the_last_vm(world: World) -> None:
    world.moto.knobs(limit=11)
    world.apply(world.cluster(workers=30))
    until("ten workers beside their master", lambda: world.counts().get("aws worker") == 10)
    until("the reason", lambda: "no place for 17 of 30 worker" in said(world))
    (account,) = (one for one in world.get("cloudaccounts") if one["metadata"]["name"] == "aws")
    assert "InstanceLimitExceeded" in str(account["status"]["full"])
    assert exact(world, 11)
    assert world.most() == 15


def test_an_operator_that_is_killed_before_it_hears_of_a_call_finds_its_vms_again(world: World) -> None:
    killed: list[Ec2Call] = []

    def kill(call: Ec2Call) -> None:
        if call.action == "RunInstances" and sum(launches(world)) == 18:
            killed.append(call)
            world.stage.kill()

    with world.front.striking(kill):
        world.apply(world.cluster(workers=20))
        until("the last call", lambda: bool(killed))
    world.stage.ensure_operators()
    world.wait_ready(master=2, worker=20)
    assert exact(world, 18)
    assert world.most() == 22, "none was ever made twice"
