"""The loop of one account: wakes on Instances and on its poll, decides, and has carried out what was decided.

The loop itself never waits for the cloud or the API server: polls, calls and writes run beside it.
"""

from __future__ import annotations

from functools import partial

from cloudherd.agent.account_status import Told
from cloudherd.agent.actions import Action, Destroy, Launch, LookUp, Lost, Nothing, Power, Release, Report
from cloudherd.agent.decide import decide
from cloudherd.agent.identity import fingerprint
from cloudherd.agent.instance_status import is_news
from cloudherd.agent.memory import Track
from cloudherd.agent.refusal import late_refusal
from cloudherd.agent.view import View
from cloudherd.api import CloudAccount, Instance, ObjectKey
from cloudherd.api.conditions import find
from cloudherd.api.instance import CLOUD_FULL
from cloudherd.clouds.protocol import Capabilities
from cloudherd.runtime import brakes, keeper
from cloudherd.runtime.account_poll import Poll
from cloudherd.runtime.account_state import Parts, new_state
from cloudherd.runtime.account_writer import AccountWriter
from cloudherd.runtime.agenda import Agenda
from cloudherd.runtime.calls import Calls
from cloudherd.runtime.launcher import Launcher
from cloudherd.runtime.link import Link, settings_of
from cloudherd.runtime.pace import Pace
from cloudherd.runtime.reporter import Reporter
from cloudherd.runtime.store import Entry, Unreadable
from cloudherd.runtime.tasks import Tasks
from cloudherd.runtime.user_data import UserData

NO_CLOUD = Capabilities(True, True, False, 0, 0)
POLL, STATUS, KEEP, RIVAL = "poll", "status", "keep", "rival"


def _age(record: Instance) -> tuple[float, ObjectKey]:
    return record.age_base, record.key


