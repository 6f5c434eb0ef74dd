"""The ledger: what accounts can still hold, and whose turn it is."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudherd.api import CloudAccount, Instance, ObjectKey
from cloudherd.api.instance import Resources
from cloudherd.plan.amount import Amount
from cloudherd.plan.capacity import Ledger, turns
from cloudherd.plan.model import Offer, Stranger, Waiting
from cloudherd.plan.room import Room
from tests.unit.plan.objects import account, instance, key

SMALL = Resources(cpus=1, memory=2 * 1024**3)
ONE, BATCH, OTHER = key("one"), key("batch"), key("other")


def one(quota: int | None = 10, **more: Any) -> CloudAccount:
    return account("one", quota={} if quota is None else {"instances": quota}, **more)


def bound(ledger: Ledger, cluster: str, count: int, **more: Any) -> list[Instance]:
    found = [instance(f"{cluster}-w-{slot}", "one", **more) for slot in range(count)]
    for item in found:
        ledger.changed(key(cluster), None, item)
    return found


def room(
    ledger: Ledger, cluster: ObjectKey = BATCH, where: CloudAccount | None = None, most: int | None = None
) -> Room:
    return ledger.room(where or one(), cluster, most)


def wait(vms: int, *, urgent: int = 0, least: int = 1) -> Waiting:
    return Waiting(vms, urgent, Amount(least))


def test_an_account_without_limits_has_room_without_end() -> None:
    assert math.isinf(room(Ledger(), where=one(None)).left.instances)


def test_what_others_have_and_what_is_ending_counts() -> None:
    ledger = Ledger()
    bound(ledger, "other", 3)
    bound(ledger, "third", 2, deleting=True)
    assert room(ledger).left.instances == 5


@pytest.mark.parametrize(("reason", "places"), [("VMError", 1), ("CloudFull", 0)])
def test_a_vm_that_found_no_place_gives_none_back(reason: str, places: int) -> None:
    ledger = Ledger()
    found = instance("batch-w-0", "one", phase="Failed", reason=reason)
    status = found.status.model_copy(update={"provider_id": "fake://one/vm-1"})
    failed = found.model_copy(update={"status": status})
    ledger.changed(BATCH, None, failed)
    assert room(ledger).returning.total() == places
    ledger.changed(BATCH, failed, None)
    assert room(ledger).returning.total() == places


def test_a_place_that_an_own_vm_gives_up_is_still_the_clusters() -> None:
    ledger = Ledger()
    (vm, *_) = bound(ledger, "batch", 10)
    ledger.changed(BATCH, vm, instance("batch-w-0", "one", deleting=True))
    assert room(ledger).left.instances == 1
    assert room(ledger, OTHER).left.instances == 0
    assert ledger.free_now(one(), BATCH, None).instances == 0  # it is still there


def test_it_stays_so_until_the_next_plan_when_the_vm_is_gone() -> None:
    ledger = Ledger()
    (vm, *_) = bound(ledger, "batch", 10)
    ledger.changed(BATCH, vm, None)
    assert (room(ledger).left.instances, room(ledger, OTHER).left.instances) == (1, 0)
    ledger.planned(BATCH, {}, {})
    assert room(ledger, OTHER).left.instances == 1


def test_of_what_ends_and_what_is_held_the_larger_counts() -> None:
    ledger = Ledger()
    bound(ledger, "batch", 2, deleting=True)
    ledger.planned(BATCH, {ONE: (SMALL,) * 3}, {})
    assert room(ledger, OTHER).left.instances == 7


def test_a_new_instance_uses_up_a_hold() -> None:
    ledger = Ledger()
    ledger.planned(BATCH, {ONE: (SMALL, SMALL)}, {})
    bound(ledger, "batch", 1)
    assert room(ledger, OTHER).left.instances == 8


def test_an_instance_that_cannot_be_read_counts() -> None:
    ledger = Ledger()
    ledger.changed(OTHER, None, Stranger("other-w-0", "w", ONE))
    assert room(ledger).left.instances == 9
    ledger.changed(OTHER, Stranger("other-w-0", "w", ONE), None)
    ledger.planned(OTHER, {}, {})
    assert room(ledger).left.instances == 10


def test_cores_and_memory_are_ceilings_too() -> None:
    ledger, where = Ledger(), account("one", quota={"cpus": "2500m", "memory": "5Gi"})
    bound(ledger, "other", 1)
    assert room(ledger, where=where).left == Amount(math.inf, 1.5, 3 * 1024**3)


def test_foreign_vms_count_against_the_clouds_limit_only() -> None:
    where = one(8, limit=10, foreign=5)
    assert room(Ledger(), where=where).left.instances == 5
    assert "its cloud holds 10 VMs, 5 of them not ours" in room(Ledger(), where=where).ceiling


def test_max_instances_counts_this_clusters_vms_those_on_their_way_out_included() -> None:
    ledger = Ledger()
    bound(ledger, "other", 3)
    bound(ledger, "batch", 1)
    ledger.changed(BATCH, None, instance("batch-w-1", "one", deleting=True))
    assert room(ledger, most=3).allowed == 2
    assert ledger.free_now(one(), BATCH, 3).instances == 1


def test_a_full_mark_closes_an_account_to_all_but_those_whose_place_comes_back() -> None:
    ledger = Ledger()
    (vm,) = bound(ledger, "batch", 1)
    assert places(ledger) == 0
    ending = instance("batch-w-0", "one", deleting=True)
    ledger.changed(BATCH, vm, ending)
    assert places(ledger) == 1
    ledger.changed(BATCH, ending, None)
    assert places(ledger) == 1
    ledger.planned(BATCH, {}, {})  # its cluster does not want it back
    assert places(ledger) == 0


def places(ledger: Ledger) -> int:
    """For this cluster, on an account that is marked full."""
    offer = Offer("small", "debian-12", "one.small", "img-12", {}, SMALL)
    return room(ledger, where=one(full=True)).take(offer, 9)


# -- whose turn it is


@pytest.mark.parametrize(
    ("free", "counts", "wanted", "mine"),
    [
        (4, {"batch": 0}, {}, 4),  # nobody else waits
        (4, {"batch": 0, "other": 0}, {"other": 9}, 2),  # one at a time, ties by name
        (5, {"batch": 0, "other": 0}, {"other": 9}, 3),
        (5, {"batch": 0, "aaa": 0}, {"aaa": 9}, 2),
        (3, {"batch": 5, "other": 0}, {"other": 9}, 0),  # those with the fewest first
        (9, {"batch": 3, "other": 0}, {"other": 2}, 7),  # and no more than they want
        (9, {"batch": 0, "other": 7}, {"other": 9}, 8),
        (0, {"batch": 0, "other": 0}, {"other": 9}, 0),
        (-3, {"batch": 0, "other": 0}, {"other": 9}, 0),
    ],
)
def test_turns(free: int, counts: dict[str, int], wanted: dict[str, int], mine: int) -> None:
    by_key = {key(name): count for name, count in counts.items()}
    assert turns(free, BATCH, by_key, {key(name): count for name, count in wanted.items()}) == mine


@given(
    free=st.integers(0, 30),
    clusters=st.dictionaries(
        st.sampled_from("abcdefg"), st.tuples(st.integers(0, 8), st.integers(1, 12)), min_size=1, max_size=6
    ),
)
def test_turns_are_those_of_a_queue(free: int, clusters: dict[str, tuple[int, int]]) -> None:
    """Places given out one by one, to whoever has the fewest: everybody's share is what `turns` says."""
    have = {key(name): count for name, (count, _) in clusters.items()}
    want = {key(name): wanted for name, (_, wanted) in clusters.items()}
    got, left = dict.fromkeys(have, 0), dict(want)
    for _ in range(free):
        line = sorted((have[name] + got[name], name) for name in have if left[name])
        if not line:
            break
        got[line[0][1]] += 1
        left[line[0][1]] -= 1
    for name in have:
        others = {other: wanted for other, wanted in want.items() if other != name}
        assert min(want[name], turns(free, name, have, others)) == got[name]


