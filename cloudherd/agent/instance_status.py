"""From a report to the status that is written: nothing where it is no news."""

from __future__ import annotations

from typing import Any, Literal

from cloudherd.agent.actions import Launched, Report
from cloudherd.api import Instance
from cloudherd.api.conditions import condition, find, merged

MESSAGE = 1024

State = bool | Literal["Unknown"]
TEXT: dict[State, str] = {True: "True", False: "False", "Unknown": "Unknown"}
LAUNCHED: dict[Launched, tuple[str, State, str, str]] = {
    True: ("Launched", True, "Launched", ""),
    False: ("Launched", False, "Refused", ""),
    "Unknown": ("Launched", "Unknown", "OutcomeUnknown", ""),
    "Withdrawn": ("Launched", False, "ClaimWithdrawn", ""),
}


def is_news(record: Instance, report: Report) -> bool:
    """Whether the Instance does not say all this already. Asked of every VM at every poll, so it builds nothing."""
    status, launched = record.status, report.launched
    return (
        (report.phase is not None and report.phase != status.phase)
        or (report.provider_id is not None and report.provider_id != status.provider_id)
        or (report.addresses is not None and report.addresses != status.addresses)
        or _differs(record, "Ready", report.ready, report.reason, report.message[:MESSAGE])
        or (launched is not None and _differs(record, *LAUNCHED[launched]))
        or (report.unsupported is not None and _differs(record, *_unsupported(report.unsupported)))
    )


def _unsupported(what: str) -> tuple[str, State, str, str]:
    return "Unsupported", bool(what), "ByTheCloud" if what else "Nothing", what[:MESSAGE]


def _differs(record: Instance, type_: str, state: State, reason: str, message: str) -> bool:
    old = find(record.status.conditions, type_)
    return old is None or (old.status, old.reason, old.message) != (TEXT[state], reason, message)


def status_patch(record: Instance, report: Report, now: float) -> dict[str, Any] | None:
    """The status as a merge patch, or None where it is no news. `now` in Unix seconds."""
    if not is_news(record, report):
        return None
    before, generation = record.status, record.metadata.generation
    told: list[tuple[str, State, str, str]] = [("Ready", report.ready, report.reason, report.message[:MESSAGE])]
    if report.launched is not None:
        told.append(LAUNCHED[report.launched])
    if report.unsupported is not None:
        told.append(_unsupported(report.unsupported))
    conditions = [condition(before.conditions, *one, generation=generation, now=now) for one in told]
    status = before.model_copy(
        update={
            "observed_generation": generation,
            "phase": report.phase or before.phase,
            "provider_id": report.provider_id or before.provider_id,
            "addresses": report.addresses or before.addresses,
            "conditions": merged(before.conditions, *conditions),
        }
    )
    return status.wire()
