"""Too little room: full clouds, quotas, cordons, closed accounts and sparing clusters. What is left over says why."""

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
    told,
)
from tests.e2e.world import Manifest, World, until

SECRETIVE = {"limitsReadable": False}
FULL_MINUTE = 60.0


@pytest.fixture
def world(stage: Stage) -> Iterator[World]:
    with day(stage) as world:
        yield world


def spread(world: World) -> dict[str, int]:
    """Instances by account."""
    return dict(Counter(one["spec"]["accountRef"]["name"] for one in world.get("instances")))


def full(world: World, account: str) -> list[Manifest]:
    found = world.one("cloudaccount", account)
    assert found
    marks: list[Manifest] = found["status"].get("full", [])
    return marks


def three(world: World, **quota: int | str) -> None:
    """The accounts one, two and three, each with this quota."""
    world.apply(*(simulated(name, quota=quota) for name in ("one", "two", "three")))
    for name in ("one", "two", "three"):
        account_ready(world, name)


# -- full


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


# -- ceilings of ours


@pytest.mark.parametrize("quota", [{"instances": 2}, {"cpus": 2}, {"memory": "4Gi"}], ids=["VMs", "cores", "memory"])
def test_a_quota_is_never_exceeded_and_what_has_no_place_says_so(world: World, quota: Manifest) -> None:
    world.apply(simulated(quota=quota))
    account_ready(world, "home")
    world.apply(cluster(3))
    says(world, "virtualcluster", "batch", "Placed", "False", "no place for 1 of 3 worker", next(iter(quota)))
    until("two VMs", lambda: len(ids(world.home)) == 2)
    assert len(world.get("instances")) == 2, "what has no place is no Instance"
    world.apply(simulated(quota={}))
    world.wait_ready(worker=3)


def test_a_quota_counts_all_clusters_and_freed_places_go_to_who_waits(world: World) -> None:
    other = cluster(2)
    other["metadata"]["name"] = "other"
    world.apply(simulated(quota={"instances": 3}))
    account_ready(world, "home")
    world.apply(other)
    says(world, "virtualcluster", "other", "Ready", "True")
    world.apply(cluster(2))
    says(world, "virtualcluster", "batch", "Placed", "False", "no place for 1 of 2 worker")
    world.delete("virtualcluster", "other")
    world.wait_ready(worker=2)
    assert made(world.home) == 4


def test_max_instances_binds_one_cluster_on_one_account(world: World) -> None:
    world.apply(simulated(), simulated("spare"))
    account_ready(world, "home")
    account_ready(world, "spare")
    world.apply(cluster(3, at=({"name": "home", "maxInstances": 2}, {"name": "spare", "maxInstances": 1})))
    world.wait_ready(worker=3)
    assert spread(world) == {"home": 2, "spare": 1}
    world.apply(cluster(4, at=({"name": "home", "maxInstances": 2}, {"name": "spare", "maxInstances": 1})))
    says(world, "virtualcluster", "batch", "Placed", "False", "no place for 1 of 4 worker", "maxInstances")


# -- accounts that take nothing


def test_a_cordoned_account_keeps_what_runs_and_a_vm_lost_there_is_replaced_elsewhere(world: World) -> None:
    world.apply(simulated(), simulated("spare"))
    account_ready(world, "home")
    account_ready(world, "spare")
    world.apply(cluster(2, at=("home", "spare")))
    world.wait_ready(worker=2)
    world.merge("cloudaccount", "home", {"spec": {"unschedulable": True}})
    world.apply(cluster(3, at=("home", "spare")))
    world.wait_ready(worker=3)
    assert spread(world) == {"home": 2, "spare": 1}
    world.home.vanish(min(ids(world.home)))
    told(world, "VMVanished")
    until("the replacement", lambda: spread(world) == {"home": 1, "spare": 2})
    world.wait_ready(worker=3)
    world.apply(cluster(4, at=("home",)))
    says(world, "virtualcluster", "batch", "Placed", "False", "no place for 1 of 4 worker", "cordoned")
    assert made(world.home) == 2


def test_an_account_decides_which_namespaces_it_takes(stage: Stage, world: World) -> None:
    label = {"matchLabels": {"team": "physics"}}
    world.apply(simulated())
    account_ready(world, "home")
    with day(stage) as guest:
        guest.apply(cluster(1, at=({"name": "home", "namespace": world.namespace},)))
        says(guest, "virtualcluster", "batch", "Placed", "False", f"does not allow namespace {guest.namespace}")
        world.merge("cloudaccount", "home", {"spec": {"allowedNamespaces": {"from": "Selector", "selector": label}}})
        listed_again(world.home)
        says(guest, "virtualcluster", "batch", "Placed", "False", f"does not allow namespace {guest.namespace}")
        assert ids(world.home) == set()
        guest.stage.plane.kubectl("label", "namespace", guest.namespace, "team=physics", check=True)
        guest.wait_ready(worker=1)
        guest.stage.plane.kubectl("label", "namespace", guest.namespace, "team-", check=True)
        guest.apply(cluster(2, at=({"name": "home", "namespace": world.namespace},)))
        says(guest, "virtualcluster", "batch", "Placed", "False", "no place for 1 of 2 worker", "does not allow")
        assert len(ids(world.home)) == 1, "what runs stays, and nothing new comes"
        world.merge("cloudaccount", "home", {"spec": {"allowedNamespaces": {"from": "All", "selector": None}}})
        guest.wait_ready(worker=2)
        assert world.get("instances") == []


# -- sparing clusters


def test_burst_off_and_max_sites_bound_the_sites_and_say_so(world: World) -> None:
    three(world, instances=2)
    at = ("one", "two", "three")
    world.apply(cluster(6, at=at, placement={"burst": {"enabled": False}}))
    says(world, "virtualcluster", "batch", "Placed", "False", "no place for 4 of 6 worker", "burst.enabled")
    until("one site", lambda: spread(world) == {"one": 2})
    world.apply(cluster(6, at=at, placement={"burst": {"maxSites": 2}}))
    says(world, "virtualcluster", "batch", "Placed", "False", "no place for 2 of 6 worker", "burst.maxSites is 2")
    until("two sites", lambda: spread(world) == {"one": 2, "two": 2})
    world.apply(cluster(6, at=at))
    world.wait_ready(worker=6)
    assert spread(world) == {"one": 2, "two": 2, "three": 2}


def test_no_further_site_is_opened_for_fewer_than_min_instances(world: World) -> None:
    three(world, instances=4)
    master = service("master", type_="Fixed")
    worker = service(replicas=4, dependsOn=["master"])
    at, burst = ("one", "two"), {"burst": {"minInstances": 2}}
    world.apply(cluster(master, worker, at=at, placement=burst))
    says(world, "virtualcluster", "batch", "Placed", "False", "no place for 1 of 4 worker", "burst.minInstances")
    until("one site", lambda: spread(world) == {"one": 4})
    worker["replicas"] = 5
    world.apply(cluster(master, worker, at=at, placement=burst))
    world.wait_ready(master=2, worker=5)
    assert spread(world) == {"one": 4, "two": 3}


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
