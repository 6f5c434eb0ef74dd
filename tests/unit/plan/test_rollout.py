"""The arithmetic of a rolling update, as a Deployment has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudherd.api.cluster import UpdateStrategy
from cloudherd.plan.rollout import Bounds, bounds, replaced, surge_wanted
from cloudherd.plan.vm import Vm
from tests.unit.plan.helpers import vm


@pytest.mark.parametrize(
    ("unavailable", "surge", "desired", "expected"),
    [
        ("25%", 0, 10, Bounds(2, 0)),  # maxUnavailable rounds down
        ("25%", 0, 3, Bounds(1, 0)),  # but not below 1
        ("25%", 0, 0, Bounds(1, 0)),
        ("0%", "10%", 10, Bounds(0, 1)),  # 0 is 0, not something rounded
        (0, "25%", 10, Bounds(0, 3)),  # maxSurge rounds up
        (0, 2, 1, Bounds(0, 2)),
        (5, 0, 3, Bounds(5, 0)),
        ("100%", "100%", 4, Bounds(4, 4)),
    ],
)
def test_bounds(unavailable: int | str, surge: int | str, desired: int, expected: Bounds) -> None:
    strategy = UpdateStrategy(max_unavailable=unavailable, max_surge=surge)
    assert bounds(strategy, desired) == expected


def test_on_delete_makes_nothing_ahead_and_lets_go_of_one_at_least() -> None:
    assert bounds(UpdateStrategy(type="OnDelete", max_unavailable=0, max_surge=3), 8) == Bounds(1, 0)


@pytest.mark.parametrize(
    ("desired", "alive", "outdated", "limits", "expected"),
    [
        (4, 4, 4, Bounds(0, 1), 1),  # one above what is asked for
        (4, 5, 4, Bounds(0, 1), 0),  # which stands already
        (4, 4, 1, Bounds(0, 3), 1),  # never more than there are to replace
        (4, 4, 0, Bounds(0, 3), 0),
        (4, 2, 2, Bounds(0, 1), 1),
    ],
)
def test_surge(desired: int, alive: int, outdated: int, limits: Bounds, expected: int) -> None:
    assert surge_wanted(desired, alive, outdated, limits) == expected


def ready(*slots: int) -> list[Vm]:
    return [vm(f"c-w-{slot}") for slot in slots]


def starting(*slots: int) -> list[Vm]:
    return [vm(f"c-w-{slot}", phase="Launching") for slot in slots]


def names(found: list[Vm]) -> list[str]:
    return [one.name for one in found]


def test_as_many_as_may_be_missing_go_and_the_lowest_slot_last() -> None:
    old = ready(0, 1, 2, 3)
    assert names(replaced(old, old, 4, Bounds(2, 0))) == ["c-w-3", "c-w-2"]


def test_old_ones_that_are_not_ready_go_first() -> None:
    old = [*ready(0, 1), *starting(2)]
    assert names(replaced(old, old, 3, Bounds(1, 0))) == ["c-w-2"]


def test_new_ones_that_are_not_ready_use_up_what_may_be_missing() -> None:
    old, new = ready(0, 1, 2), starting(3)
    assert replaced([*old, *new], old, 4, Bounds(1, 0)) == []


def test_old_ones_that_are_not_ready_wait_for_new_ones_too() -> None:
    old, new = starting(0, 1), starting(2, 3)
    assert replaced([*old, *new], old, 4, Bounds(2, 0)) == []
    assert names(replaced([*old, *ready(2), *starting(3)], old, 4, Bounds(2, 0))) == ["c-w-1"]


def test_what_is_missing_already_uses_it_up_too() -> None:
    old = ready(0, 1, 2)
    assert replaced(old, old, 4, Bounds(1, 0)) == []


def test_with_surge_an_old_one_goes_for_every_new_one_that_is_ready() -> None:
    old, new = ready(0, 1, 2), ready(3)
    assert names(replaced([*old, *new], old, 3, Bounds(0, 1))) == ["c-w-2"]
    assert replaced([*old, *starting(3)], old, 3, Bounds(0, 1)) == []


def test_nothing_that_is_up_to_date_goes() -> None:
    assert replaced(ready(0, 1), [], 2, Bounds(2, 0)) == []


@given(
    desired=st.integers(0, 12),
    states=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=16),
    limits=st.builds(Bounds, st.integers(0, 6), st.integers(0, 6)),
)
def test_what_stays_available_is_what_must(desired: int, states: list[tuple[bool, bool]], limits: Bounds) -> None:
    alive = [vm(f"c-w-{n}", phase="Ready" if up else "Launching") for n, (up, _) in enumerate(states)]
    old = [one for one, (_, outdated) in zip(alive, states, strict=True) if outdated]
    gone = replaced(alive, old, desired, limits)
    assert len({one.uid for one in gone}) == len(gone)
    assert {one.uid for one in gone} <= {one.uid for one in old}
    left = [one for one in alive if one not in gone]
    available = sum(one.ready for one in left)
    if any(one.ready for one in gone):
        assert available >= desired - limits.unavailable
    if gone:
        assert len(left) >= desired - limits.unavailable
