from __future__ import annotations

from dataclasses import replace

import pytest

from cloudherd.agent.seen import again
from cloudherd.clouds.protocol import Listing, VMState
from tests.unit.agent.facts import NOW, OTHER_ID, SCOPE, record, seen, untagged, vm


def test_a_vm_that_came_on_two_pages_counts_once() -> None:
    assert list(seen(vm("i-1"), vm("i-1")).ours) == ["i-1"]


def test_what_is_gone_for_good_is_nobodys_any_more() -> None:
    listed = seen(vm("i-1", VMState.DELETED), vm("i-2", VMState.DELETED, tags={}))
    assert not listed.ours
    assert not listed.foreign
    assert not listed.of(record())
    assert set(listed.by_id) == {"i-1", "i-2"}


def test_all_others_are_foreign() -> None:
    others = [vm("i-1", tags={}), vm("i-2", tags={**vm().tags, "cloudherd-account": "physics.other"})]
    assert [one.id for one in seen(*others, vm("i-3")).foreign] == ["i-1", "i-2"]


def test_predecessors_bear_the_name_under_another_id() -> None:
    old = vm("i-1", of=record(id_=OTHER_ID))
    listed = seen(old, vm("i-2"))
    assert listed.predecessors(record()) == [old]
    assert [one.id for one in listed.of(record())] == ["i-2"]


def test_one_without_tags_is_foreign_and_its_instances_by_the_token() -> None:
    listed = seen(untagged("i-1"), vm("i-2", tags={}, token="ch-another"), untagged("i-3", VMState.DELETED))
    assert [one.id for one in listed.foreign] == ["i-1", "i-2"]
    assert [one.id for one in listed.untagged(record(), "inst")] == ["i-1"]
    assert not listed.untagged(record(), "another")
    assert not listed.untagged(record(id_=OTHER_ID), "inst")


def test_what_names_an_owner_belongs_to_nobody_else_whatever_its_token() -> None:
    tags = {**vm().tags, "cloudherd-installation": "another"}
    assert not seen(replace(untagged(), tags=tags)).untagged(record(), "inst")


def test_a_listing_that_says_the_same_is_what_was_seen_before_begun_anew() -> None:
    before = seen(vm("i-1"), vm("i-2"))
    same = again(Listing(SCOPE, (vm("i-1"), vm("i-2"))), NOW + 60, before)
    assert same is not None
    assert (same.begun, same.ours) == (NOW + 60, before.ours)
    assert same.by_id is before.by_id


@pytest.mark.parametrize(
    "listing",
    [
        Listing("elsewhere", (vm("i-1"), vm("i-2"))),
        Listing(SCOPE, (vm("i-1"),)),
        Listing(SCOPE, (vm("i-1"), vm("i-2"), vm("i-3"))),
        Listing(SCOPE, (vm("i-1"), vm("i-2", VMState.STOPPED))),
        Listing(SCOPE, (vm("i-1"), vm("i-2", tags={}))),
    ],
    ids=["another scope", "one less", "one more", "another state", "other tags"],
)
def test_any_difference_is_news(listing: Listing) -> None:
    assert again(listing, NOW + 60, seen(vm("i-1"), vm("i-2"))) is None


def test_the_first_listing_is_news() -> None:
    assert again(Listing(SCOPE, ()), NOW, None) is None
