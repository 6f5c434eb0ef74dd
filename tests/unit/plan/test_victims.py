"""Which VMs go when a service is asked for fewer."""

from __future__ import annotations

import pytest

from cloudherd.plan.victims import victims
from cloudherd.plan.vm import Vm
from tests.unit.plan.helpers import vm
from tests.unit.plan.objects import key

ORDER = {key("home"): 0, key("aws"): 1}


def chosen(alive: list[Vm], surplus: int, *, balanced: bool = False) -> list[str]:
    return [one.name for one in victims(alive, surplus, ORDER, balanced=balanced)]


def test_those_that_are_not_ready_go_first() -> None:
    alive = [vm("c-w-0", "aws"), vm("c-w-1", "home", phase="Launching"), vm("c-w-2", "home", phase="Pending")]
    assert chosen(alive, 2) == ["c-w-2", "c-w-1"]


def test_unknown_ranks_with_ready() -> None:
    alive = [vm("c-w-0", "home", ready="Unknown"), vm("c-w-1", "aws")]
    assert chosen(alive, 1) == ["c-w-1"]


def test_a_low_deletion_cost_goes_before_the_site() -> None:
    alive = [vm("c-w-0", "home", cost="-5"), vm("c-w-1", "aws"), vm("c-w-2", "aws", cost="7")]
    assert chosen(alive, 3) == ["c-w-0", "c-w-1", "c-w-2"]


def test_a_deletion_cost_that_is_no_number_counts_as_nothing() -> None:
    alive = [vm("c-w-0", "home", cost="cheap"), vm("c-w-1", "home", cost="-1")]
    assert chosen(alive, 2) == ["c-w-1", "c-w-0"]


def test_the_last_preference_goes_before_the_first_and_what_is_in_no_order_before_all() -> None:
    alive = [vm("c-w-0", "home"), vm("c-w-1", "aws"), vm("c-w-2", "gone")]
    assert chosen(alive, 3) == ["c-w-2", "c-w-1", "c-w-0"]


def test_the_newest_goes_first_and_of_the_same_age_the_highest_slot() -> None:
    alive = [vm("c-w-9", born=10), vm("c-w-10", born=10), vm("c-w-0", born=20)]
    assert chosen(alive, 3) == ["c-w-0", "c-w-10", "c-w-9"]


def test_balanced_takes_from_the_fullest_site_and_of_equal_ones_from_the_last() -> None:
    alive = [vm(f"c-w-{slot}", "home" if slot < 4 else "aws") for slot in range(6)]
    assert chosen(alive, 4, balanced=True) == ["c-w-3", "c-w-2", "c-w-5", "c-w-1"]


def test_balanced_counts_the_vms_that_are_dear_too() -> None:
    alive = [vm("c-w-0", "home", cost="9"), vm("c-w-1", "home", cost="9"), vm("c-w-2", "home"), vm("c-w-3", "aws")]
    assert chosen(alive, 1, balanced=True) == ["c-w-2"]


@pytest.mark.parametrize("surplus", [0, -3])
def test_without_a_surplus_nobody_goes(surplus: int) -> None:
    assert chosen([vm("c-w-0")], surplus) == []


def test_more_than_there_are_is_all_of_them() -> None:
    assert chosen([vm("c-w-0"), vm("c-w-1")], 5, balanced=True) == ["c-w-1", "c-w-0"]
