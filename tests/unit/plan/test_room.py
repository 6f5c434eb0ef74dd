"""What one cluster may still bind to one account, and why not more."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from cloudherd.api.instance import Resources
from cloudherd.plan.amount import Amount
from cloudherd.plan.model import Offer
from cloudherd.plan.room import Room, ceiling_of
from tests.unit.plan.objects import account

SMALL = Offer("small", "debian-12", "s", "i", {}, Resources(cpus=1, memory=10))
PLENTY = Amount(math.inf, math.inf, math.inf)


def room(left: Amount = PLENTY, *, allowed: float = math.inf, turn: float = math.inf, urgent: float = math.inf) -> Room:
    return Room(left, allowed, turn, urgent, "spec.quota.instances is 9")


@pytest.mark.parametrize(
    ("where", "why", "crowded"),
    [
        (room(Amount(3, 99, 999)), "is full (spec.quota.instances is 9)", True),
        (room(turn=3), "is full (spec.quota.instances is 9)", True),
        (room(Amount(99, 3.5, 999)), "has too few cpus left (spec.quota.cpus or the cloud's limit)", True),
        (room(Amount(99, 99, 39)), "has too little memory left (spec.quota.memory or the cloud's limit)", True),
        (room(allowed=3), "has as many VMs of this cluster as maxInstances admits", False),
    ],
)
def test_it_gives_what_it_has_and_says_what_was_lacking(where: Room, why: str, crowded: bool) -> None:
    assert where.take(SMALL, 5) == 3
    assert (where.why, where.crowded) == (why, crowded)
    assert where.take(SMALL, 1) == 0


def test_what_is_taken_is_gone() -> None:
    where = room(Amount(5, 5, 50))
    assert (where.take(SMALL, 2), where.why) == (2, "")
    assert where.left == Amount(3, 3, 30)


def test_fractions_of_cores_add_up() -> None:
    tenth = Offer("tiny", "debian-12", "t", "i", {}, Resources(cpus=0.1, memory=1))
    assert room(Amount(99, 0.3, 99)).take(tenth, 5) == 3


def test_urgent_vms_have_a_turn_of_their_own() -> None:
    assert room(turn=0, urgent=2).take(SMALL, 3, urgent=True) == 2


def test_a_late_vms_place_counts_again() -> None:
    where = room(Amount(0, 0, 0), allowed=0, turn=0, urgent=0)
    where.give_back(Amount(1, 1, 10), "s")
    assert where.take(SMALL, 2) == 1


@pytest.mark.parametrize(
    ("mark", "why"),
    [
        (("", "", "CloudFull"), "is full (CloudFull)"),
        (("s", "", "CloudFull"), "is full (CloudFull)"),
        (("s", "i", "Invalid"), "refuses small with debian-12 (Invalid)"),
        (("l", "", "CloudFull"), ""),
        (("s", "other", "ImageMissing"), ""),
    ],
)
def test_marks_concern_their_flavor_and_image(mark: tuple[str, str, str], why: str) -> None:
    where = room()
    where.full = [mark]
    assert where.marked_full(SMALL) == why
    assert where.take(SMALL, 2) == (0 if why else 2)
    assert not where.crowded


def test_a_place_that_comes_back_is_of_no_use_where_the_image_is_refused() -> None:
    for mark, places in ((("s", "", "CloudFull"), 1), (("s", "i", "ImageMissing"), 0)):
        where = room()
        where.full, where.returning = [mark], Counter({"s": 1})
        assert where.take(SMALL, 2) == places


def test_the_lower_ceiling_counts_and_is_named() -> None:
    assert ceiling_of(account("a", quota={"instances": 3}, limit=9)) == (
        Amount(3, math.inf, math.inf),
        "spec.quota.instances is 3",
    )
    assert ceiling_of(account("a", quota={"instances": 9}, limit=5, foreign=2))[1] == (
        "its cloud holds 5 VMs, 2 of them not ours"
    )
    assert ceiling_of(account("a", quota={"cpus": 2})) == (Amount(math.inf, 2, math.inf), "")