class AccountLoop:
    def __init__(self, key: ObjectKey, parts: Parts, torn: set[str], *, inherits: bool) -> None:
        """`torn`: the ids of the account's Instances that vanished behind our back. `inherits`: those that it finds may
        have been another process's, or another loop's.
        """
        self.key = key
        self._parts = parts
        self._state = new_state(key, parts, torn, inherits=inherits)
        self._agenda = Agenda(parts.clock)
        self._pace = Pace(parts.clock.monotonic())
        self._link = Link(parts.api, parts.store, parts.clouds)
        self._tasks = Tasks(self._state, parts, self._agenda, self._link.close_retired)
        self._poll = Poll(self._state, parts, self._link)
        self._writer = AccountWriter(self._state, parts)
        self._reporter = Reporter(self._state, parts)
        self._calls = Calls(self._state, parts, self._link, self._reporter)
        user_data = UserData(parts.api, parts.store)
        self._launcher = Launcher(self._state, parts, self._link, self._writer, self._reporter, self._view, user_data)
        self._restored = False
        self._asks: object = None
        """The settings that the poll under way was begun with."""

    # -- what wakes it

    def instance_changed(self, before: Entry | None, after: Entry | None) -> None:
        """Of an Instance that is, or was, bound to this account."""
        if before is not None and (after is None or after.uid != before.uid):
            self._state.vanished(before.uid, self._now())
        if isinstance(after, Instance):
            if after.status.provider_id:
                self._state.holders.add(after)
            self._agenda.one(after.key)
        for entry in (before, after):
            if entry is not None:
                self._state.unreadable.discard(entry.key)
        if isinstance(after, Unreadable):
            self._state.unreadable.add(after.key)
        self._agenda.wake()

    def changed(self) -> None:
        """Of the account, its Secret, or anything else that concerns all its Instances."""
        self._agenda.everything()

    # -- the loop

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            while True:
                woken_at, begun = self._agenda.begin(), self._now()
                account = self._parts.store.account(self.key)
                if account is not None:
                    self._look(account)
                    self._measure(woken_at, begun)
                due = self._next(account)
                await self._agenda.rest(None if due is None else due - self._now())
        finally:
            await self._tasks.cancel()
            await self._link.close()

    def _measure(self, woken_at: float | None, begun: float) -> None:
        metrics = self._parts.metrics
        if woken_at is not None:
            metrics.waited("account", begun - woken_at)
        metrics.reconciled("account", "ok", self._now() - begun)

    def _now(self) -> float:
        return self._parts.clock.monotonic()

    def _next(self, account: CloudAccount | None) -> float | None:
        """When to look again though nothing wakes us."""
        state = self._state
        times = [state.full.next_end(), brakes.next_unknown(state, self._parts), state.next_pause_end()]
        if account is not None and self._parts.installation.id:
            times += [self._agenda.next(), None if self._tasks.running(POLL) else self._pace.due_at]
        if not self._tasks.running(STATUS):
            times.append(self._writer.due_at())
        return min((time for time in times if time is not None), default=None)

    def _look(self, account: CloudAccount) -> None:
        """At all that changed. Never awaits: what it decides runs in tasks."""
        state, now = self._state, self._now()
        if not self._restored:
            self._restore(account)
        marks_ended, pauses_ended = state.full.pass_time(now), state.end_pauses(now)
        if marks_ended or pauses_ended:
            self._agenda.everything()
        self._settle_trouble(account)
        if self._parts.installation.id:
            self._drop_outdated_poll(account)
            self._start_poll(account)
            self._consider_due(account)
            self._judge(account)
        if not keeper.settled(self._parts.store, account):
            self._tasks.start(KEEP, lambda: keeper.settle(self._parts, account))
        state.facts.waits_for = keeper.waits_for(self._parts.store, account)
        if self._writer.pending(account):
            self._tasks.start(STATUS, self._writer.publish)
        if self._writer.has_new_rival(account):
            self._tasks.start(RIVAL, lambda: self._writer.warn_of_rival(account))

    def _restore(self, account: CloudAccount) -> None:
        """Takes over what an agent before us wrote into the account's status, until we know better."""
        state, now = self._state, self._now()
        state.full.restore(account.status.full, monotonic=now, now=self._parts.clock.now())
        loss, ready = (find(account.status.conditions, type_) for type_ in ("MassLoss", "Ready"))
        if loss is not None and loss.status == "True":
            state.facts.freeze, state.frozen_until = loss.message, now + self._parts.settings.mass_loss_window
            state.facts.frozen = ready is not None and ready.reason == "MassLoss"
        self._restored = True

    def _settle_trouble(self, account: CloudAccount) -> None:
        """Without an installation nothing is asked of the cloud, and the account says why."""
        installation, state = self._parts.installation, self._state
        if installation.trouble is not None:
            state.facts.trouble = installation.trouble
        elif not installation.id:
            state.facts.trouble = Told("Unknown", "Connecting", "the installation's ID is not known yet")
        elif not state.polled:
            state.facts.trouble = None
        if state.polled and self._link.stale(account):
            self._pace.now(self._now())

    # -- polls

    def _drop_outdated_poll(self, account: CloudAccount) -> None:
        """One that asks where the account no longer leads, which may never answer: the right place is not to wait."""
        if self._asks not in (None, settings_of(account)):
            self._tasks.drop(POLL)

    def _start_poll(self, account: CloudAccount) -> None:
        self._pace.keep(account)
        if self._now() >= self._pace.due_at:
            self._tasks.start(POLL, lambda: self._one_poll(account))

    async def _one_poll(self, account: CloudAccount) -> None:
        begun, self._asks = self._now(), settings_of(account)
        try:
            good = await self._poll.listing(account)
            self._pace.ended(account, begun, good=good)
            self.changed()
            if good:
                await self._poll.catalogue(account)
        finally:
            self._asks = None

    # -- Instances

    def _view(self, account: CloudAccount) -> View:
        state = self._state
        return View(
            installation=self._parts.installation.id,
            agent=self._parts.name,
            provider=account.spec.provider,
            settings=self._parts.settings,
            capabilities=self._link.cloud.capabilities if self._link.cloud else NO_CLOUD,
            monotonic=self._now(),
            now=self._parts.clock.now(),
            seen=None if brakes.dark(state, self._parts) else state.seen,
            scope=state.scope,
            hold=brakes.hold(state, self._parts, account),
        )

    def _consider_due(self, account: CloudAccount) -> None:
        records, view = self._due(), self._view(account)
        for record in records:
            if record.uid not in self._state.busy:
                self._consider(record, view)
        self._state.inherits = False
        unborn = any(not one.status.provider_id and not one.deleting for one in records)
        if view.hold == brakes.STALE and unborn and not self._pace.failing:
            self._pace.now(self._now())
            self._start_poll(account)
        if self._state.moving or (self._state.ask_limits and self._state.full.standing()):
            self._pace.hurry(account)

    def _due(self) -> list[Instance]:
        """The Instances to look at now, the oldest first where all are."""
        store, keys = self._parts.store, self._agenda.take(self._now())
        if keys is not None:
            found = (store.instance(key) for key in keys)
            return [one for one in found if one is not None and one.account == self.key]
        entries = list(store.of_account(self.key))
        records = [one for one in entries if isinstance(one, Instance)]
        self._state.unreadable = {one.key for one in entries if isinstance(one, Unreadable)}
        self._state.keep_only(record.uid for record in records)
        calm = [one for one in records if one.status.provider_id]  # their order is all the same
        return [*sorted((one for one in records if not one.status.provider_id), key=_age), *calm]

    def _consider(self, record: Instance, view: View) -> None:
        state = self._state
        if state.calm.holds(record, view.seen, view.scope):
            return
        track = state.track(record, view.monotonic)
        action = decide(record, track, view)
        if isinstance(action, Lost | Report):
            self._remember_room(record, track, action)
        if isinstance(action, Lost):
            state.lost[record.uid] = (record, action)
        elif record.deleting or view.monotonic >= track.not_before:
            state.lost.pop(record.uid, None)
        if brakes.is_moving(record, track, action, view.monotonic):
            state.moving.add(record.uid)
        else:
            state.moving.discard(record.uid)
        self._carry_out(record, action)

    def _remember_room(self, record: Instance, track: Track, action: Lost | Report) -> None:
        """What becomes of a launch that the cloud accepted: only then it may find that it has no room."""
        state, refusal, now = self._state, late_refusal(record, action), self._parts.clock.now()
        began = track.first_seen if track.attempted_at is None else track.attempted_at
        if refusal is not None:
            state.full.refused(
                refusal.key, refusal.reason, refusal.message, began=began, monotonic=self._now(), now=now
            )
            state.ask_limits = True
        elif state.full.marks and track.launched_at is not None and isinstance(action, Report) and action.ready is True:
            state.full.succeeded(fingerprint(record.spec), began=began)

    def _carry_out(self, record: Instance, action: Action) -> None:
        track, work = self._state.tracks[record.uid], self._tasks.work
        match action:
            case Launch():
                if not self._state.full.waits(fingerprint(record.spec), record.uid):
                    work(record, self._launcher.launch(record.key, record.uid))
            case Report():
                self._later(action.until, record.key)
                if action.provider_id:
                    self._state.holders.add(record)
                if is_news(record, action):
                    work(record, self._write(record, action))
                elif action.ready is True and action.until is None:
                    self._state.calm.add(record, self._state.seen, self._state.scope)
            case LookUp() | Destroy() | Power() | Release():
                work(record, self._calls.carry_out(record, action, track))
            case Nothing():
                self._later(action.until, record.key)

    async def _write(self, record: Instance, report: Report) -> None:
        if report.reason == CLOUD_FULL:
            await self._writer.publish()  # first the account, so that nobody binds another one to it
        await self._reporter.write(record, report)

    def _later(self, until: float | None, key: ObjectKey) -> None:
        if until is not None and until > self._now():
            self._agenda.at(until, key)

    # -- brakes

    def _judge(self, account: CloudAccount) -> None:
        state = self._state
        reports = [*brakes.losses(state, self._parts, account), *brakes.unknown(state, self._parts)]
        for record, report in reports:
            if record.uid not in state.busy:
                self._tasks.work(record, self._write(record, report))
        for orphan in brakes.orphans(state, self._parts):
            self._tasks.start(f"orphan {orphan.vm.id}", partial(self._calls.sweep, orphan))
