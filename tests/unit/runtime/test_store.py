"""The store never takes back what it knows better, and never takes what cannot be read for absent."""

from __future__ import annotations

from typing import Any, Literal

from cloudherd.api import Instance, ObjectKey
from cloudherd.runtime.kinds import INSTANCE, SECRET_METADATA
from cloudherd.runtime.ports import WatchEvent
from cloudherd.runtime.store import Store, Unreadable

KEY = ObjectKey("physics", "batch-worker-0")


def instance(version: int, uid: str = "u1", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": KEY.namespace, "name": KEY.name, "uid": uid, "resourceVersion": str(version)},
        "spec": {
            "id": "6f0c0000-0000-4000-8000-000000000000",
            "clusterName": "batch",
            "serviceName": "worker",
            "accountRef": {"namespace": "physics", "name": "home"},
            "flavor": "sim.small",
            "image": "sim-debian-12",
            "userDataRef": {"name": "data"},
            "revision": "r1",
            **spec,
        },
    }


def event(type_: Literal["ADDED", "MODIFIED", "DELETED"], obj: dict[str, Any]) -> WatchEvent:
    return WatchEvent(type_, obj)


def store() -> Store:
    empty = Store(("instances",))
    empty.replace(INSTANCE, [], "10")
    return empty


def test_it_is_synced_only_when_every_kind_was_listed() -> None:
    it = Store(("instances", "secrets"))
    it.replace(INSTANCE, [], "1")
    assert not it.synced
    it.replace(SECRET_METADATA, [], "1")
    assert it.synced


def test_our_own_write_is_there_before_the_watch_tells_of_it() -> None:
    it = store()
    it.wrote(INSTANCE, instance(11))
    assert it.instance(KEY)
    assert len(list(it.of_account(ObjectKey("physics", "home")))) == 1


def test_a_late_event_does_not_bring_an_older_state_back() -> None:
    it = store()
    it.wrote(INSTANCE, instance(12, revision="r2"))
    it.apply(INSTANCE, event("MODIFIED", instance(11)))
    found = it.instance(KEY)
    assert found
    assert found.spec.revision == "r2"


def test_an_object_that_we_saw_off_does_not_come_back_with_a_late_event() -> None:
    it = store()
    it.apply(INSTANCE, event("ADDED", instance(11)))
    it.removed(INSTANCE, KEY, "u1")
    it.apply(INSTANCE, event("MODIFIED", instance(12)))
    assert it.instance(KEY) is None


def test_an_answer_that_comes_after_the_objects_end_was_told_does_not_bring_it_back() -> None:
    it = store()
    it.apply(INSTANCE, event("ADDED", instance(11)))
    it.apply(INSTANCE, event("DELETED", instance(13)))
    it.wrote(INSTANCE, instance(12))
    assert it.instance(KEY) is None


def test_a_namesake_made_after_the_end_is_another_object() -> None:
    it = store()
    it.apply(INSTANCE, event("ADDED", instance(11)))
    it.removed(INSTANCE, KEY, "u1")
    it.apply(INSTANCE, event("ADDED", instance(14, uid="u2")))
    it.apply(INSTANCE, event("DELETED", instance(13)))
    found = it.instance(KEY)
    assert found
    assert found.uid == "u2"


def test_a_new_list_tells_of_deletions_but_not_of_what_was_written_after_it() -> None:
    it = store()
    it.apply(INSTANCE, event("ADDED", instance(11)))
    other = instance(21, uid="u2")
    other["metadata"]["name"] = "batch-worker-1"
    it.wrote(INSTANCE, other)
    it.replace(INSTANCE, [], "20")
    assert it.instance(KEY) is None
    assert it.instance(ObjectKey("physics", "batch-worker-1"))


def test_what_cannot_be_read_is_present_and_counts_for_its_cluster_and_account() -> None:
    it = store()
    it.apply(INSTANCE, event("ADDED", instance(11, powerState="Quantum")))
    assert isinstance(it.entry("instances", KEY), Unreadable)
    assert len(list(it.of_cluster(ObjectKey("physics", "batch")))) == 1
    assert len(list(it.of_account(ObjectKey("physics", "home")))) == 1


def test_every_change_is_told_with_what_was_before() -> None:
    it, told = store(), []
    it.subscribe(lambda plural, before, after: told.append((plural, bool(before), isinstance(after, Instance))))
    it.apply(INSTANCE, event("ADDED", instance(11)))
    it.apply(INSTANCE, event("DELETED", instance(12)))
    assert told == [("instances", False, True), ("instances", True, False)]
