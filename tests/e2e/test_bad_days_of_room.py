"""Too little room by our own rules: quotas, cordons, closed accounts, sparing clusters. What is left over says why."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devenv.stage import Stage
from tests.e2e.bad_days import (
    account_ready,
    cluster,
    day,
    ids,
    listed_again,
    made,
    says,
    service,
    simulated,
    spread,
    told,
)
from tests.e2e.world import Manifest, World, until


@pytest.fixture
def world(stage: Stage) -> Iterator[World]:
    with day(stage) as world:
        yield world


def three(world: World, **quota: int | str) -> None:
    """The accounts one, two and three, each with this quota."""
    world.apply(*(simulated(name, quota=quota) for name in ("one", "two", "three")))
    for name in ("one", "two", "three"):
        account_ready(world, name)


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
