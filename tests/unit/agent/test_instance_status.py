from __future__ import annotations

from datetime import UTC, datetime

from cloudherd.agent.actions import Report
from cloudherd.agent.instance_status import status_patch
from cloudherd.api.instance import Addresses
from tests.unit.agent.facts import record, up

READY = Report(True, "ServiceReady", phase="Ready", addresses=Addresses(private=["10.0.0.1"]))
LATER = datetime(2026, 1, 1, 1, tzinfo=UTC).timestamp()


def test_the_clouds_answer_is_written_whole() -> None:
    report = Report(False, "Launching", "it starts", phase="Launching", provider_id="fake://physics.home/i-1")
    assert status_patch(record(), report, LATER) == {
        "observedGeneration": 1,
        "phase": "Launching",
        "providerID": "fake://physics.home/i-1",
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "reason": "Launching",
                "message": "it starts",
                "lastTransitionTime": "2026-01-01T01:00:00Z",
                "observedGeneration": 1,
            }
        ],
    }


def test_what_is_no_news_is_not_written() -> None:
    assert status_patch(record(status=up()), READY, LATER) is None


def test_a_new_address_is_news_that_turns_nothing() -> None:
    moved = Report(True, "ServiceReady", phase="Ready", addresses=Addresses(private=["10.0.0.9"]))
    patch = status_patch(record(status=up()), moved, LATER)
    assert patch is not None
    assert patch["addresses"] == {"private": ["10.0.0.9"], "public": []}
    assert patch["conditions"][0]["lastTransitionTime"] == "2026-01-01T00:00:00Z"


def test_unknown_leaves_phase_and_address() -> None:
    patch = status_patch(record(status=up()), Report("Unknown", "AccountUnreachable", "nobody knows"), LATER)
    assert patch is not None
    assert patch["phase"] == "Ready"
    assert patch["addresses"]["private"] == ["10.0.0.1"]
    assert patch["conditions"][0]["status"] == "Unknown"


def test_long_words_are_cut() -> None:
    patch = status_patch(record(), Report(False, "VMError", "x" * 5000, phase="Failed"), LATER)
    assert patch is not None
    assert len(patch["conditions"][0]["message"]) == 1024
