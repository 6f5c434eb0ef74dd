"""One Instance, one listing, one decision: the incidents that other systems had, decided."""

from __future__ import annotations

import pytest

from cloudherd.agent.actions import Destroy, Launch, LookUp, Lost, Nothing, Release, Report
from cloudherd.agent.decide import decide
from cloudherd.agent.memory import Asked, Look, Track, doubt_in
from cloudherd.api.instance import Addresses
from cloudherd.clouds.protocol import VMState
from tests.unit.agent.facts import (
    LATE_TAGS,
    NOW,
    OTHER_ID,
    SCOPE,
    WITHOUT_TOKENS,
    claimed,
    launched,
    record,
    seen,
    untagged,
    up,
    view,
    vm,
)


def track(**more: object) -> Track:
    return Track(**{"first_seen": 0.0, **more})  # type: ignore[arg-type]


# -- what others did before us, or beside us


def test_without_tokens_a_record_from_before_us_needs_two_listings_without_its_vm() -> None:
    restored = track(inherited=True)
    later = view(seen(begun=NOW + 60), capabilities=WITHOUT_TOKENS, monotonic=NOW + 61)
    assert decide(record(), restored, view(seen(), capabilities=WITHOUT_TOKENS)) == Nothing(until=NOW + 60)
    assert decide(record(), restored, later) == Launch(claim=True)


def test_with_tokens_it_is_launched_at_once_for_that_finds_the_vm() -> None:
    assert decide(record(), track(inherited=True), view(seen())) == Launch()


def test_with_tokens_another_agent_s_record_is_claimed_first_for_that_one_need_not() -> None:
    assert decide(record(agent="another"), track(), view(seen())) == Launch(claim=True)
    assert decide(record(agent=None), track(), view(seen())) == Launch(claim=True)


def test_a_vm_that_another_agent_launched_is_as_young_as_its_name_is_to_us() -> None:
    ours, status = track(), up(phase="Launching")
    decide(record(), ours, view(seen(), hold="Throttled"))
    assert decide(record(status=status), ours, view(seen(begun=NOW + 1))) == Nothing(until=NOW + 61)
    later = view(seen(begun=NOW + 62), monotonic=NOW + 62)
    assert decide(record(status=status), ours, later) == LookUp("i-1")


# -- starting


def test_nothing_is_launched_before_a_listing_was_seen() -> None:
    assert decide(record(), track(), view(None)) == Nothing()


def test_a_new_record_is_launched() -> None:
    assert decide(record(), track(), view(seen())) == Launch()


def test_a_record_waits_while_its_account_is_held_back() -> None:
    assert decide(record(), track(), view(seen(), hold="MassLoss")) == Nothing()


def test_a_vm_that_a_crash_left_behind_is_adopted_and_not_made_again() -> None:
    action = decide(record(), track(), view(seen(vm("i-7"))))
    assert isinstance(action, Report)
    assert (action.phase, action.provider_id) == ("Ready", f"fake://{SCOPE}/i-7")
    assert action.addresses == Addresses(private=["10.0.0.1"])


def test_even_while_nothing_may_be_launched() -> None:
    action = decide(record(), track(), view(seen(vm("i-7")), hold="MassLoss"))
    assert isinstance(action, Report)


def test_of_two_vms_of_one_identity_the_running_one_is_kept() -> None:
    listed = seen(vm("i-1", VMState.PENDING), vm("i-2", VMState.RUNNING))
    action = decide(record(), track(), view(listed))
    assert isinstance(action, Report)
    assert action.provider_id == f"fake://{SCOPE}/i-2"


def test_a_name_that_was_used_before_is_waited_for() -> None:
    action = decide(record(), track(), view(seen(vm("i-1", of=record(id_=OTHER_ID)))))
    assert isinstance(action, Report)
    assert action.reason == "PredecessorRuns"


def test_the_same_name_of_another_installation_is_no_predecessor() -> None:
    tags = {**vm().tags, "cloudherd-installation": "another"}
    assert decide(record(), track(), view(seen(vm("i-1", tags=tags)))) == Launch()


def test_an_address_that_was_used_before_says_nothing() -> None:
    other = vm("i-1", of=record("batch-worker-1", id_=OTHER_ID), private=("10.0.0.1",))
    assert decide(record(status=up("i-0")), track(), view(seen(other))) == LookUp("i-0")


def test_one_without_tags_is_launched_again_for_the_token_leads_to_it() -> None:
    assert decide(record(), track(), view(seen(untagged()), capabilities=LATE_TAGS)) == Launch()


