"""The burst site is an EC2 that is not AWS's: signature version 2, tags by a call of their own, no terminated VMs.

moto's server plays it, as OpenStack's ec2-api was seen to be. What is true there is read by boto3.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from devenv.stage import Stage
from tests.e2e.bad_days import POLLS, account_ready, cluster, context, says
from tests.e2e.front import Ec2Call
from tests.e2e.world import PATIENCE, World, until, world_on

OLD = {"signatureVersion": 2, "tagsAtLaunch": False, "timeoutSeconds": 5}
TWELVE = {"home master": 1, "home worker": 3, "aws master": 1, "aws worker": 7}
QUOTA = "Quota exceeded for instances: Requested 1, but already used 8 of 8 instances"


@pytest.fixture
def world(stage: Stage) -> Iterator[World]:
    """The example's world, whose `aws` is such a service."""
    stage.run_operators()
    with world_on(stage) as world:
        world.moto.knobs(old_api=True, forget_terminated=True)
        world.prepare(options=OLD, **POLLS)
        yield world
    assert world.ec2.live() == set(), "VMs without tags are among them"


def test_the_example_bursts_to_it_lives_through_its_troubles_and_ends_without_a_trace(world: World) -> None:
    world.apply(world.cluster(workers=10))
    world.wait_ready(master=2, worker=10)
    assert world.counts() == TWELVE
    assert len(world.ec2.instances()) == len(world.front.calls("CreateTags")) == 8
    (master,) = world.vms("aws", "master")
    for worker in world.vms("aws", "worker"):
        assert f"CONDOR_HOST = {master.addresses[0]}\n" in world.user_data(worker)

    one = world.vms("aws", "worker")[0].id
    world.moto.knobs(broken=[one])
    until("it is gone", lambda: one not in world.ec2.live())
    world.wait_ready(master=2, worker=10)
    assert world.counts() == TWELVE
    assert "VMError" in {event["reason"] for event in world.events()}

    world.moto.knobs(answers=[refusal(QUOTA)])
    world.apply(world.cluster(workers=11))
    says(world, "cloudaccount", "aws", "CapacityAvailable", "False", "already used 8 of 8")
    says(world, "virtualcluster", "batch", "Placed", "False", "no place for 1 of 11 worker")
    world.apply(world.cluster(workers=10))
    world.wait_ready(master=2, worker=10)

    before = {vm.id for vm in world.vms()}
    world.moto.knobs(answers=[{"status": 400, "body": "The server could not comply", "times": 10**9}])
    says(world, "cloudaccount", "aws", "Ready", "False", "Unreachable")
    world.moto.knobs(answers=[])
    account_ready(world, "aws")
    world.wait_ready(master=2, worker=10)
    assert {vm.id for vm in world.vms()} == before

    world.delete("virtualcluster", "batch")
    world.wait_gone("virtualcluster", "batch")
    assert world.ec2.live() == set()


def refusal(words: str) -> dict[str, object]:
    error = f"<Error><Code>Forbidden</Code><Message>{words}</Message></Error>"
    body = f"<Response><Errors>{error}</Errors></Response>"
    return {"action": "RunInstances", "status": 403, "body": body, "times": 10**9}


def test_tags_that_are_refused_for_good_are_told_and_leave_no_vm(world: World) -> None:
    error = "<Error><Code>TypeError</Code><Message>Unknown error occurred.</Message></Error>"
    body = f"<Response><Errors>{error}</Errors></Response>"
    world.moto.knobs(answers=[{"action": "CreateTags", "status": 500, "body": body, "times": 10**9}])
    world.apply(world.cluster(workers=10))
    says(world, "virtualcluster", "batch", "Ready", "False", "the cloud refuses the VM's tags")
    until("no VM is left there", lambda: world.ec2.instances() and not world.ec2.live())
    world.moto.knobs(answers=[])


def test_a_launch_that_nobody_heard_of_and_that_was_sent_again_leaves_no_second_vm_behind(world: World) -> None:
    """Its tokens are looked for without a lock: what was under way when it was sent again makes a VM of its own."""
    world.moto.knobs(unlocked_tokens=30)
    world.apply(context(), cluster(1, at=("aws",)))
    until("two of one token", lambda: len(world.ec2.live()) == 2)
    world.wait_ready(worker=1)
    tokens = [found["ClientToken"] for found in world.ec2.instances().values()]
    assert len(tokens) == 2
    assert len(set(tokens)) == 1
    assert len(world.vms("aws")) == 1
    world.delete("virtualcluster", "batch")
    world.wait_gone("virtualcluster", "batch")
    assert world.ec2.live() == set()


def test_killed_between_a_launch_and_its_tags_it_ends_the_vm_though_its_instance_was_deleted(world: World) -> None:
    killed = threading.Event()

    def blow(call: Ec2Call) -> None:
        if call.action == "RunInstances" and not killed.is_set():
            world.stage.kill()
            killed.set()

    with world.front.striking(blow):
        world.apply(context(), cluster(1, at=("aws",)))
        assert killed.wait(PATIENCE)
    assert len(world.ec2.live()) == 1
    world.delete("virtualcluster", "batch")
    world.delete("instances", "--all")
    world.stage.ensure_operators()
    world.wait_none("instances,virtualclusters")
    assert world.ec2.live() == set()
    assert not world.front.calls("CreateTags"), "its token alone told whose it was"
