"""Writes what is news about an Instance to its status, and what people should hear as an Event."""

from __future__ import annotations

from dataclasses import replace

from cloudherd.agent.actions import Report
from cloudherd.agent.instance_status import status_patch
from cloudherd.api import Instance
from cloudherd.api.conditions import find
from cloudherd.runtime.account_state import AccountState, Parts
from cloudherd.runtime.kinds import INSTANCE
from cloudherd.runtime.ports import ApiError
from cloudherd.runtime.records import TRIES, Gone


class Reporter:
    def __init__(self, state: AccountState, parts: Parts) -> None:
        self._state = state
        self._parts = parts

    async def write(self, record: Instance, report: Report, *, strict: bool = False) -> None:
        """ApiError where it cannot be written. An Instance that went meanwhile needs no status: Gone with `strict`
        only.
        """
        current = self._parts.store.instance(record.key)
        if current is None or current.uid != record.uid:
            current = record
        if status_patch(current, report, self._parts.clock.now()) is None:
            return
        async with self._state.calls:
            try:
                written = await self._write(record, current, report)
            except Gone:
                if strict:
                    raise
                return
        if written is not None and report.tell:
            await self._parts.events.emit(written, "Warning", report.reason, report.message)

    async def _write(self, judged: Instance, current: Instance, report: Report) -> Instance | None:
        """`judged` is the Instance that the report is on; what it has become meanwhile is not written over."""
        records = self._parts.records
        for attempt in range(TRIES):
            patch = status_patch(current, _still_true(report, judged, current), self._parts.clock.now())
            if patch is None:
                return None
            try:
                return await records.patch_status_once(INSTANCE, current, patch)
            except ApiError as error:
                if error.reason != "Conflict" or attempt == TRIES - 1:
                    raise
            current = await records.read(INSTANCE, current)
        raise AssertionError("unreachable")


def _still_true(report: Report, judged: Instance, current: Instance) -> Report:
    """That no VM can come of our attempt says nothing of another agent's, which was written down meanwhile."""
    if report.launched in (False, "Withdrawn") and _attempt(judged) != _attempt(current):
        return replace(report, launched=None)
    return report


def _attempt(record: Instance) -> tuple[str, str]:
    """What its status says of attempts: each claim has a message of its own."""
    launched, ready = (find(record.status.conditions, type_) for type_ in ("Launched", "Ready"))
    unclear = launched is not None and launched.status == "Unknown"
    return launched.status if launched else "", ready.message if unclear and ready else ""