def test_planned_again_a_cluster_gets_no_more() -> None:
    ledger = Ledger()
    bound(ledger, "third", 6)
    ledger.planned(OTHER, {}, {ONE: wait(5)})
    assert room(ledger).turn == 2
    ledger.planned(BATCH, {ONE: (SMALL, SMALL)}, {ONE: wait(3)})
    assert room(ledger).turn == 2
    assert room(ledger, OTHER).turn == 2


def test_fixed_vms_of_open_sites_go_first() -> None:
    ledger = Ledger()
    bound(ledger, "other", 9)
    ledger.planned(OTHER, {}, {ONE: wait(1, urgent=1)})
    assert (room(ledger).turn, room(ledger).urgent_turn) == (0, 1)
    assert room(ledger, OTHER).urgent_turn == 1


def test_who_waits_for_more_than_there_is_does_not_keep_it_from_the_rest() -> None:
    ledger = Ledger()
    bound(ledger, "third", 9)
    ledger.planned(OTHER, {}, {ONE: wait(5, least=2)})
    assert room(ledger).turn == 1


def test_those_who_wait_are_told_when_a_cluster_gives_up_a_claim() -> None:
    ledger = Ledger()
    ledger.planned(OTHER, {}, {ONE: wait(5)})
    assert ledger.planned(BATCH, {ONE: (SMALL, SMALL)}, {ONE: wait(2)}) == []
    assert ledger.planned(BATCH, {ONE: (SMALL, SMALL, SMALL)}, {ONE: wait(1)}) == []  # it has taken what it wanted
    assert ledger.planned(BATCH, {ONE: (SMALL,)}, {}) == [OTHER]
    assert ledger.forget(BATCH) == [OTHER]
    assert ledger.waiting_for(ONE) == [OTHER]
    ledger.forget(OTHER)
    assert ledger.waiting_for(ONE) == []


@given(st.lists(st.tuples(st.sampled_from(["batch", "other"]), st.integers(0, 3), st.integers(0, 3)), max_size=40))
def test_what_is_counted_bit_by_bit_is_what_is_there(changes: list[tuple[str, int, int]]) -> None:
    """Whatever appears, changes and goes: the sums are those of the Instances and holds that there are."""
    ledger, there = Ledger(), dict[str, Instance]()
    states: list[dict[str, Any] | None] = [None, {}, {"phase": "Failed"}, {"deleting": True}]
    for cluster, slot, state in changes:
        name, more = f"{cluster}-w-{slot}", states[state]
        after = None if more is None else instance(name, "one", **more)
        ledger.changed(key(cluster), there.pop(name, None), after)
        if after:
            there[name] = after
        ledger.planned(key(cluster), {}, {})
    assert room(ledger, key("nobody"), one(100)).left.instances == 100 - len(there)
    for name in ("batch", "other"):
        own = [item for item in there.values() if item.spec.cluster_name == name]
        alive = [item for item in own if not item.deleting and item.status.phase != "Failed"]
        assert room(ledger, key(name), one(100), most=50).allowed == 50 - len(alive)
        assert ledger.free_now(one(100), key(name), None).instances == 100 - len(there)
