"""The loop of one account: wakes on Instances and on its poll, decides, and has carried out what was decided.

What is under way is tracked, so that no Instance is worked on twice at a time and no VM is launched twice by this
process. The loop itself never waits for the cloud: polls and calls run beside it.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Coroutine
from typing import Any

from cloudherd.agent.account_status import Told
from cloudherd.agent.actions import Action, Destroy, Launch, LookUp, Lost, Nothing, Release, Report
from cloudherd.agent.decide import decide
from cloudherd.agent.identity import fingerprint
from cloudherd.agent.instance_status import status_patch
from cloudherd.agent.view import View
from cloudherd.api import CloudAccount, Instance, ObjectKey
from cloudherd.api.quantity import parse_duration
from cloudherd.clouds.protocol import Capabilities
from cloudherd.runtime import brakes, keeper
from cloudherd.runtime.account_poll import Poll
from cloudherd.runtime.account_state import Parts, new_state
from cloudherd.runtime.account_writer import AccountWriter
from cloudherd.runtime.calls import Calls
from cloudherd.runtime.kinds import INSTANCE
from cloudherd.runtime.launcher import Launcher
from cloudherd.runtime.link import Link
from cloudherd.runtime.ports import ApiError
from cloudherd.runtime.records import Gone
from cloudherd.runtime.reporter import Reporter
from cloudherd.runtime.store import Entry
from cloudherd.runtime.user_data import UserData

log = logging.getLogger(__name__)

NO_CLOUD = Capabilities(True, True, False, 0, 0)


class AccountLoop:
    def __init__(self, key: ObjectKey, parts: Parts, *, inherits: bool) -> None:
        """`inherits`: the Instances that it finds may have been another process's, or another loop's."""
        self.key = key
        self._parts = parts
        self._state = new_state(key, parts)
        self._state.inherits = inherits
        self._link = Link(parts.api, parts.store, parts.clouds)
        self._poll = Poll(self._state, parts, self._link)
        self._writer = AccountWriter(self._state, parts)
        self._reporter = Reporter(self._state, parts)
        self._calls = Calls(self._state, parts, self._link, self._reporter)
        user_data = UserData(parts.api, parts.store)
        self._launcher = Launcher(self._state, parts, self._link, self._writer, self._reporter, self._view, user_data)
        self._wake = asyncio.Event()
        self._dirty: dict[ObjectKey, None] = {}
        self._all = True
        self._later: list[tuple[float, ObjectKey]] = []
        self._poll_at = parts.clock.monotonic()
        self._failed_polls = 0
        self._restored = False
        self._tasks: dict[str, asyncio.Task[None]] = {}

    # -- what wakes it

    def instance_changed(self, before: Entry | None, after: Entry | None) -> None:
        """Of an Instance that is, or was, bound to this account."""
        if before is not None and (after is None or after.uid != before.uid):
            if before.uid not in self._state.released:
                self._state.robbed_at = self._now()
            if before.uid not in self._state.busy:
                self._state.forget(before.uid)
        if isinstance(after, Instance):
            if after.status.provider_id:
                self._state.holders.add(after)
            self._dirty[after.key] = None
        self._wake.set()

    def changed(self) -> None:
        """Of the account, its Secret, or anything else that concerns all its Instances."""
        self._all = True
        self._wake.set()

    # -- the loop

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            while True:
                self._wake.clear()
                account = self._parts.store.account(self.key)
                if account is not None:
                    self._pass(account)
                    self._restored = True
                await self._rest(account)
        finally:
            tasks = [*self._tasks.values(), *self._state.busy.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._link.close()

    async def _rest(self, account: CloudAccount | None) -> None:
        due = self._next(account)
        if due is None:
            await self._wake.wait()
            return
        try:
            async with asyncio.timeout(max(0.0, due - self._now())):
                await self._wake.wait()
        except TimeoutError:
            return

    def _now(self) -> float:
        return self._parts.clock.monotonic()

    def _next(self, account: CloudAccount | None) -> float | None:
        """When to look again though nothing wakes us."""
        state = self._state
        times = [end for end in (state.full.next_end(), brakes.next_unknown(state, self._parts)) if end is not None]
        if account is not None and self._parts.installation.id:
            times += [self._poll_at] if "poll" not in self._tasks else []
            times += [self._later[0][0]] if self._later else []
        counts_due = self._writer.due_at() if "status" not in self._tasks else None
        times += [counts_due] if counts_due is not None else []
        times += [pause.until for pause in (state.throttled, state.launches_denied) if pause.until > self._now()]
        return min(times, default=None)

    def _pass(self, account: CloudAccount) -> None:
        """One look at all that changed. Never awaits: what it decides runs in tasks."""
        state, now = self._state, self._now()
        if not self._restored:
            state.full.restore(account.status.full, monotonic=now, now=self._parts.clock.now())
        if state.full.pass_time(now) or self._pause_ended(now):
            self._all = True
        self._trouble(account)
        if self._parts.installation.id:
            self._start_poll(account, now)
            self._consider_due(account, now)
            self._judge(account)
        if not keeper.settled(self._parts.store, account):
            self._start("keep", keeper.settle(self._parts, account))
        self._deletion(account)
        if self._writer.pending(account):
            self._start("status", self._writer.publish())

    def _pause_ended(self, now: float) -> bool:
        """Whether a pause ended since the last pass; told once."""
        ended = [one for one in (self._state.throttled, self._state.launches_denied) if 0 < one.until <= now]
        for one in ended:
            one.until = 0
        return bool(ended)

    def _trouble(self, account: CloudAccount) -> None:
        """Without an installation nothing is asked of the cloud, and the account says why."""
        trouble = self._parts.installation.trouble
        if trouble is not None:
            self._state.facts.trouble = trouble
        elif not self._parts.installation.id:
            self._state.facts.trouble = Told("Unknown", "Connecting", "the installation's ID is not known yet")
        elif not self._state.polled:
            self._state.facts.trouble = None
        if self._state.polled and self._link.stale(account):
            self._poll_at = min(self._poll_at, self._now())

    def _deletion(self, account: CloudAccount) -> None:
        if not account.deleting:
            return
        names = sorted(str(entry.key) for entry in self._parts.store.of_account(self.key))
        some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        self._state.facts.waits_for = f"{len(names)} Instances: {some}" if names else ""

    # -- polls

    def _start_poll(self, account: CloudAccount, now: float) -> None:
        if "poll" not in self._tasks and now >= self._poll_at:
            self._start("poll", self._one_poll(account))

    async def _one_poll(self, account: CloudAccount) -> None:
        begun = self._now()
        good = await self._poll.listing(account)
        self._failed_polls = 0 if good else self._failed_polls + 1
        self._schedule_poll(account, begun)
        self.changed()
        if good:
            await self._poll.catalogue(account)

    def _schedule_poll(self, account: CloudAccount, begun: float) -> None:
        steady = parse_duration(account.spec.poll_interval)
        changing = parse_duration(account.spec.changing_poll_interval)
        wait = min(steady, changing * 2.0 ** min(self._failed_polls, 16)) if self._failed_polls else steady
        self._poll_at = begun + wait

    def _hurry(self, account: CloudAccount) -> None:
        """Brings the next poll forward while something is on its way up or down."""
        if self._failed_polls or not (self._state.moving or (self._state.ask_limits and self._state.full.standing())):
            return
        begun = self._state.seen.begun if self._state.seen else self._now()
        self._poll_at = min(self._poll_at, begun + parse_duration(account.spec.changing_poll_interval))

    # -- Instances

    def _view(self, account: CloudAccount) -> View:
        state = self._state
        return View(
            installation=self._parts.installation.id,
            provider=account.spec.provider,
            settings=self._parts.settings,
            capabilities=self._link.cloud.capabilities if self._link.cloud else NO_CLOUD,
            monotonic=self._now(),
            seen=None if brakes.dark(state, self._parts) else state.seen,
            scope=state.scope,
            hold=brakes.hold(state, self._parts, account),
        )

    def _consider_due(self, account: CloudAccount, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            self._dirty[heapq.heappop(self._later)[1]] = None
        if self._all:
            self._all = False
            records = [one for one in self._parts.store.of_account(self.key) if isinstance(one, Instance)]
            records.sort(key=lambda one: (one.age_base, one.key))
            self._forget_missing(records)
        else:
            found = (self._parts.store.instance(key) for key in self._dirty)
            records = [one for one in found if one is not None and one.account == self.key]
        self._dirty.clear()
        view = self._view(account)
        for record in records:
            if record.uid not in self._state.busy:
                self._consider(record, view)
        self._state.inherits = False
        if (
            view.hold == brakes.STALE
            and not self._failed_polls
            and any(not one.status.provider_id and not one.deleting for one in records)
        ):
            self._poll_at = now
            self._start_poll(account, now)
        self._hurry(account)

    def _forget_missing(self, records: list[Instance]) -> None:
        known = {record.uid for record in records} | self._state.busy.keys()
        for uid in [uid for uid in self._state.tracks if uid not in known]:
            self._state.forget(uid)

    def _consider(self, record: Instance, view: View) -> None:
        state = self._state
        track = state.track(record, view.monotonic)
        action = decide(record, track, view)
        if isinstance(action, Lost):
            state.lost[record.uid] = (record, action)
        elif record.deleting or view.monotonic >= track.not_before:
            state.lost.pop(record.uid, None)
        if brakes.is_moving(record, track, action):
            state.moving.add(record.uid)
        else:
            state.moving.discard(record.uid)
        self._carry_out(record, action)

    def _carry_out(self, record: Instance, action: Action) -> None:
        track = self._state.tracks[record.uid]
        match action:
            case Launch():
                if not self._state.full.waits(*fingerprint(record.spec), record.uid):
                    self._work(record, self._launcher.launch(record.key, record.uid))
            case Report():
                self._at(action.until, record.key)
                if action.provider_id:
                    self._state.holders.add(record)
                if status_patch(record, action, self._parts.clock.now()) is not None:
                    self._work(record, self._reporter.write(record, action))
            case LookUp():
                self._work(record, self._calls.look_up(action, track))
            case Destroy():
                self._work(record, self._calls.destroy(record, action, track))
            case Release():
                self._work(record, self._calls.release(record, action, track))
            case Nothing():
                self._at(action.until, record.key)

    def _at(self, until: float | None, key: ObjectKey) -> None:
        if until is not None and until > self._now():
            heapq.heappush(self._later, (until, key))

    # -- brakes

    def _judge(self, account: CloudAccount) -> None:
        state = self._state
        for record, report in brakes.losses(state, self._parts, account):
            if record.uid not in state.busy:
                self._work(record, self._reporter.write(record, report))
        for record, report in brakes.unknown(state, self._parts):
            self._work(record, self._reporter.write(record, report))
        for orphan in brakes.orphans(state, self._parts):
            self._start(f"orphan {orphan.vm.id}", self._calls.sweep(orphan))

    # -- tasks

    def _work(self, record: Instance, work: Coroutine[Any, Any, None]) -> None:
        """Carries something out for one Instance; it is looked at again when that has ended."""

        async def task() -> None:
            try:
                await work
            except Gone:
                pass
            except ApiError as error:
                await self._refused_by_server(record, error)
            except Exception:
                log.exception("Instance %s", record.key)
                self._back_off(record)
            finally:
                self._state.busy.pop(record.uid, None)
                self._dirty[record.key] = None
                self._all, self._state.look_again = self._all or self._state.look_again, False
                self._wake.set()

        self._state.busy[record.uid] = asyncio.create_task(task())

    async def _refused_by_server(self, record: Instance, error: ApiError) -> None:
        log.debug("Instance %s: %s", record.key, error.reason)
        if error.reason == "Conflict":
            try:
                await self._parts.records.read(INSTANCE, record)
            except (ApiError, Gone):
                pass
            else:
                return
        self._back_off(record)

    def _back_off(self, record: Instance) -> None:
        settings = self._parts.settings
        track = self._state.track(record, self._now())
        self._at(track.failed(self._now(), settings.retry_first, settings.retry_longest), record.key)

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Carries something out for the account, one at a time of each name."""
        if name in self._tasks:
            work.close()
            return

        async def task() -> None:
            try:
                await work
            except (ApiError, Gone) as error:
                log.debug("%s: %s: %s", self.key, name, error)
                await self._parts.clock.sleep(self._parts.settings.retry_first)
            except Exception:
                log.exception("CloudAccount %s: %s", self.key, name)
                await self._parts.clock.sleep(self._parts.settings.retry_longest)
            finally:
                self._tasks.pop(name, None)
                self._wake.set()
                if not self._state.busy and not self._tasks:
                    await self._link.close_retired()

        self._tasks[name] = asyncio.create_task(task())
