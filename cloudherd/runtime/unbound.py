"""Instances whose account does not exist: they wait and say so, and end only where no VM of theirs can be.

The account goes last by its finalizer, which is there before the first launch. So an Instance without a provider ID
whose account is gone never had a VM, while one with a provider ID was robbed of it by force and keeps its record.
"""

from __future__ import annotations

import asyncio
import logging

from cloudherd.agent.actions import Report
from cloudherd.agent.instance_status import status_patch
from cloudherd.agent.view import FINALIZER
from cloudherd.api import Instance
from cloudherd.api.conditions import find
from cloudherd.runtime.account_state import Parts
from cloudherd.runtime.kinds import INSTANCE
from cloudherd.runtime.ports import ApiError
from cloudherd.runtime.records import Gone

log = logging.getLogger(__name__)


def may_end(record: Instance) -> bool:
    """Whether a record that is being deleted may go without a look at any cloud."""
    if record.annotation("abandon") == "true":
        return True
    launched = find(record.status.conditions, "Launched")
    return not record.status.provider_id and (launched is None or launched.status == "False")


def report(record: Instance) -> Report | None:
    """What such an Instance says; None where it can end."""
    if record.deleting and may_end(record):
        return None
    way_out = (
        'or let this record go without its VM with the annotation cloudherd.dev/abandon: "true"'
        if record.deleting
        else "or delete this Instance"
    )
    message = f"the CloudAccount {record.account} of spec.accountRef does not exist: make it again, {way_out}"
    return Report("Unknown" if record.status.provider_id else False, "AccountMissing", message)


class Unbound:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._wake = asyncio.Event()
        self._wake.set()

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            good = True
            for record in self._records():
                good = await self._settle(record) and good
            if not good:
                await self._parts.clock.sleep(self._parts.settings.retry_first)
                self._wake.set()

    def _records(self) -> list[Instance]:
        store = self._parts.store
        readable = (one for one in store.entries("instances") if isinstance(one, Instance))
        return [one for one in readable if store.entry("cloudaccounts", one.account) is None]

    async def _settle(self, record: Instance) -> bool:
        """Whether nothing is left to do for it."""
        told = report(record)
        try:
            if told is None:
                await self._end(record)
            else:
                patch = status_patch(record, told, self._parts.clock.now())
                if patch is not None and record.status.phase != "Failed":
                    await self._parts.records.patch_status(INSTANCE, record, patch)
        except Gone:
            return True
        except ApiError as error:
            log.debug("Instance %s: %s", record.key, error.reason)
            if error.reason == "Conflict":
                await self._reread(record)
            return False
        return True

    async def _end(self, record: Instance) -> None:
        if FINALIZER not in record.metadata.finalizers:
            return
        if record.status.provider_id:
            message = f"Let go without its VM {record.status.provider_id}, as the annotation cloudherd.dev/abandon asks"
            await self._parts.events.emit(record, "Warning", "Abandoned", message)
        left = [name for name in record.metadata.finalizers if name != FINALIZER]
        await self._parts.records.set_finalizers(INSTANCE, record, left)

    async def _reread(self, record: Instance) -> None:
        try:
            await self._parts.records.read(INSTANCE, record)
        except (ApiError, Gone):
            return