def test_after_a_lost_answer_the_token_is_tried_again_when_a_later_listing_lacks_the_vm() -> None:
    assert decide(record(), track(unknown_at=NOW + 1), view(seen())) == Nothing()
    assert decide(record(), track(unknown_at=NOW - 1), view(seen())) == Launch()


def test_without_tokens_a_claim_comes_first_and_a_lost_answer_is_waited_out() -> None:
    assert decide(record(), track(), view(seen(), capabilities=WITHOUT_TOKENS)) == Launch(claim=True)
    waits = decide(record(), track(unknown_at=NOW - 599), view(seen(), capabilities=WITHOUT_TOKENS))
    assert waits == Nothing(until=NOW + 1)
    assert decide(record(), track(unknown_at=NOW - 600), view(seen(), capabilities=WITHOUT_TOKENS)) == Launch(True)


def test_without_tokens_a_claim_of_an_earlier_process_is_waited_out_from_our_own_first_sight() -> None:
    left = record(status=launched("Unknown"))
    waits = decide(left, track(), view(seen(), capabilities=WITHOUT_TOKENS, monotonic=NOW))
    assert waits == Nothing(until=NOW + 600)


def test_another_agents_claim_is_waited_out_from_its_own_first_sight_though_our_own_came_to_nothing() -> None:
    ours, theirs = (record(deleting=True, status=claimed(one)) for one in ("ours", "theirs"))
    memory = track(void_claim=doubt_in(ours))
    assert memory.unsettled_since(ours) is None
    waits = decide(theirs, memory, view(seen(), monotonic=NOW))
    assert waits == Nothing(until=NOW + 600)
    assert decide(theirs, memory, view(seen(begun=NOW + 300), monotonic=NOW + 300)) == waits


def test_a_creation_accepted_that_ends_in_an_error_fails_in_the_clouds_words() -> None:
    broken = vm("i-1", VMState.ERROR, detail="No valid host was found")
    action = decide(record(), track(), view(seen(broken)))
    assert isinstance(action, Report)
    assert (action.phase, action.reason) == ("Failed", "VMError")
    assert "No valid host was found" in action.message


# -- standing


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (VMState.STOPPED, "VMStopped"),
        (VMState.ERROR, "VMError"),
        (VMState.DELETING, "VMVanished"),
        (VMState.DELETED, "VMVanished"),
    ],
)
def test_a_vm_that_does_not_run_any_more_is_lost(state: VMState, reason: str) -> None:
    action = decide(record(status=up()), track(), view(seen(vm("i-1", state, detail="host failure"))))
    assert isinstance(action, Lost)
    assert action.reason == reason
    assert "host failure" in action.message


def test_a_vm_that_somebody_means_to_be_stopped_is_not_lost() -> None:
    stopped = record(status=up(), powerState="Stopped")
    told = decide(stopped, track(), view(seen(vm("i-1", VMState.STOPPED))))
    assert isinstance(told, Report)
    assert (told.ready, told.reason, told.phase) == (False, "Stopped", "Stopped")


def test_a_vm_that_a_listing_lacks_is_looked_up_before_it_is_lost() -> None:
    its = record(status=up())
    assert decide(its, track(), view(seen())) == LookUp("i-1")
    gone = decide(its, track(looks={"i-1": Look(NOW, None)}), view(seen()))
    assert isinstance(gone, Lost)
    assert gone.reason == "VMVanished"


def test_a_vm_that_the_cloud_shows_though_its_listing_hides_it_is_there() -> None:
    shown = track(looks={"i-1": Look(NOW, vm("i-1"))})
    action = decide(record(status=up()), shown, view(seen()))
    assert isinstance(action, Report)
    assert action.ready is True


def test_a_new_vm_may_be_missing_for_as_long_as_the_cloud_says() -> None:
    new = track(first_seen=NOW - 59)
    assert decide(record(status=up()), new, view(seen())) == Nothing(until=NOW + 1)
    launched_now = track(launched_at=NOW - 30, vm_id="i-1")
    assert decide(record(status=up()), launched_now, view(seen())) == Nothing(until=NOW + 30)


def test_a_listing_begun_before_the_vm_was_made_says_nothing_of_it() -> None:
    young = track(launched_at=NOW + 0.5, vm_id="i-1", sighted=True)
    assert decide(record(status=up()), young, view(seen())) == Nothing(until=NOW + 0.5)


def test_a_vm_of_another_scope_is_unknown_and_never_gone() -> None:
    action = decide(record(status=up()), track(), view(seen(scope="another-project")))
    assert isinstance(action, Report)
    assert (action.ready, action.reason, action.phase) == ("Unknown", "AccountRepointed", None)


