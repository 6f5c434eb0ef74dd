"""Carries out a launch: checks once more, claims where others would not know, calls, and writes down what came of it.

The answer is written until it stands or the Instance is gone; then the VM goes too, for nobody else knows of it yet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from cloudherd.agent.actions import Launch, Report
from cloudherd.agent.checks import objection, refused
from cloudherd.agent.decide import adopted, decide
from cloudherd.agent.identity import fingerprint, tags_for, token_for
from cloudherd.agent.instance_status import status_patch
from cloudherd.agent.memory import Track, doubt_in
from cloudherd.agent.refusal import refusal_of, unanswered
from cloudherd.agent.view import View
from cloudherd.api import CloudAccount, Instance, ObjectKey, Resource
from cloudherd.api.instance import CLOUD_FULL
from cloudherd.clouds.protocol import VM, CloudError, ErrorKind, LaunchRequest, VMState
from cloudherd.runtime.account_state import AccountState, Parts
from cloudherd.runtime.account_writer import AccountWriter
from cloudherd.runtime.kinds import INSTANCE
from cloudherd.runtime.link import Link, trouble_of
from cloudherd.runtime.ports import ApiError, Cloud
from cloudherd.runtime.records import Gone
from cloudherd.runtime.reporter import Reporter
from cloudherd.runtime.user_data import UserData, UserDataMissing

log = logging.getLogger(__name__)

IN_DOUBT = (ErrorKind.UNKNOWN, ErrorKind.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class _Due:
    """A launch. `claim`: to be claimed first; `doubt`: an earlier attempt may still bring a VM."""

    record: Instance
    account: CloudAccount
    track: Track
    view: View
    scope: str
    cloud: Cloud
    claim: bool
    doubt: bool


class Launcher:
    def __init__(
        self,
        state: AccountState,
        parts: Parts,
        link: Link,
        writer: AccountWriter,
        reporter: Reporter,
        view: Callable[[CloudAccount], View],
        user_data: UserData,
    ) -> None:
        self._state = state
        self._parts = parts
        self._link = link
        self._writer = writer
        self._reporter = reporter
        self._view = view
        self._user_data = user_data

    async def launch(self, key: ObjectKey, uid: str) -> None:
        """The launch of one Instance, once there is a slot for it. ApiError: try again later."""
        due_at = self._parts.clock.monotonic()
        async with self._state.slots:
            self._parts.metrics.waited("launch", self._parts.clock.monotonic() - due_at)
            due = self._still_due(key, uid)
            user_data = await self._read(due) if due else None
            due = self._still_due(key, uid)  # the world may have changed while that was read
            if due is None or user_data is None:
                return
            no = self._objection(due)
            if no is not None:
                await self._refuse(due, *no)
                return
            what, probing = fingerprint(due.record.spec), bool(self._state.full.marks)
            if not self._state.full.may_probe(what, uid):
                return
            self._state.holders.add(due.record)  # before anything is awaited: the next one counts it
            try:
                await self._attempt(due, user_data)
            finally:
                self._state.full.ended(uid)
                self._state.look_again = self._state.look_again or probing

    async def _read(self, due: _Due) -> bytes | None:
        """Its user data; None where the Instance was refused for them."""
        try:
            user_data = await self._user_data.of(due.record)
        except UserDataMissing as missing:
            await self._refuse(due, "UserDataMissing", str(missing))
            return None
        most = due.cloud.capabilities.max_user_data
        if len(user_data) > most:
            message = f"its user data has {len(user_data)} bytes, but the cloud takes only {most}"
            await self._refuse(due, "UserDataTooLarge", message)
            return None
        return user_data

    def _still_due(self, key: ObjectKey, uid: str) -> _Due | None:
        """The Instance with all that its launch needs, as it is now, if it is still to be launched."""
        record, account = self._parts.store.instance(key), self._parts.store.account(self._state.key)
        if record is None or account is None or record.uid != uid:
            return None
        track, view = self._state.track(record, self._parts.clock.monotonic()), self._view(account)
        action = decide(record, track, view)
        if not isinstance(action, Launch) or view.seen is None or self._link.cloud is None:
            return None
        doubt = track.unsettled_since(record) is not None
        return _Due(record, account, track, view, view.seen.scope, self._link.cloud, action.claim, doubt)

    def _objection(self, due: _Due) -> tuple[str, str] | None:
        """Why it is not even tried, as (reason, message)."""
        mark = self._state.full.blocks(fingerprint(due.record.spec))
        if mark is not None:
            return mark.reason, mark.message
        namespace = self._parts.store.entry("namespaces", ObjectKey("", due.record.namespace))
        labels = namespace.metadata.labels if isinstance(namespace, Resource) else {}
        told = self._state.facts.images
        images = [image.id for image in told.known.values()] if told else []
        held = self._state.holders.without(due.record)
        held.instances += len(self._state.unreadable)
        return objection(due.record, due.account, labels, images, held)

    async def _refuse(self, due: _Due, reason: str, message: str, *, claimed: bool = False) -> None:
        if not due.doubt:
            self._state.holders.discard(due.record.uid)
        shared = due.view.shares(due.record)
        report = refused(reason, message, due.track, doubt=due.doubt, shared=shared, claimed=claimed)
        await self._reporter.write(due.record, report)

    async def _attempt(self, due: _Due, user_data: bytes) -> None:
        state, track, record = self._state, due.track, due.record
        if due.claim:
            record = await self._claim(record, track)
            due = replace(due, record=record)
            track.unknown_at = self._parts.clock.monotonic()
        began = track.attempted_at = self._parts.clock.monotonic()
        try:
            vm = await due.cloud.create_vm(self._request(record, user_data))
        except CloudError as error:
            if (error.kind not in IN_DOUBT or error.never_sent) and not due.doubt:
                track.unknown_at, track.void_claim = None, doubt_in(record)
            await self._failed(error, due, began)
            return
        track.launched_at, track.vm_id = self._parts.clock.monotonic(), vm.id
        if vm.state is VMState.RUNNING:  # one that is accepted may still find no place
            state.full.succeeded(fingerprint(record.spec), began=began)
        state.throttled.end()
        state.launches_denied.end()
        state.denied = None
        await self._write_down(record, adopted(record, vm, track, due.view, due.scope), due.cloud, vm)
        track.worked()
        track.unknown_at = None

    def _request(self, record: Instance, user_data: bytes) -> LaunchRequest:
        spec, installation = record.spec, self._parts.installation.id
        return LaunchRequest(
            token=token_for(installation, record),
            name=record.vm_name,
            flavor=spec.flavor,
            image=spec.image,
            tags=tags_for(installation, record),
            user_data=user_data,
            network=spec.network.name or "",
            security_groups=tuple(spec.network.security_groups),
            public_address=spec.network.public_address,
            options=spec.options,
        )

    async def _claim(self, record: Instance, track: Track) -> Instance:
        """Says in the Instance, as it was read, that a VM may come of what follows. ApiError where it has changed
        since; one whose answer was lost is void, for nothing follows.
        """
        claim = f"an agent is about to launch it ({self._parts.random.uuid()})"  # no two agents make the same
        report = Report("Unknown", "Claimed", claim, "Launching", launched="Unknown")
        patch = status_patch(record, report, self._parts.clock.now())
        assert patch is not None
        try:
            return await self._parts.records.patch_status_once(INSTANCE, record, patch)
        except ApiError as error:
            if error.reason != "Conflict":
                track.void_claim = claim
            raise

    async def _write_down(self, record: Instance, report: Report, cloud: Cloud, vm: VM) -> None:
        """Writes the cloud's answer, however long that takes."""
        pause = self._parts.settings.retry_first
        while True:
            try:
                await self._reporter.write(record, report, strict=True)
            except Gone:
                await self._end_unrecorded(record, vm, cloud)
                return
            except ApiError as error:
                log.debug("%s: the launch is not written down yet: %s", record.key, error.reason)
                await self._parts.clock.sleep(pause)
                pause = min(self._parts.settings.retry_longest, pause * 2)
            else:
                return

    async def _end_unrecorded(self, record: Instance, vm: VM, cloud: Cloud) -> None:
        """Its Instance went while it was being made. Tried until it works: else only the sweep would find the VM."""
        pause = self._parts.settings.retry_first
        while True:
            try:
                live = await self._parts.api.get(INSTANCE, record.namespace, record.name)
                if live is not None and (live.get("spec") or {}).get("id") == record.spec.id:
                    return  # restored meanwhile: it finds its VM by its tags
                await cloud.destroy_vm(vm.id)
            except (ApiError, CloudError):
                await self._parts.clock.sleep(pause)
                pause = min(self._parts.settings.retry_longest, pause * 2)
            else:
                log.warning("the VM %s was ended again: Instance %s went while it was made", vm.id, record.key)
                return

    # -- what the cloud says instead of a VM

    async def _failed(self, error: CloudError, due: _Due, began: float) -> None:
        state, settings, monotonic = self._state, self._parts.settings, self._parts.clock.monotonic()
        sizes, images = state.facts.sizes, state.facts.images
        known = sizes.known if sizes else None, images.known if images else None
        refusal = refusal_of(error, due.record, *known)
        if refusal is not None:
            now = self._parts.clock.now()
            state.full.refused(refusal.key, refusal.reason, refusal.message, began=began, monotonic=monotonic, now=now)
            state.ask_limits = True
            state.ask_catalogue = state.ask_catalogue or refusal.reason != CLOUD_FULL
            await self._writer.publish()  # first the account, so that nobody binds another one to it
            await self._refuse(due, refusal.reason, refusal.message, claimed=due.claim)
        elif error.kind is ErrorKind.THROTTLED:
            state.throttled.extend(monotonic, settings.retry_first, settings.retry_longest, began=began)
        elif error.kind is ErrorKind.DENIED:
            state.launches_denied.extend(monotonic, settings.full_first, settings.denied_longest, began=began)
            state.denied = state.facts.trouble = state.facts.credentials = trouble_of(error, due.account)
        else:
            if error.kind is ErrorKind.UNREACHABLE:
                state.outdated_at = monotonic  # the others wait until the cloud can be listed again
            due.track.failed(monotonic, settings.retry_first, settings.retry_longest)
            never_asked = error.never_sent and not due.doubt and not due.track.inherited
            if not never_asked:
                due.track.unknown_at = monotonic
            await self._reporter.write(due.record, unanswered(error, never_asked=never_asked))
