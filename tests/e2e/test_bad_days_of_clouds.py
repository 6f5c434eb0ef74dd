"""Clouds that are out of reach or refuse the keys: their VMs are kept, nothing follows from it, and it heals itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest

from cloudherd.clouds.errors import not_from
from cloudherd.clouds.protocol import ErrorKind
from cloudherd.clouds.simulated import faults
from devenv.stage import Stage
from tests.e2e.bad_days import (
    account_ready,
    changes,
    cloud_of,
    cluster,
    day,
    ec2,
    identities,
    ids,
    listed_again,
    of_account,
    says,
    simulated,
    told,
)
from tests.e2e.sites import HTML
from tests.e2e.world import World, until

TWO_MINUTES = 120.0
A_SENTENCE = 400  # characters


@pytest.fixture
def world(stage: Stage) -> Iterator[World]:
    with day(stage) as world:
        yield world


@pytest.fixture(scope="module")
def silent(stage: Stage) -> Iterator[World]:
    """A cluster whose cloud has not answered since this module's first test."""
    with day(stage) as world:
        world.apply(simulated(), cluster(2))
        world.wait_ready(worker=2)
        world.home.inject(faults.unreachable())
        says(world, "cloudaccount", "home", "Ready", "False", "Unreachable")
        yield world


def test_an_outage_shorter_than_two_minutes_changes_nothing_of_the_instances(silent: World) -> None:
    says(silent, "cloudaccount", "home", "CredentialsValid", "True")
    assert silent.is_ready(worker=2)
    assert {one["status"]["phase"] for one in silent.get("instances")} == {"Ready"}


# -- every way to be gone


@dataclass(frozen=True)
class Outage:
    """`sentence`: words that the account's condition must hold. `begin` breaks the cloud for as long as its block."""

    account: str
    sentence: tuple[str, ...]
    begin: Callable[[World], AbstractContextManager[None]]
    credentials: str = "True"


def simulated_fault(fault: faults.Fault) -> Callable[[World], AbstractContextManager[None]]:
    @contextmanager
    def begin(world: World) -> Iterator[None]:
        world.home.inject(fault)
        yield
        world.home.heal()

    return begin


@contextmanager
def other_keys(world: World) -> Iterator[None]:
    world.moto.knobs(keys={"testing": "another"})
    yield
    world.moto.knobs(keys=None)