def test_tags_of_another_owner_are_a_conflict() -> None:
    tags = {**vm().tags, "cloudherd-id": OTHER_ID}
    action = decide(record(status=up()), track(), view(seen(vm("i-1", tags=tags))))
    assert isinstance(action, Lost)  # so that the brake is asked, should a cloud forget all its tags at once
    assert action.reason == "IdentityConflict"


def test_tags_that_are_not_whole_yet_are_waited_for() -> None:
    bare = vm("i-1", tags={"cloudherd-installation": "inst"})
    assert decide(record(status=up()), track(first_seen=NOW), view(seen(bare))) == Nothing(until=NOW + 60)
    action = decide(record(status=up()), track(), view(seen(bare)))
    assert isinstance(action, Lost)
    assert action.reason == "IdentityConflict"


def test_a_running_vm_without_an_address_is_not_ready_and_says_so_after_a_while() -> None:
    its, memory = record(status={**up(phase="Launching"), "addresses": None}), track()
    bare = vm("i-1", private=())
    assert decide(its, memory, view(seen(bare))) == Nothing(until=NOW + 31)
    action = decide(its, memory, view(seen(bare), monotonic=NOW + 32))
    assert isinstance(action, Report)
    assert (action.phase, action.reason) == ("Running", "WaitingForAddress")


def test_what_has_failed_stays_failed() -> None:
    assert decide(record(status=up(phase="Failed")), track(), view(seen(vm("i-1")))) == Nothing()


# -- ending


def test_a_vm_is_asked_to_end_and_asked_again_only_after_a_while() -> None:
    its = record(deleting=True, status=up())
    assert decide(its, track(), view(seen(vm("i-1")))) == Destroy(("i-1",))
    asked = track(asked={"i-1": Asked(NOW - 10, 1)})
    action = decide(its, asked, view(seen(vm("i-1"))))
    assert isinstance(action, Report)
    assert (action.phase, action.until) == ("Terminating", NOW + 20)
    assert decide(its, asked, view(seen(vm("i-1")), monotonic=NOW + 20)) == Destroy(("i-1",))


def test_why_one_had_no_room_is_told_until_it_is_gone() -> None:
    failed = up(phase="Failed")
    failed["conditions"] = [{**failed["conditions"][0], "status": "False", "reason": "CloudFull"}]
    its, asked = record(deleting=True, status=failed), track(asked={"i-1": Asked(NOW - 10, 1)})
    assert decide(its, asked, view(seen(vm("i-1", VMState.DELETING)))) == Nothing()


def test_all_vms_of_its_identity_are_ended() -> None:
    its = record(deleting=True, status=up("i-1"))
    assert decide(its, track(), view(seen(vm("i-1"), vm("i-2")))) == Destroy(("i-1", "i-2"))


def test_a_record_goes_only_when_a_listing_and_a_look_say_the_same() -> None:
    its, asked = record(deleting=True, status=up()), {"i-1": Asked(NOW - 10, 1)}
    assert decide(its, track(asked=asked, sighted=True), view(seen())) == LookUp("i-1")
    stale = {"i-1": Look(NOW - 11, None)}
    assert decide(its, track(asked=asked, sighted=True, looks=stale), view(seen())) == LookUp("i-1")
    agreed = {"i-1": Look(NOW, None)}
    assert decide(its, track(asked=asked, sighted=True, looks=agreed), view(seen())) == Release()


def test_a_listing_begun_before_the_call_to_end_it_confirms_nothing() -> None:
    its = record(deleting=True, status=up())
    asked = track(asked={"i-1": Asked(NOW + 0.5, 1)}, sighted=True, looks={"i-1": Look(NOW + 0.6, None)})
    assert isinstance(decide(its, asked, view(seen())), Nothing)


def test_a_vm_listed_as_deleted_for_good_is_gone() -> None:
    its = record(deleting=True, status=up())
    assert decide(its, track(), view(seen(vm("i-1", VMState.DELETED)))) == Release()


def test_one_that_got_no_tags_is_ended_by_its_token() -> None:
    its = record(deleting=True)
    inherited = track(first_seen=NOW - 6000, inherited=True, ending_since=NOW - 6000)
    assert decide(its, inherited, view(seen(untagged("i-7")), capabilities=LATE_TAGS)) == Destroy(("i-7",))
    assert decide(its, track(), view(seen(vm("i-1"), untagged("i-7")))) == Destroy(("i-1", "i-7"))


