from __future__ import annotations

from cloudherd.clouds.protocol import VMState
from tests.unit.agent.facts import OTHER_ID, record, seen, vm


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
