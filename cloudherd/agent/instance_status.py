"""From a report to the status that is written: nothing where it is no news."""

from __future__ import annotations

from typing import Any

from cloudherd.agent.actions import Report
from cloudherd.api import Instance
from cloudherd.api.conditions import condition, find, merged
from cloudherd.api.meta import Condition

MESSAGE = 1024


def status_patch(record: Instance, report: Report, now: float) -> dict[str, Any] | None:
    """The status as a merge patch, or None where the Instance says all this already. `now` in Unix seconds."""
    before = record.status
    status = before.model_copy(
        update={
            "observed_generation": record.metadata.generation,
            "phase": report.phase or before.phase,
            "provider_id": report.provider_id or before.provider_id,
            "addresses": report.addresses or before.addresses,
            "conditions": merged(before.conditions, *_conditions(record, report, now)),
        }
    )
    if status.model_copy(update={"observed_generation": before.observed_generation}) == before and _known(record):
        return None
    return status.wire()


def _known(record: Instance) -> bool:
    return find(record.status.conditions, "Ready") is not None


def _conditions(record: Instance, report: Report, now: float) -> list[Condition]:
    generation = record.metadata.generation
    before = record.status.conditions
    told = [
        condition(
            before, "Ready", report.ready, report.reason, report.message[:MESSAGE], generation=generation, now=now
        )
    ]
    if report.launched is not None:
        reason = {True: "Launched", False: "Refused"}.get(report.launched is True, "Refused")
        if report.launched == "Unknown":
            reason = "OutcomeUnknown"
        told.append(condition(before, "Launched", report.launched, reason, "", generation=generation, now=now))
    return _unmoved(record, told)


def _unmoved(record: Instance, told: list[Condition]) -> list[Condition]:
    """Conditions that differ only in the generation that they were observed at stay as they are."""
    kept = []
    for one in told:
        old = find(record.status.conditions, one.type)
        same = old is not None and old.model_copy(update={"observed_generation": one.observed_generation}) == one
        kept.append(old if same and old is not None else one)
    return kept