def test_where_tags_come_late_an_attempt_of_an_earlier_process_may_be_untold() -> None:
    its = record(deleting=True, status=launched("False"))
    inherited = track(inherited=True, ending_since=NOW - 60)
    assert decide(its, inherited, view(seen(), capabilities=LATE_TAGS)) == Nothing(until=NOW + 540)
    assert decide(its, track(), view(seen(), capabilities=LATE_TAGS)) == Release()


def test_a_vm_too_young_for_the_listing_is_ended_by_the_id_of_its_answer() -> None:
    young = track(launched_at=NOW + 0.5, vm_id="i-9")
    assert decide(record(deleting=True), young, view(seen())) == Destroy(("i-9",))


def test_a_refused_instance_goes_at_once_even_without_a_listing() -> None:
    assert decide(record(deleting=True, status=launched("False")), track(), view(None)) == Release()


def test_a_record_that_was_never_tried_goes_when_the_window_has_passed() -> None:
    its = record(deleting=True)
    assert decide(its, track(first_seen=NOW - 59), view(seen())) == Nothing(until=NOW + 1)
    assert decide(its, track(first_seen=NOW - 60), view(seen())) == Release()


def test_one_that_an_earlier_process_may_have_tried_waits_longer() -> None:
    its = record(deleting=True)
    inherited = track(first_seen=NOW - 6000, inherited=True, ending_since=NOW - 60)
    assert decide(its, inherited, view(seen())) == Nothing(until=NOW + 540)


def test_nobody_but_the_agent_it_was_made_for_lets_it_go_while_that_one_may_launch_it() -> None:
    its = record(deleting=True, agent="another", status=launched("False"))
    known = track(first_seen=NOW - 6000, ending_since=NOW - 60)
    assert decide(its, known, view(seen())) == Nothing(until=NOW + 540)
    assert decide(its, track(ending_since=NOW - 600), view(seen())) == Release()
    without = view(seen(), capabilities=WITHOUT_TOKENS)
    assert decide(its, known, without) == Release(), "there every attempt is claimed"


def test_what_its_own_agent_gave_up_anybody_may_let_go() -> None:
    given_up = {**launched("False"), "phase": "Failed"}
    assert decide(record(deleting=True, agent="another", status=given_up), track(), view(seen())) == Release()
    given_up["conditions"][0]["reason"] = "ClaimWithdrawn"
    by_another = record(deleting=True, agent="another", status=given_up)
    assert decide(by_another, track(), view(seen())) == Nothing(until=NOW + 601)


def test_one_whose_answer_was_lost_waits_for_the_vm_that_may_still_come() -> None:
    assert decide(record(deleting=True), track(unknown_at=NOW - 500), view(seen())) == Nothing(until=NOW + 100)
    persisted = record(deleting=True, status=launched("Unknown"))
    memory = track()
    decide(persisted, memory, view(seen(begun=NOW - 500), monotonic=NOW - 500))
    assert decide(persisted, memory, view(seen())) == Nothing(until=NOW + 100)


def test_an_unreachable_cloud_keeps_the_record() -> None:
    assert decide(record(deleting=True, status=up()), track(), view(None)) == Nothing()


def test_an_account_that_leads_elsewhere_keeps_the_record() -> None:
    action = decide(record(deleting=True, status=up()), track(), view(seen(scope="another-project")))
    assert isinstance(action, Report)
    assert action.reason == "AccountRepointed"


def test_abandoned_records_go_without_their_vm_and_say_so() -> None:
    its = record(deleting=True, status=up(), annotations={"abandon": "true"})
    action = decide(its, track(), view(None))
    assert isinstance(action, Release)
    assert "fake://physics.home/i-1 is left to itself" in action.tell


def test_another_owners_vm_is_left_alone_and_the_record_goes() -> None:
    tags = {**vm().tags, "cloudherd-installation": "another"}
    its = record(deleting=True, status=up())
    assert decide(its, track(), view(seen(vm("i-1", tags=tags)))) == Release()


def test_a_vm_that_lost_its_tags_keeps_the_record_until_somebody_decides() -> None:
    action = decide(record(deleting=True, status=up()), track(), view(seen(vm("i-1", tags={}))))
    assert isinstance(action, Report)
    assert action.reason == "IdentityConflict"
    assert "cloudherd.dev/abandon" in action.message


def test_others_finalizers_are_none_of_our_business() -> None:
    its = record(deleting=True, status=up())
    others = its.model_copy(update={"metadata": its.metadata.model_copy(update={"finalizers": ("example.org/x",)})})
    assert decide(others, track(), view(seen(vm("i-1")))) == Nothing()


def test_after_a_failed_call_it_waits() -> None:
    assert decide(record(), track(not_before=NOW + 5), view(seen())) == Nothing(until=NOW + 5)
