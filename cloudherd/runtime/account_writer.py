"""Writes an account's status: only when it changed, what is used at a pace, and an Event when Ready turns."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from cloudherd.agent.account_status import account_status, limit_of, status_patch
from cloudherd.agent.full import exhausted
from cloudherd.api import CloudAccount
from cloudherd.api.account import AccountStatus
from cloudherd.api.conditions import find
from cloudherd.api.meta import Condition
from cloudherd.runtime.account_state import AccountState, Parts
from cloudherd.runtime.kinds import CLOUD_ACCOUNT
from cloudherd.runtime.records import Gone

TOLD = {"Ready": "the account can be used", "CapacityAvailable": "there is room on the account"}


class AccountWriter:
    def __init__(self, state: AccountState, parts: Parts) -> None:
        self._state = state
        self._parts = parts
        self._lock = asyncio.Lock()
        self._counted_at = float("-inf")
        self._written: dict[str, object] = {}
        self._written_at = float("-inf")
        self._announced = False
        self._rival = ""
        self._settled: object = None
        """What led to no patch when it was last looked at: the loop asks after each Instance."""
        self._repeats = False
        """Whether what was to be written when it was last looked at is what we wrote a moment ago."""

    def pending(self, account: CloudAccount) -> bool:
        """Whether a status is to be written now."""
        known = self._known(account)
        patch = None if known == self._settled else self._patch(account)
        if patch is None:
            self._settled = known
        self._repeats = patch is not None and self._undone(patch)
        if self._repeats and patch is not None and "limit" in patch:
            self._state.ask_limits = True  # another agent was told another one: one of us is not up to date
        return patch is not None and not self._repeats

    async def warn_of_rival(self, account: CloudAccount) -> None:
        """Says once of each agent that began to serve the account after us that there are two."""
        self._rival = account.status.agent or ""
        message = (
            f"{self._rival} began to serve this account, which {self._parts.name} still does: nothing is doubled, but "
            "stop one of the two operators, or run them with CLOUDHERD_LEASE=true"
        )
        await self._parts.events.emit(account, "Warning", "AnotherAgent", message)

    def has_new_rival(self, account: CloudAccount) -> bool:
        return self._announced and account.status.agent not in (None, self._parts.name, self._rival)

    def _undone(self, patch: dict[str, object]) -> bool:
        """Whether we wrote just this a moment ago: two agents that run by mistake must not do so without end."""
        return patch == self._written and self._parts.clock.monotonic() < self._again_at()

    def _again_at(self) -> float:
        return self._written_at + self._parts.settings.count_interval

    def _known(self, account: CloudAccount) -> object:
        """All that a status is made of, in a form that what changes in place does not change."""
        state, fresh = self._state, self._fresh()
        marks = {key: replace(mark) for key, mark in state.full.standing().items()}
        used_up = state.facts.room is not None and exhausted(state.facts.room)
        facts = replace(state.facts, room=None)
        if not fresh:
            facts.used = None  # which changes with every launch
        return account, facts, used_up, marks, state.polled, fresh

    def _fresh(self) -> bool:
        """Whether counts may be written again."""
        return self._parts.clock.monotonic() >= self._counted_at + self._parts.settings.count_interval

    def due_at(self) -> float | None:
        """When what was held back may be written, after `pending` has said that nothing is now; None where nothing
        was.
        """
        if self._repeats:
            return self._again_at()
        account, facts = self._parts.store.account(self._state.key), self._state.facts
        if account is None or facts.used is None or self._fresh():
            return None
        same = facts.used == account.status.used
        return None if same else self._counted_at + self._parts.settings.count_interval

    async def publish(self) -> None:
        """Returns when the account's status says what is known now. ApiError where it cannot be written."""
        async with self._lock:
            account = self._parts.store.account(self._state.key)
            if account is None:
                return
            patch = self._patch(account)
            if patch is None:
                return
            try:
                written = await self._parts.records.patch_status(CLOUD_ACCOUNT, account, patch)
            except Gone:
                return
            self._announced = True
            self._written, self._written_at = patch, self._parts.clock.monotonic()
            if "used" in patch:
                self._counted_at = self._written_at
        await self._tell(account, written)

    def _patch(self, account: CloudAccount) -> dict[str, object] | None:
        state = self._state
        if not state.polled and state.facts.trouble is None and find(account.status.conditions, "Ready"):
            # Just started: what was written before holds until we know better, but for who serves the account.
            name = self._parts.name
            return None if self._announced or account.status.agent == name else {"agent": name}
        counts = self._counts(account, fresh=self._fresh())
        now = self._parts.clock.now()
        return status_patch(account, account_status(account, state.facts, state.full.standing(), counts, now))

    def _counts(self, account: CloudAccount, *, fresh: bool) -> AccountStatus:
        facts, before = self._state.facts, account.status
        agent = (before.agent if self._announced else None) or self._parts.name
        if facts.used is None:
            return AccountStatus(agent=agent, limit=before.limit, used=before.used, foreign=before.foreign)
        # The gateway places by the limit less what is foreign, and counts what is ours itself.
        limit = before.limit if facts.limits is None else limit_of(facts.limits)
        return AccountStatus(agent=agent, limit=limit, used=facts.used if fresh else before.used, foreign=facts.foreign)

    async def _tell(self, before: CloudAccount, after: CloudAccount) -> None:
        for type_ in ("Ready", "CapacityAvailable"):
            old, new = (find(one.status.conditions, type_) for one in (before, after))
            if new is None or _same(old, new) or (old is None and new.status != "False"):
                continue
            message = new.message or TOLD[type_]
            await self._parts.events.emit(after, "Normal" if new.status == "True" else "Warning", new.reason, message)
        if (loss := _frozen(after)) and not _frozen(before) and not self._state.facts.frozen:
            await self._parts.events.emit(after, "Warning", loss.reason, loss.message)  # else Ready has told it


def _frozen(account: CloudAccount) -> Condition | None:
    loss = find(account.status.conditions, "MassLoss")
    return loss if loss and loss.status == "True" else None


def _same(old: Condition | None, new: Condition) -> bool:
    return old is not None and (old.status, old.reason) == (new.status, new.reason)