@contextmanager
def hangs(world: World) -> Iterator[None]:
    pid = world.stage.supervisor.pid("moto")
    assert pid
    os.killpg(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(pid, signal.SIGCONT)


def page(status: int) -> Callable[[World], AbstractContextManager[None]]:
    """Half a megabyte of HTML in place of every answer."""

    @contextmanager
    def begin(world: World) -> Iterator[None]:
        answer = {"status": status, "body": HTML.decode(), "content_type": "text/html", "times": 10_000}
        world.moto.knobs(answers=[answer])
        yield
        world.moto.knobs(answers=[])

    return begin


UNREACHABLE = ("Unreachable", "cannot be asked")
REFUSED = ("CredentialsRefused", "refuses the credentials")
OUTAGES = {
    "simulated, unreachable": Outage("home", UNREACHABLE, simulated_fault(faults.unreachable())),
    "simulated, denied": Outage("home", (*REFUSED, "AuthFailure"), simulated_fault(faults.deny()), "False"),
    "ec2, denied": Outage("aws", (*REFUSED, "aws-keys", "SignatureDoesNotMatch"), other_keys, "False"),
    "ec2, silent": Outage("aws", (*UNREACHABLE, "did not answer in time"), hangs),
    "ec2, a page for an answer": Outage("aws", (*UNREACHABLE, f"NotUnderstood: {not_from('EC2')}"), page(200)),
    "ec2, a page for an error": Outage("aws", (*UNREACHABLE, f"HTTP503: {not_from('EC2')}"), page(503)),
}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_nothing_follows_from_an_outage_but_that_new_vms_go_elsewhere(world: World, outage: Outage) -> None:
    world.apply(*ec2(world, options={"timeoutSeconds": 1}), simulated(), simulated("spare"))
    account_ready(world, outage.account)
    world.apply(cluster(3, at=(outage.account, "spare")))
    world.wait_ready(worker=3)
    before, runs = identities(world), {vm.id for vm in world.vms(outage.account)}
    assert len(runs) == 3
    with outage.begin(world):
        said = says(world, "cloudaccount", outage.account, "Ready", "False", *outage.sentence)
        assert len(said["message"]) < A_SENTENCE
        says(world, "cloudaccount", outage.account, "CredentialsValid", outage.credentials)
        done, asked = changes(world.home), len(world.front.calls())
        world.apply(cluster(5, at=(outage.account, "spare")))
        world.wait_ready(worker=5)
        assert len(ids(cloud_of(world, "spare"))) == 2
        listed_again(cloud_of(world, "spare"))
        assert changes(world.home) == done, "a cloud that is gone was told to make or end a VM"
        sent = {call.action for call in world.front.calls()[asked:]}
        assert sent <= {"DescribeInstances"}
    account_ready(world, outage.account)
    says(world, "cloudaccount", outage.account, "CredentialsValid", "True")
    world.wait_ready(worker=5)
    assert identities(world).items() >= before.items()
    assert {vm.id for vm in world.vms(outage.account)} == runs
    world.apply(cluster(6, at=(outage.account, "spare")))
    world.wait_ready(worker=6)
    assert len(of_account(world, outage.account)) == 4, "it is used again"


def test_a_vm_lost_during_an_outage_is_replaced_after_it(world: World) -> None:
    world.apply(simulated(), cluster(3))
    world.wait_ready(worker=3)
    lost = min(ids(world.home))
    world.home.inject(faults.unreachable())
    says(world, "cloudaccount", "home", "Ready", "False", "Unreachable")
    world.home.vanish(lost)
    listed_again(world.home, 2)
    assert len(world.home.calls("create_vm")) == 3
    world.home.heal()
    told(world, "VMVanished", lost)
    world.wait_ready(worker=3)
    assert len(ids(world.home)) == 3


def test_a_vm_is_destroyed_though_its_cloud_was_gone_when_it_was_deleted(world: World) -> None:
    world.apply(simulated(), cluster(3))
    world.wait_ready(worker=3)
    world.home.inject(faults.unreachable())
    says(world, "cloudaccount", "home", "Ready", "False", "Unreachable")
    world.delete("virtualcluster", "batch")
    says_it_waits = "3 worker"
    until("what it waits for", lambda: says_it_waits in world.condition("virtualcluster", "batch", "Ready")["message"])
    listed_again(world.home, 2)
    assert len(world.get("instances")) == 3, "a record went though nobody knows that its VM is gone"
    world.home.heal()
    world.wait_gone("virtualcluster", "batch")
    assert ids(world.home) == set()


def test_keys_that_may_not_launch_leave_the_account_as_it_is_and_say_so(world: World) -> None:
    refusal = faults.fail("create_vm", ErrorKind.DENIED, code="UnauthorizedOperation", message="No.", times=None)
    world.apply(simulated(), simulated("spare"), cluster(2, at=("home", "spare")))
    world.wait_ready(worker=2)
    world.home.inject(refusal)
    world.apply(cluster(4, at=("home", "spare")))
    says(world, "cloudaccount", "home", "Ready", "False", "CredentialsRefused", "UnauthorizedOperation")
    assert len(ids(world.home)) == 2
    tries = len(world.home.calls("create_vm"))
    listed_again(world.home)
    assert len(world.home.calls("create_vm")) - tries <= 1, "a refused key is not tried again and again"


# -- two minutes later


def test_after_two_minutes_nobody_knows_how_the_vms_are_and_none_is_replaced(silent: World) -> None:
    began = silent.condition("cloudaccount", "home", "Ready")
    until("Unknown", lambda: _reasons(silent) == {("Unknown", "AccountUnreachable")}, within=TWO_MINUTES + 30)
    assert {one["status"]["phase"] for one in silent.get("instances")} == {"Ready"}, "the phase stays"
    assert silent.condition("cloudaccount", "home", "Ready") == began, "said once"
    assert len(changes(silent.home)) == 2
    silent.home.heal()
    silent.wait_ready(worker=2)
    assert _reasons(silent) == {("True", "ServiceReady")}
    assert len(changes(silent.home)) == 2


def _reasons(world: World) -> set[tuple[str, str]]:
    found = [one["status"].get("conditions", []) for one in world.get("instances")]
    return {(one["status"], one["reason"]) for conditions in found for one in conditions if one["type"] == "Ready"}
