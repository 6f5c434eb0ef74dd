"""Clouds that are full: learnt by being refused, remembered for a while, and asked again one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from cloudherd.clouds.simulated import faults
from devenv.stage import Stage
from tests.e2e.bad_days import (
    account_ready,
    cluster,
    day,
    ec2,
    ids,
    listed_again,
    made,
    says,
    service,
    simulated,
    spread,
)
from tests.e2e.world import Manifest, World, until

SECRETIVE = {"limitsReadable": False}
FULL_MINUTE = 60.0


@pytest.fixture
def world(stage: Stage) -> Iterator[World]:
    with day(stage) as world:
        yield world


def full(world: World, account: str) -> list[Manifest]:
    found = world.one("cloudaccount", account)
    assert found
    marks: list[Manifest] = found["status"].get("full", [])
    return marks


@pytest.fixture(scope="module")
def refused(stage: Stage) -> Iterator[World]:
    """Six workers, of which home took three and refused the others; since this module's first test."""
    with day(stage) as world:
        world.apply(simulated(cloud={**SECRETIVE, "capacity": 3}), simulated("spare"))
        account_ready(world, "home")
        account_ready(world, "spare")
        world.apply(cluster(6, at=("home", "spare")))
        world.wait_ready(worker=6)
        yield world


def test_full_is_learnt_by_being_refused_and_bursts_to_the_next_account(refused: World) -> None:
    assert spread(refused) == {"home": 3, "spare": 3}
    (mark,) = full(refused, "home")
    assert (mark.get("flavor", ""), mark["reason"]) == ("", "CloudFull")
    assert "This cloud holds at most 3 VMs." in mark["message"]
    says(refused, "cloudaccount", "home", "CapacityAvailable", "False", "at most 3 VMs")
    account_ready(refused, "home")
    assert made(refused.home) == 3
    tried = len(refused.home.calls("create_vm"))
    assert tried <= 6, "each was tried once at most"
    refused.apply(cluster(8, at=("home", "spare")))
    refused.wait_ready(worker=8)
    assert spread(refused) == {"home": 3, "spare": 5}
    assert len(refused.home.calls("create_vm")) == tried, "what is full is not asked again while it is known to be"


def test_a_launch_that_was_under_way_when_another_was_refused_is_no_sign_of_room(world: World) -> None:
    world.home.inject(faults.slow_reply(1.5, "create_vm"))
    world.apply(simulated(cloud={**SECRETIVE, "capacity": 1}))
    account_ready(world, "home")
    world.apply(cluster(2))
    until("the first answer", lambda: any(one["status"].get("providerID") for one in world.get("instances")))
    says(world, "virtualcluster", "batch", "Placed", "False", "no place for 1 of 2 worker", "home is full")
    listed_again(world.home)
    assert len(full(world, "home")) == 1
    assert [call.outcome for call in world.home.calls("create_vm")] == ["ok", "Full"]


def test_a_full_flavor_at_ec2_fills_no_other_and_capacity_that_returns_by_an_own_vm_is_used(world: World) -> None:
    world.apply(*ec2(world), simulated("spare"))
    account_ready(world, "aws")
    account_ready(world, "spare")
    world.moto.knobs(capacity={"t3.small": 2})
    large = service("big", 1, machine={"flavor": "large", "image": "debian-12"})
    world.apply(cluster(3, large, at=("aws", "spare")))
    world.wait_ready(worker=3, big=1)
    assert spread(world) == {"aws": 3, "spare": 1}
    (mark,) = full(world, "aws")
    assert mark["flavor"] == "t3.small"
    assert "InsufficientInstanceCapacity" in mark["message"]
    says(world, "cloudaccount", "aws", "CapacityAvailable", "True", "PartlyFull")
    tried = len(world.front.calls("RunInstances"))
    world.apply(cluster(1, large, at=("aws", "spare")))
    world.wait_ready(worker=1, big=1)
    until("no mark", lambda: not full(world, "aws"))
    world.apply(cluster(2, large, at=("aws", "spare")))
    world.wait_ready(worker=2, big=1)
    assert spread(world) == {"aws": 3}
    assert len(world.front.calls("RunInstances")) == tried + 1


def test_the_limit_of_an_ec2_account_fills_every_flavor(world: World) -> None:
    world.apply(*ec2(world))
    account_ready(world, "aws")
    world.moto.knobs(limit=2)
    world.apply(cluster(4, at=("aws",)))
    says(world, "virtualcluster", "batch", "Placed", "False", "no place for 2 of 4 worker", "is full")
    says(world, "cloudaccount", "aws", "CapacityAvailable", "False", "InstanceLimitExceeded")
    says(world, "virtualcluster", "batch", "Ready", "False", "2 of 4 ready", "2 without a place")
    assert len(world.vms()) == 2
    asked = len(world.front.calls("RunInstances"))
    assert asked <= 4
    seen = len(world.front.calls("DescribeInstances"))
    until("more polls", lambda: len(world.front.calls("DescribeInstances")) >= seen + 3)
    assert len(world.front.calls("RunInstances")) == asked


def test_a_limit_that_the_cloud_tells_is_kept_and_one_that_rises_is_used(world: World) -> None:
    world.apply(simulated(cloud={"capacity": 2}))
    until("the limit", lambda: (world.one("cloudaccount", "home") or {}).get("status", {}).get("limit"))
    world.apply(cluster(4))
    says(world, "virtualcluster", "batch", "Placed", "False", "no place for 2 of 4 worker")
    until("two VMs", lambda: len(ids(world.home)) == 2)
    assert [call.outcome for call in world.home.calls("create_vm")] == ["ok", "ok"]
    world.apply(simulated(cloud={"capacity": 4}))
    world.wait_ready(worker=4)


# -- a minute later


def test_full_is_forgotten_when_its_minute_has_passed_and_one_probe_finds_what_returned(refused: World) -> None:
    refused.apply(simulated(cloud={**SECRETIVE, "capacity": 5}), simulated("spare", quota={"instances": 5}))
    refused.apply(cluster(11, at=("home", "spare")))
    tried = len(refused.home.calls("create_vm"))
    says(refused, "virtualcluster", "batch", "Placed", "False", "no place for 3 of 11 worker", "home is full")
    until("five VMs at home", lambda: len(ids(refused.home)) == 5, within=FULL_MINUTE + 30)
    says(refused, "virtualcluster", "batch", "Placed", "False", "no place for 1 of 11 worker", "home is full")
    outcomes = [call.outcome for call in refused.home.calls("create_vm")[tried:]]
    assert outcomes[0] == "ok", "one probe, and then the others"
    assert Counter(outcomes) == {"ok": 2, "Full": 1}
    assert len(full(refused, "home")) == 1
