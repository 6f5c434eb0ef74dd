"""What an Instance says of a VM that the cloud has begun to end and does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cloudherd.agent.actions import Action, Nothing, Report
from cloudherd.agent.decide import decide
from cloudherd.agent.memory import Asked, Track
from cloudherd.clouds.protocol import VM, VMState
from tests.unit.agent.facts import NOW, WITH_TOKENS, record, seen, up, view, vm

HELP = "only its administrator can end it"
CAPABILITIES = replace(WITH_TOKENS, stuck_end=HELP)
PLAIN = ("Terminating", "the cloud is ending the VM")


def ending(detail: str = "EPILOG") -> VM:
    return vm("i-1", VMState.DELETING, detail=detail)


def says(reason: str, message: str = "", phase: str = "Terminating") -> dict[str, Any]:
    status = up(phase=phase)
    status["conditions"] = [{**status["conditions"][0], "status": "False", "reason": reason, "message": message}]
    return status


def remembered() -> Track:
    """Asked to end at NOW."""
    return Track(NOW - 1000, asked={"i-1": Asked(NOW, 1)})


def look(track: Track, shown: VM, after: float, status: dict[str, Any]) -> Action:
    """`after`: seconds since the facts' own moment, 2027-01-15T08:00:00Z."""
    its = record(deleting=True, status=status)
    moment = {"monotonic": NOW + after, "now": 1_800_000_000 + after}
    return decide(its, track, view(seen(shown, begun=NOW + after), capabilities=CAPABILITIES, **moment))


def test_after_ten_minutes_it_says_since_when_in_which_state_and_who_can_help() -> None:
    track = remembered()
    first = look(track, ending("SHUTDOWN"), 60, up())
    assert isinstance(first, Report)
    assert (first.reason, first.message) == PLAIN
    told = says(*PLAIN)
    assert look(track, ending(), 659, told) == Nothing()
    turned = look(track, ending(), 660, told)
    assert isinstance(turned, Report)
    assert (turned.ready, turned.reason, turned.phase, turned.tell) == (False, "EndsSlowly", "Terminating", True)
    assert turned.message == (
        "the cloud has been ending the VM i-1, whose state there is EPILOG, since 2027-01-15T08:01:00Z at the latest: "
        "only its administrator can end it"
    )


def test_once_told_it_does_not_change_with_time_or_with_a_new_agent() -> None:
    track = remembered()
    look(track, ending(), 0, up())
    turned = look(track, ending(), 600, says(*PLAIN))
    assert isinstance(turned, Report)
    told = says("EndsSlowly", turned.message)
    assert look(track, ending(), 7200, told) == turned
    assert look(Track(NOW), ending(), 7200, told) == turned, "its own first sight is later"


def test_another_state_at_the_cloud_is_news_with_the_same_beginning() -> None:
    track = remembered()
    look(track, ending("SHUTDOWN"), 0, up())
    turned = look(track, ending("SHUTDOWN"), 600, says(*PLAIN))
    assert isinstance(turned, Report)
    moved = look(track, ending("EPILOG"), 900, says("EndsSlowly", turned.message))
    assert isinstance(moved, Report)
    assert moved.message == turned.message.replace("SHUTDOWN", "EPILOG")


def test_a_vm_that_runs_again_meanwhile_begins_anew() -> None:
    track = remembered()
    look(track, ending(), 0, up())
    look(track, vm("i-1"), 10, says(*PLAIN))
    assert look(track, ending(), 610, says(*PLAIN)) == Nothing()
    assert isinstance(look(track, ending(), 1210, says(*PLAIN)), Report)


def test_a_cloud_that_tells_no_state_and_has_no_helper_gets_a_shorter_sentence() -> None:
    track = Track(NOW - 1000, asked={"i-1": Asked(NOW, 1)}, ending_at={"i-1": NOW - 600})
    turned = decide(record(deleting=True, status=says(*PLAIN)), track, view(seen(ending(""))))
    assert isinstance(turned, Report)
    assert turned.message == "the cloud has been ending the VM i-1 since 2027-01-15T07:50:00Z at the latest"


def test_why_one_had_no_room_is_told_however_long_its_end_takes() -> None:
    track = remembered()
    full = says("CloudFull", phase="Failed")
    look(track, ending(), 0, full)
    assert look(track, ending(), 3600, full) == Nothing()


def test_what_is_told_of_one_vm_is_not_told_of_another_whose_id_it_begins_with() -> None:
    told = says("EndsSlowly", "the cloud has been ending the VM i-10 since 2027-01-15T08:01:00Z at the latest")
    assert look(remembered(), ending(""), 60, told) == Nothing()
    same = says("EndsSlowly", "the cloud has been ending the VM i-1 since 2027-01-15T08:01:00Z at the latest")
    assert isinstance(look(remembered(), ending(""), 60, same), Report)
