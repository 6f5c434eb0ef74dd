"""All cases: the fifteen incidents by their numbers, launches of several VMs with one call, and the free mix."""

from __future__ import annotations

from tests.faults import incidents_creation as creation
from tests.faults import incidents_exits as exits
from tests.faults import incidents_views as views
from tests.faults.mix import batches, mix
from tests.faults.run import Case

CASES = (
    Case(1, "killed-after-create", creation.killed_after_create),
    Case(2, "answer-not-written", creation.answer_not_written),
    Case(3, "list-lags", creation.list_lags),
    Case(4, "tags-collide", creation.tags_collide),
    Case(5, "stale-cache", views.stale_cache),
    Case(6, "bad-list-at-start", views.bad_list_at_start),
    Case(7, "slow-create-swept", creation.slow_create_swept),
    Case(8, "deleted-during-create", creation.deleted_during_create),
    Case(9, "restored", views.restored),
    Case(10, "names-reused", views.names_reused),
    Case(11, "partition", views.partition),
    Case(12, "capacity-storm", exits.capacity_storm),
    Case(13, "cleanup-fails", exits.cleanup_fails),
    Case(14, "ends-in-error", creation.ends_in_error),
    Case(15, "way-out", exits.way_out),
    Case(16, "batches", batches),
    Case(0, "mix", mix),
)
