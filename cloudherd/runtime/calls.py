"""Carries out what is decided about one Instance but its launch: look up, destroy, let go, sweep."""

from __future__ import annotations

import logging

from cloudherd.agent.actions import Destroy, LookUp, Power, Release, Report
from cloudherd.agent.memory import Asked, Look, Track
from cloudherd.agent.sweep import Orphan, is_orphan
from cloudherd.agent.view import FINALIZER, vm_id_of
from cloudherd.api import Instance
from cloudherd.clouds.protocol import CloudError, ErrorKind
from cloudherd.runtime.account_state import AccountState, Parts
from cloudherd.runtime.kinds import INSTANCE
from cloudherd.runtime.link import Link
from cloudherd.runtime.ports import Cloud
from cloudherd.runtime.records import Gone
from cloudherd.runtime.reporter import Reporter
from cloudherd.runtime.store import parse

log = logging.getLogger(__name__)


class Calls:
    """Failures are remembered in the Instance's track, which then waits; only ApiError is raised."""

    def __init__(self, state: AccountState, parts: Parts, link: Link, reporter: Reporter) -> None:
        self._state = state
        self._parts = parts
        self._link = link
        self._reporter = reporter

    async def carry_out(self, record: Instance, action: LookUp | Destroy | Power | Release, track: Track) -> None:
        match action:
            case LookUp():
                await self._look_up_counted(action, track)
            case Destroy():
                await self._destroy(record, action, track)
            case Power():
                await self._power(action, track)
            case Release():
                await self._release(record, action, track)

    async def _look_up_counted(self, action: LookUp, track: Track) -> None:
        self._state.looking += 1
        try:
            async with self._state.calls:
                await self._look_up(action.vm_id, track)
        finally:
            self._state.looking -= 1

    async def _look_up(self, vm_id: str, track: Track) -> None:
        cloud, asked_at = self._link.cloud, self._parts.clock.monotonic()
        if cloud is None:
            return
        try:
            vm = await cloud.get_vm(vm_id)
        except CloudError as error:
            self._failed(error, track, asked_at)
            return
        track.looks[vm_id] = Look(asked_at, vm)
        track.sighted = track.sighted or vm is not None
        track.worked()

    async def _destroy(self, record: Instance, action: Destroy, track: Track) -> None:
        for vm_id in action.vm_ids:
            async with self._state.calls:
                cloud = self._link.cloud
                if cloud is None:
                    return
                began = self._parts.clock.monotonic()
                try:
                    await cloud.destroy_vm(vm_id)
                except CloudError as error:
                    if error.kind is not ErrorKind.NOT_FOUND:
                        self._failed(error, track, began)
                        await self._say(record, error)
                        return
            times = track.asked[vm_id].times + 1 if vm_id in track.asked else 1
            track.asked[vm_id] = Asked(self._parts.clock.monotonic(), times)
        track.worked()

    async def _power(self, action: Power, track: Track) -> None:
        async with self._state.calls:
            cloud, began = self._link.cloud, self._parts.clock.monotonic()
            if cloud is None:
                return
            try:
                await cloud.power(action.vm_id, action.verb)
            except CloudError as error:
                if error.kind is ErrorKind.INVALID:
                    track.power = track.power.refused(action.verb, str(error))
                else:
                    self._failed(error, track, began)
                return
        track.power = track.power.asked(action.verb, self._parts.clock.monotonic())
        track.worked()

    async def _say(self, record: Instance, error: CloudError) -> None:
        if error.kind is ErrorKind.INVALID:
            report = Report(False, "DestroyRefused", f"the cloud does not end the VM: {error}", tell=True)
            await self._reporter.write(record, report)

    def _failed(self, error: CloudError, track: Track, began: float) -> None:
        settings, monotonic = self._parts.settings, self._parts.clock.monotonic()
        if error.kind is ErrorKind.THROTTLED:
            self._state.throttled.extend(monotonic, settings.retry_first, settings.retry_longest, began=began)
        until = track.failed(monotonic, settings.retry_first, settings.retry_longest)
        track.not_before = max(until, self._state.throttled.until)

    async def _release(self, record: Instance, action: Release, track: Track) -> None:
        """Takes our finalizer off the Instance as it was judged; ApiError Conflict where it has changed since."""
        had_vm = bool(vm_id_of(record, track)) and not action.tell and not record.lacked_room
        if action.tell:
            await self._parts.events.emit(record, "Warning", "Abandoned", action.tell)
        left = [name for name in record.metadata.finalizers if name != FINALIZER]
        self._state.released.add(record.uid)
        try:
            async with self._state.calls:
                await self._parts.records.set_finalizers(INSTANCE, record, left)
        except Gone:
            return
        finally:
            self._state.released.discard(record.uid)
        self._state.sweeping.released += 1
        if had_vm:
            self._state.full.freed(record.spec.flavor)

    async def sweep(self, orphan: Orphan) -> None:
        """Ends a VM that bears our tags, after the Instance that it names was read live."""
        seen, cloud = self._state.seen, self._link.cloud
        live = await self._parts.api.get(INSTANCE, orphan.identity.namespace, orphan.identity.name)
        record = parse(INSTANCE.plural, live) if live is not None else None
        if seen is None or cloud is None or not is_orphan(orphan.vm, orphan.identity, record, seen):
            return
        await self._end(cloud, orphan)

    async def _end(self, cloud: Cloud, orphan: Orphan) -> None:
        try:
            await cloud.destroy_vm(orphan.vm.id)
        except CloudError as error:
            log.debug("the orphan %s was not ended: %s %s", orphan.vm.id, error.kind, error.code)
            return
        log.info("ended the orphan %s of %s", orphan.vm.id, orphan.identity.key)
        account = self._parts.store.account(self._state.key)
        if account is not None:
            message = f"ended the VM {orphan.vm.id}, whose Instance {orphan.identity.key} does not exist"
            await self._parts.events.emit(account, "Warning", "OrphanEnded", message)
