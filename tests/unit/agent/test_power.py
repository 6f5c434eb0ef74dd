"""What spec.powerState and spec.deletionGrace lead to, one decision at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cloudherd.agent.actions import Action, Destroy, Lost, Nothing, Power, Report
from cloudherd.agent.decide import decide
from cloudherd.agent.memory import NO_POWER, Track
from cloudherd.api import Instance
from cloudherd.clouds.protocol import Verb, VMState
from tests.unit.agent.facts import NOW, WITH_TOKENS, record, seen, up, view, vm

ALL = replace(WITH_TOKENS, verbs=frozenset(Verb))
NONE = WITH_TOKENS


def says(reason: str, phase: str) -> dict[str, Any]:
    """A status whose Ready condition says so."""
    verdict = {"type": "Ready", "status": "False", "reason": reason, "lastTransitionTime": "2026-01-01T00:00:00Z"}
    return {**up(), "phase": phase, "conditions": [verdict]}


def wanted(power_state: str, status: dict[str, Any] | None = None) -> Instance:
    return record(status=status or up(), powerState=power_state)


def do(one: Instance, state: VMState, track: Track | None = None, **more: Any) -> Action:
    given = {"capabilities": ALL, **more}
    return decide(one, track or Track(NOW - 1000), view(seen(vm("i-1", state)), **given))


def test_a_vm_that_is_to_stop_is_told_so_in_its_status_first_and_then_asked_to_shut_down() -> None:
    first = do(wanted("Stopped"), VMState.RUNNING)
    assert isinstance(first, Report)
    assert (first.ready, first.reason, first.phase) == (False, "Stopping", "Stopped")
    assert do(wanted("Stopped", says("Stopping", "Stopped")), VMState.RUNNING) == Power("i-1", Verb.SHUT_DOWN)


def test_one_that_does_not_shut_down_is_switched_off_after_a_while() -> None:
    stopping = wanted("Stopped", says("Stopping", "Stopped"))
    track = Track(NOW - 1000, power=NO_POWER.asked(Verb.SHUT_DOWN, NOW - 100))
    assert do(stopping, VMState.RUNNING, track) == Power("i-1", Verb.SHUT_DOWN)
    track.power = track.power.asked(Verb.SHUT_DOWN, NOW)
    assert do(stopping, VMState.RUNNING, track) == Nothing(until=NOW + 30)
    assert do(stopping, VMState.RUNNING, track, monotonic=NOW + 20) == Power("i-1", Verb.STOP)


def test_one_that_is_neither_up_nor_down_is_waited_for_and_switched_off_after_the_same_while() -> None:
    stopping = wanted("Stopped", says("Stopping", "Stopped"))
    track = Track(NOW - 1000, power=NO_POWER.asked(Verb.SHUT_DOWN, NOW - 100))
    assert do(stopping, VMState.UNKNOWN, track) == Nothing()
    assert do(stopping, VMState.UNKNOWN, track, monotonic=NOW + 20) == Power("i-1", Verb.STOP)
    assert do(stopping, VMState.UNKNOWN, Track(NOW - 1000), monotonic=NOW + 20) == Nothing(), "nobody told it anything"


def test_a_suspended_one_is_resumed_and_a_stopped_one_started() -> None:
    for state, reason, verb in (
        (VMState.STOPPED, "Stopped", Verb.START),
        (VMState.SUSPENDED, "Suspended", Verb.RESUME),
    ):
        told = do(wanted("Running", says(reason, "Stopped")), state)
        assert isinstance(told, Report)
        assert (told.reason, told.phase) == ("Starting", "Launching")
        assert do(wanted("Running", says("Starting", "Launching")), state) == Power("i-1", verb)


def test_one_that_was_stopped_behind_our_back_is_lost_all_the_same() -> None:
    assert isinstance(do(wanted("Running"), VMState.STOPPED), Lost)
    assert isinstance(do(wanted("Running"), VMState.SUSPENDED), Lost)


def test_one_whose_owner_changes_his_mind_before_it_is_down_is_started_again() -> None:
    track = Track(NOW - 1000, power=NO_POWER.asked(Verb.SHUT_DOWN, NOW - 5))
    told = do(wanted("Running"), VMState.STOPPED, track)
    assert isinstance(told, Report)
    assert told.reason == "Starting"


def test_from_stopped_to_suspended_it_goes_by_running() -> None:
    told = do(wanted("Suspended", says("Stopped", "Stopped")), VMState.STOPPED)
    assert isinstance(told, Report)
    assert told.reason == "Starting"
    told = do(wanted("Suspended", says("Starting", "Launching")), VMState.RUNNING)
    assert isinstance(told, Report)
    assert told.reason == "Suspending"
    assert do(wanted("Suspended", says("Suspending", "Stopped")), VMState.RUNNING) == Power("i-1", Verb.SUSPEND)


@pytest.mark.parametrize("state", ["Stopped", "Suspended"])
def test_what_the_cloud_cannot_do_is_told_and_the_vm_stays_as_it_is(state: str) -> None:
    told = do(wanted(state), VMState.RUNNING, capabilities=NONE)
    assert isinstance(told, Report)
    assert (told.ready, told.reason) == (True, "ServiceReady")
    verb = "shut down" if state == "Stopped" else "suspend"
    why = f"since the provider fake cannot {verb} VMs"
    assert told.unsupported == f"spec.powerState {state}: it stays running, {why}"


def test_what_the_cloud_refuses_for_this_vm_is_told_in_its_words() -> None:
    power = NO_POWER.refused(Verb.SHUT_DOWN, "UnsupportedOperation: a spot instance").refused(Verb.STOP, "no")
    told = do(wanted("Stopped"), VMState.RUNNING, Track(NOW - 1000, power=power))
    assert isinstance(told, Report)
    assert told.unsupported is not None
    assert told.unsupported.endswith("since the cloud refuses that: UnsupportedOperation: a spot instance")


def test_what_was_not_supported_is_taken_back_when_it_is_asked_for_no_more() -> None:
    status = up()
    status["conditions"] += [{**status["conditions"][0], "type": "Unsupported", "message": "it cannot"}]
    told = do(record(status=status), VMState.RUNNING)
    assert isinstance(told, Report)
    assert told.unsupported == ""
    plain = do(record(status=up()), VMState.RUNNING)
    assert isinstance(plain, Report)
    assert plain.unsupported is None


def leaving(grace: str, reason: str = "ServiceReady") -> Instance:
    return record(status=says(reason, "Ready"), deleting=True, deletionGrace=grace)


def test_without_a_grace_a_vm_is_ended_at_once() -> None:
    assert do(leaving("0s"), VMState.RUNNING) == Destroy(("i-1",))


def test_with_a_grace_it_is_told_to_shut_down_and_ended_when_it_has_or_the_grace_is_over() -> None:
    track = Track(NOW - 1000)
    told = do(leaving("1m"), VMState.RUNNING, track)
    assert isinstance(told, Report)
    assert (told.reason, told.phase) == ("ShuttingDown", "Terminating")
    down = leaving("1m", "ShuttingDown")
    assert do(down, VMState.RUNNING, track) == Power("i-1", Verb.SHUT_DOWN)
    track.power = track.power.asked(Verb.SHUT_DOWN, NOW + 1)
    for state in (VMState.RUNNING, VMState.UNKNOWN):
        assert do(down, state, track, monotonic=NOW + 60) == Nothing()
    assert do(down, VMState.STOPPED, track) == Destroy(("i-1",))
    assert do(down, VMState.RUNNING, track, monotonic=NOW + 61) == Destroy(("i-1",))


def test_a_grace_that_the_cloud_cannot_give_is_told_before_the_vm_is_ended() -> None:
    told = do(leaving("1m"), VMState.RUNNING, capabilities=NONE)
    assert isinstance(told, Report)
    words = "spec.deletionGrace: it is ended at once, since the provider fake cannot shut down VMs"
    assert told.unsupported == words
    status = says("Terminating", "Terminating")
    status["conditions"] += [{**status["conditions"][0], "type": "Unsupported", "status": "True", "message": words}]
    one = record(status=status, deleting=True, deletionGrace="1m")
    assert do(one, VMState.RUNNING, capabilities=NONE) == Destroy(("i-1",))


@pytest.mark.parametrize("state", [VMState.PENDING, VMState.STOPPED, VMState.ERROR, VMState.UNKNOWN])
def test_only_a_running_vm_has_anything_to_shut_down(state: VMState) -> None:
    assert do(leaving("1m"), state) == Destroy(("i-1",))
