"""What an account remembers of having been full."""

from __future__ import annotations

from cloudherd.agent.full import Full, Key, grew
from cloudherd.clouds.protocol import Limits
from tests.unit.agent.facts import account

SMALL = ("small", "", "")
ACCOUNT = ("", "", "")
X = ("small", "x", "1")
LARGE = ("large", "x", "1")


def refused(full: Full, key: Key, at: float, began: float | None = None) -> None:
    full.refused(key, "CloudFull", "no room", began=at - 1 if began is None else began, monotonic=at, now=at)


def test_waits_double_from_one_minute_to_thirty() -> None:
    full, at, waits = Full(60, 1800), 0.0, []
    for _ in range(8):
        refused(full, SMALL, at + 1, began=at + 0.5)
        waits.append(full.marks[SMALL].delay)
        at = full.marks[SMALL].until
        assert full.pass_time(at)
    assert waits == [60, 120, 240, 480, 960, 1800, 1800, 1800]


def test_refusals_of_launches_under_way_together_count_once() -> None:
    full = Full(60, 1800)
    refused(full, SMALL, 10, began=5)
    refused(full, SMALL, 11, began=6)
    refused(full, SMALL, 12, began=7)
    assert full.marks[SMALL].delay == 60
    assert full.marks[SMALL].until == 70


def test_a_full_account_fills_every_flavor_and_a_lack_of_one_only_that() -> None:
    full = Full(60, 1800)
    refused(full, SMALL, 0)
    assert full.blocks(X)
    assert not full.blocks(LARGE)
    refused(full, ACCOUNT, 0)
    assert full.blocks(LARGE)


def test_a_missing_image_blocks_only_that_image() -> None:
    full = Full(60, 1800)
    refused(full, ("small", "gone", ""), 0)
    assert full.blocks(("small", "gone", "1"))
    assert not full.blocks(("small", "debian", "1"))
    assert not full.freed("small")


def test_after_its_time_one_launch_probes_and_the_others_wait_for_it() -> None:
    full = Full(60, 1800)
    refused(full, SMALL, 0)
    full.pass_time(60)
    assert full.may_probe(X, "a")
    assert full.waits(X, "b")
    assert not full.may_probe(X, "b")
    assert full.may_probe(LARGE, "c")
    full.ended("a")
    assert full.may_probe(X, "b")
    full.succeeded(X, began=1e9)
    full.ended("b")
    assert not full.marks
    assert full.may_probe(X, "d")


def test_a_place_that_comes_free_is_tried_before_the_time_has_passed() -> None:
    full = Full(60, 1800)
    refused(full, SMALL, 0)
    assert not full.freed("large")
    assert full.freed("small")
    assert not full.standing()
    refused(full, SMALL, 5, began=4)
    assert full.marks[SMALL].delay == 120


def test_more_than_the_cloud_allowed_when_it_refused_lifts_the_mark() -> None:
    full = Full(60, 1800)
    refused(full, ACCOUNT, 0)
    assert not full.told(Limits(instances=4), Limits(instances=0))
    assert not full.told(Limits(instances=4), Limits(instances=2))  # it claimed that before, too
    assert not full.told(Limits(instances=6), Limits(instances=0))
    assert full.told(Limits(instances=6), Limits(instances=2))


def test_only_more_is_growth() -> None:
    assert grew(Limits(instances=4), Limits(instances=5))
    assert grew(Limits(instances=4, cpus=8), Limits(instances=4, cpus=9))
    assert grew(Limits(instances=4), Limits())
    assert not grew(Limits(instances=4), Limits(instances=4))
    assert not grew(Limits(), Limits(instances=4))


def test_what_an_agent_before_us_wrote_is_taken_over_until_it_has_passed() -> None:
    status = {
        "full": [
            {"flavor": "small", "until": "1970-01-01T00:10:00Z", "reason": "CloudFull"},
            {"flavor": "large", "until": "1970-01-01T00:01:00Z", "reason": "CloudFull"},
        ]
    }
    full = Full(60, 1800)
    full.restore(account(status=status).status.full, monotonic=5000, now=500)
    assert full.next_end() == 5100
    assert not full.blocks(LARGE)


def test_a_launch_that_was_under_way_when_another_was_refused_proves_no_room() -> None:
    full = Full(60, 1800)
    full.refused(SMALL, "CloudFull", "no room", began=10, monotonic=12, now=0)
    full.succeeded(X, began=9)
    assert full.blocks(X)
    full.succeeded(X, began=13)
    assert not full.blocks(X)
