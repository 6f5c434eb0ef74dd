"""Writes what is news about an Instance to its status, and what people should hear as an Event."""

from __future__ import annotations

from cloudherd.agent.actions import Report
from cloudherd.agent.instance_status import status_patch
from cloudherd.api import Instance
from cloudherd.runtime.account_state import AccountState, Parts
from cloudherd.runtime.kinds import INSTANCE
from cloudherd.runtime.records import Gone


class Reporter:
    def __init__(self, state: AccountState, parts: Parts) -> None:
        self._state = state
        self._parts = parts

    async def write(self, record: Instance, report: Report, *, strict: bool = False) -> None:
        """ApiError where it cannot be written. An Instance that went meanwhile needs no status: Gone with `strict`
        only.
        """
        current = self._parts.store.instance(record.key)
        if current is not None and current.uid == record.uid:
            record = current
        patch = status_patch(record, report, self._parts.clock.now())
        if patch is None:
            return
        async with self._state.calls:
            try:
                written = await self._parts.records.patch_status(INSTANCE, record, patch)
            except Gone:
                if strict:
                    raise
                return
        if report.tell:
            await self._parts.events.emit(written, "Warning", report.reason, report.message)
