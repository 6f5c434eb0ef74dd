"""VMs that end, break or are made with trouble: each is replaced once, and none is taken for gone that is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudherd.clouds.protocol import ErrorKind
from cloudherd.clouds.simulated import faults
from devenv.stage import Stage
from tests.e2e.bad_days import (
    account_ready,
    changes,
    cluster,
    day,
    ec2,
    identities,
    ids,
    listed_again,
    made,
    one_vm_each,
    says,
    simulated,
    told,
)
from tests.e2e.world import World, until


@pytest.fixture
def world(stage: Stage) -> Iterator[World]:
    with day(stage) as world:
        yield world


@pytest.fixture
def at_home(world: World) -> World:
    """Four workers at the simulated cloud."""
    world.apply(simulated(), cluster(4))
    world.wait_ready(worker=4)
    return world


@pytest.fixture
def at_aws(world: World) -> World:
    """Three workers at EC2."""
    world.apply(*ec2(world), cluster(3, at=("aws",)))
    world.wait_ready(worker=3)
    return world


# -- repair


def test_vms_that_vanish_stop_or_break_are_replaced_with_the_clouds_own_words(at_home: World) -> None:
    vanished, stopped, broken, kept = sorted(ids(at_home.home))
    at_home.home.vanish(vanished)
    at_home.home.stop(stopped)
    at_home.home.set_error(broken, "No valid host was found.")
    told(at_home, "VMVanished", vanished, "does not exist at the cloud any more")
    told(at_home, "VMStopped", stopped, "is stopped at the cloud")
    told(at_home, "VMError", broken, "No valid host was found.")
    until("three others", lambda: len(ids(at_home.home)) == 4 and not ids(at_home.home) & {vanished, stopped, broken})
    at_home.wait_ready(worker=4)
    one_vm_each(at_home)
    assert kept in ids(at_home.home)
    assert made(at_home.home) == 7


def test_a_broken_vms_record_holds_the_clouds_words_until_it_goes(at_home: World) -> None:
    at_home.merge("virtualcluster", "batch", {"spec": {"paused": True}})
    says(at_home, "virtualcluster", "batch", "Progressing", "False", "Paused")
    broken = min(ids(at_home.home))
    name = next(name for name, provider_id in identities(at_home).items() if provider_id.endswith(broken))
    at_home.home.set_error(broken, "No valid host was found.")
    says(at_home, "instance", name, "Ready", "False", "VMError", "No valid host was found.")
    says(at_home, "virtualcluster", "batch", "Ready", "False", "3 of 4")
    listed_again(at_home.home)
    assert broken in ids(at_home.home), "a paused cluster replaces nothing"
    at_home.merge("virtualcluster", "batch", {"spec": {"paused": False}})
    at_home.wait_ready(worker=4)
    assert broken not in ids(at_home.home)


def test_instances_that_end_or_stop_at_ec2_are_replaced_though_they_linger_in_listings(at_aws: World) -> None:
    before = {vm.id for vm in at_aws.vms()}
    terminated, stopped, kept = sorted(before)
    at_aws.ec2.ec2.terminate_instances(InstanceIds=[terminated])
    at_aws.ec2.ec2.stop_instances(InstanceIds=[stopped])
    told(at_aws, "VMVanished", terminated, "User initiated")
    told(at_aws, "VMStopped", stopped, "User initiated")
    until("two others", lambda: len(at_aws.vms()) == 3 and not {vm.id for vm in at_aws.vms()} & {terminated, stopped})
    at_aws.wait_ready(worker=3)
    one_vm_each(at_aws)
    assert kept in {vm.id for vm in at_aws.vms()}
    assert terminated in at_aws.ec2.instances(), "the listing still shows it"
    assert len(at_aws.ever()) == 5


def test_a_terminated_instance_that_lingers_does_not_hold_its_record(at_aws: World) -> None:
    at_aws.delete("virtualcluster", "batch")
    at_aws.wait_gone("virtualcluster", "batch")
    assert at_aws.vms() == []
    assert len(at_aws.ec2.instances()) == 3, "the listing still shows them"


# -- trouble at birth


def test_a_creation_whose_reply_is_lost_is_one_vm(world: World) -> None:
    for kind in (ErrorKind.UNKNOWN, ErrorKind.UNREACHABLE):
        world.home.inject(faults.lose_reply(kind=kind))
    world.apply(simulated(), cluster(3))
    world.wait_ready(worker=3)
    assert world.home.faults() == 0, "no reply was lost"
    assert made(world.home) == 3
    one_vm_each(world)


def test_a_creation_at_ec2_whose_reply_is_lost_is_one_instance(world: World) -> None:
    world.moto.knobs(lose=2)
    world.apply(*ec2(world), cluster(3, at=("aws",)))
    world.wait_ready(worker=3)
    assert len(world.ever()) == 3
    one_vm_each(world)


def test_throttled_calls_are_tried_again_and_are_nobodys_fault(world: World) -> None:
    told_off = faults.fail("", ErrorKind.THROTTLED, code="RequestLimitExceeded", times=4)
    world.apply(simulated())
    account_ready(world, "home")
    world.home.inject(told_off)
    world.apply(cluster(3))
    world.wait_ready(worker=3)
    assert world.home.faults() == 0
    assert made(world.home) == 3
    assert world.events("RequestLimitExceeded") == []
    assert {one["status"].get("phase") for one in world.get("instances")} == {"Ready"}
    account_ready(world, "home")


def test_ec2_throttling_everything_for_a_while_costs_time_only(world: World) -> None:
    world.apply(*ec2(world))
    account_ready(world, "aws")
    world.moto.knobs(throttle=6)
    world.apply(cluster(3, at=("aws",)))
    world.wait_ready(worker=3)
    assert len(world.ever()) == 3
    one_vm_each(world)


def test_a_vm_that_breaks_while_it_boots_is_replaced(world: World) -> None:
    world.home.inject(faults.bad_boot("Kernel panic.", times=1))
    world.apply(simulated(cloud={"bootSeconds": 1}), cluster(2))
    told(world, "VMError", "Kernel panic.")
    world.wait_ready(worker=2)
    assert made(world.home) == 3
    one_vm_each(world)


# -- listings that lie

LIES = (
    faults.truncated(0.5, times=3),
    faults.truncated(0, times=3),
    faults.truncated(0.5, complete=True, times=3),
    faults.empty(times=3),
)


def test_listings_that_lack_vms_replace_and_end_nothing_even_if_they_claim_to_be_whole(at_home: World) -> None:
    before, done = identities(at_home), changes(at_home.home)
    for lie in LIES:
        at_home.home.inject(lie)
        until("the lie told three times", lambda: at_home.home.faults() == 0)
        listed_again(at_home.home, 2)
    at_home.wait_ready(worker=4)
    account_ready(at_home, "home")
    assert identities(at_home) == before
    assert changes(at_home.home) == done


def test_new_instances_that_ec2_does_not_show_yet_are_not_made_twice(world: World) -> None:
    world.apply(*ec2(world))
    account_ready(world, "aws")
    world.moto.knobs(hide_new=True)
    world.apply(cluster(3, at=("aws",)))
    until("three instances", lambda: len(world.vms()) == 3)
    asked = world.moto.calls().get("DescribeInstances", 0)
    until("more listings", lambda: world.moto.calls()["DescribeInstances"] >= asked + 4)
    world.moto.knobs(hide_new=False)
    world.wait_ready(worker=3)
    assert len(world.ever()) == 3
    one_vm_each(world)


# -- many at once


def test_many_vms_lost_at_once_are_replaced_only_when_a_person_says_so(world: World) -> None:
    world.apply(simulated(), cluster(6))
    world.wait_ready(worker=6)
    gone = sorted(ids(world.home))[:5]
    world.home.vanish(*gone)
    loss = says(world, "cloudaccount", "home", "MassLoss", "True", "5 of 6 VMs look lost at once", "accept-loss")
    says(world, "cloudaccount", "home", "Ready", "False", "MassLoss")
    says(world, "virtualcluster", "batch", "MassLoss", "True")
    listed_again(world.home)
    assert len(world.get("instances")) == 6
    assert made(world.home) == 6
    digest = loss["message"].split()[-1]
    world.merge("cloudaccount", "home", {"metadata": {"annotations": {"cloudherd.dev/accept-loss": "0" * len(digest)}}})
    listed_again(world.home)
    assert made(world.home) == 6, "another set's digest was taken"
    world.merge("cloudaccount", "home", {"metadata": {"annotations": {"cloudherd.dev/accept-loss": digest}}})
    world.wait_ready(worker=6)
    account_ready(world, "home")
    assert made(world.home) == 11
    one_vm_each(world)


def test_a_cloud_that_loses_most_of_its_vms_and_finds_them_again_has_lost_nothing(world: World) -> None:
    world.apply(simulated(), cluster(6))
    world.wait_ready(worker=6)
    before = identities(world)
    for vm in sorted(ids(world.home))[:5]:
        world.home.stop(vm)
    says(world, "cloudaccount", "home", "MassLoss", "True", "5 of 6")
    for vm in sorted(ids(world.home))[:5]:
        world.home.start(vm)
    says(world, "cloudaccount", "home", "MassLoss", "False")
    world.wait_ready(worker=6)
    assert identities(world) == before
    assert made(world.home) == 6
