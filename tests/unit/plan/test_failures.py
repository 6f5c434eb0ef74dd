"""Launches that failed in a row, and how long the next one waits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cloudherd.api import CloudAccount, Instance, ObjectKey
from cloudherd.plan.failures import backoff, closed, held_back, remembered, time_left
from cloudherd.plan.model import ClusterView, Memory
from cloudherd.plan.vm import vms_of
from tests.unit.plan.helpers import view_of, with_status
from tests.unit.plan.objects import EPOCH, account, at, cluster, fixed, instance, key, scalable

HOME = key("home")


def view(*instances: Instance, where: CloudAccount | None = None, **status: Any) -> ClusterView:
    spec = with_status(cluster("batch", fixed(), scalable(replicas=3), accounts=["home"]), **status)
    return view_of(spec, *instances, accounts=(where or account("home"),))


def see(*instances: Instance, memory: Memory | None = None, monotonic: float = 0.0, **more: Any) -> Memory:
    found = view(*instances, **more)
    return remembered(found, vms_of(found.instances), memory or Memory(), EPOCH + monotonic, monotonic)


def failed(slot: int, service: str = "master", reason: str = "VMError") -> Instance:
    return instance(f"batch-{service}-{slot}", phase="Failed", reason=reason)


def counted(memory: Memory) -> dict[tuple[str, ObjectKey], tuple[int, float]]:
    return {at: (one.count, one.until) for at, one in memory.failures.items()}


@pytest.mark.parametrize(
    ("count", "fixed_", "scalable_"), [(1, 0, 0), (2, 0, 60), (3, 60, 120), (4, 120, 240), (20, 1800, 1800)]
)
def test_backoff_is_one_minute_doubling_to_thirty(count: int, fixed_: float, scalable_: float) -> None:
    assert (backoff(count, fixed=True), backoff(count, fixed=False)) == (fixed_, scalable_)


def test_each_failed_instance_counts_once() -> None:
    memory = see(failed(0))
    memory = see(failed(0), memory=memory)
    assert counted(memory) == {("master", HOME): (1, 0.0)}
    assert counted(see(failed(0), failed(1), memory=memory)) == {("master", HOME): (2, 0.0)}


def test_launches_that_were_under_way_together_fail_as_one() -> None:
    starting = [instance(f"batch-worker-{slot}", phase="Launching") for slot in range(3)]
    memory = see(failed(0, "worker"), *starting[1:])
    memory = see(failed(1, "worker"), starting[2], memory=memory)
    memory = see(failed(1, "worker"), failed(2, "worker"), memory=memory)
    assert counted(memory) == {("worker", HOME): (1, 0.0)}


def in_a_row(service: str) -> Memory:
    """Three attempts, one after the other."""
    memory = Memory()
    for slot in range(3):
        memory = see(failed(slot, service), memory=memory)
    return memory


def test_after_three_the_account_is_passed_over() -> None:
    memory = in_a_row("master")
    assert closed(view(), memory, 59.0) == {HOME: "is passed over for now: master failed 3 times in a row there"}
    assert closed(view(), memory, 61.0) == {}


def test_scalable_failures_hold_back_their_service_only() -> None:
    memory = in_a_row("worker")
    assert closed(view(), memory, 0.0) == {}
    assert {at: one.until for at, one in held_back(memory, 0.0).items()} == {("worker", HOME): 120.0}
    assert held_back(memory, 121.0) == {}


def test_a_lack_of_room_is_one_where_a_site_stands_for_nothing_else() -> None:
    master = instance("batch-master-0", phase="Ready", ready="True")
    nobody, refused = Memory(), failed(0, "worker", "CloudFull")
    assert counted(see(refused)) == {}, "nothing stands there, so nothing is paid for"
    assert counted(see(refused, master, instance("batch-worker-1", phase="Ready", ready="True"))) == {}
    once = see(refused, master, memory=nobody)
    assert counted(once) == {("worker", HOME): (1, 0.0)}
    again = see(failed(1, "worker", "CloudFull"), master, memory=once, monotonic=100)
    assert counted(again) == {("worker", HOME): (2, 160.0)}
    assert held_back(again, 159) != {}
    assert counted(see(instance("batch-worker-2", phase="Ready", ready="True"), memory=again, monotonic=170)) == {}


@pytest.mark.parametrize("reason", ["CloudFull", "ImageMissing", "FlavorMissing"])
def test_what_the_account_remembers_itself_is_no_failure(reason: str) -> None:
    assert not see(failed(0, reason=reason)).failures


def test_a_vm_that_was_ready_and_is_lost_is_no_failed_launch() -> None:
    lost = failed(0)
    ran = instance("batch-master-0").status
    assert not see(
        lost.model_copy(update={"status": lost.status.model_copy(update={"addresses": ran.addresses})})
    ).failures


def test_getting_ready_ends_the_series_however_short_it_was_seen() -> None:
    memory = in_a_row("master")
    assert see(instance("batch-master-3"), memory=memory).failures == {}


def test_another_replica_that_was_ready_before_does_not() -> None:
    memory = see(instance("batch-master-0"), failed(1))
    memory = see(instance("batch-master-0"), failed(2), memory=memory)
    assert counted(memory) == {("master", HOME): (2, 0.0)}


def test_a_time_out_is_a_failure() -> None:
    late = instance("batch-master-0", phase="Launching")
    memory = see(late)
    memory = see(late, memory=memory, monotonic=599.0)
    assert not memory.failures
    memory = see(late, memory=memory, monotonic=600.0)
    memory = see(late, memory=memory, monotonic=601.0)
    assert counted(memory) == {("master", HOME): (1, 600.0)}


def test_while_the_account_is_not_ready_nobody_can_know_and_the_wait_starts_anew() -> None:
    starting = instance("batch-master-0", phase="Launching")
    memory = see(starting)
    memory = see(starting, memory=memory, monotonic=500.0, where=account("home", ready=False))
    memory = see(starting, memory=memory, monotonic=900.0)
    found = view(starting)
    assert time_left(found, vms_of(found.instances), memory.waiting_since, 901.0) == {starting.uid: 599.0}


@pytest.mark.parametrize("phase", ["Pending", "Ready", "Failed"])
def test_only_what_has_a_vm_and_is_not_ready_waits(phase: str) -> None:
    assert not see(instance("batch-master-0", phase=phase)).waiting_since
    assert not see(instance("batch-master-0", phase="Launching", deleting=True)).waiting_since


def test_what_is_claimed_only_has_no_vm_yet() -> None:
    born = instance("batch-master-0", phase="Launching")
    claimed = born.model_copy(update={"status": born.status.model_copy(update={"provider_id": None})})
    assert not see(claimed).waiting_since


def test_a_wall_clock_that_was_wrong_closes_no_site_for_longer_than_half_an_hour() -> None:
    site = {"accountRef": {"namespace": "physics", "name": "home"}, "state": "Closed", "failures": 4}
    memory = see(sites=[site | {"retryAfter": at(6 * 3600)}])
    assert [one.until for one in memory.failures.values()] == [1800.0]


def test_a_gateway_that_has_just_started_knows_closed_sites_from_the_status() -> None:
    site = {"accountRef": {"namespace": "physics", "name": "home"}, "state": "Closed", "failures": 4}
    memory = see(sites=[site | {"retryAfter": at(90)}])
    assert closed(view(), memory, 89.0) == {HOME: "is passed over for now: master failed 4 times in a row there"}
    assert closed(view(), memory, 91.0) == {}
    assert not see(sites=[site | {"retryAfter": at(-1)}]).failures
    assert not see(memory=Memory(fresh=False), sites=[site | {"retryAfter": at(90)}]).failures


def test_whoever_mends_the_manifest_does_not_wait_for_what_was_before() -> None:
    memory = in_a_row("worker")
    found = view()
    context = found.contexts["worker"]
    mended = context.model_copy(update={"metadata": context.metadata.model_copy(update={"generation": 9})})
    edited = replace(found, contexts={**found.contexts, "worker": mended})
    assert not remembered(edited, [], memory, EPOCH, 1.0).failures


def test_another_count_mends_nothing() -> None:
    scaled = view_of(cluster("batch", fixed(), scalable(replicas=9), accounts=["home"]), accounts=(account("home"),))
    assert remembered(scaled, [], in_a_row("worker"), EPOCH, 1.0).failures
