"""The agent: turns the Instances bound to its accounts into VMs. It never decides where anything goes.

Each account has a loop of its own, so that one broken cloud costs no other account anything. Nothing happens before
the store has seen every kind completely, and nothing is written to a cloud without the installation's ID.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict

from cloudherd.agent.settings import AgentSettings
from cloudherd.api import CloudAccount, Instance, ObjectKey
from cloudherd.runtime import keeper
from cloudherd.runtime.account_loop import AccountLoop
from cloudherd.runtime.account_state import Parts
from cloudherd.runtime.events import EventRecorder
from cloudherd.runtime.installation import Installation
from cloudherd.runtime.link import secret_key
from cloudherd.runtime.metrics import UNMEASURED, Metrics
from cloudherd.runtime.ports import ApiError, Clock, CloudFactory, KubeApi, Random
from cloudherd.runtime.records import Gone, Records
from cloudherd.runtime.store import Entry, Store, account_of
from cloudherd.runtime.unbound import Unbound

log = logging.getLogger(__name__)

INSTALLATION_LOOK = 5.0


class Agent:
    """`name` is one process's alone, from its start to its end; `namespace` is the operator's own, where the
    installation's ConfigMap lies; `installation_id` comes from a setting, for an agent that may not make one.
    """

    def __init__(  # noqa: PLR0913 - the ports, and what sets one installation apart
        self,
        api: KubeApi,
        store: Store,
        clouds: CloudFactory,
        clock: Clock,
        random: Random,
        *,
        name: str,
        namespace: str,
        settings: AgentSettings | None = None,
        installation_id: str = "",
        metrics: Metrics = UNMEASURED,
    ) -> None:
        installation = Installation(api, random, namespace, installation_id)
        self._parts = Parts(
            api=api,
            store=store,
            clouds=clouds,
            clock=clock,
            random=random,
            settings=settings or AgentSettings(),
            installation=installation,
            name=name,
            events=EventRecorder(api, "cloudherd-agent", clock),
            records=Records(api, store),
            metrics=metrics,
        )
        self._loops: dict[ObjectKey, AccountLoop] = {}
        self._tasks: dict[ObjectKey, asyncio.Task[None]] = {}
        self._unbound = Unbound(self._parts)
        self._loose: set[ObjectKey] = set()
        self._torn: dict[ObjectKey, set[str]] = defaultdict(set)
        self._wake = asyncio.Event()
        self._starting = True

    @property
    def installation_id(self) -> str:
        """Empty as long as it is not known."""
        return self._parts.installation.id

    async def run(self) -> None:
        """Until it is cancelled."""
        await self._parts.store.wait_synced()
        self._parts.store.subscribe(self._heard)
        await self._parts.installation.settle()
        for entry in list(self._parts.store.entries("cloudaccounts")):
            self._heard("cloudaccounts", None, entry)
        self._starting = False
        for entry in list(self._parts.store.entries("secrets")):
            self._heard("secrets", None, entry)
        others = [asyncio.create_task(self._installation()), asyncio.create_task(self._let_go())]
        others.append(asyncio.create_task(self._unbound.run()))
        try:
            await asyncio.gather(*others)
        finally:
            tasks = [*others, *self._tasks.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # -- what the store says

    def _heard(self, plural: str, before: Entry | None, after: Entry | None) -> None:
        entry = after or before
        if entry is None:
            return
        if plural == "instances":
            self._instance(before, after)
        elif plural == "cloudaccounts":
            self._account(entry.key, before, after)
        elif plural == "secrets":
            self._secret(entry.key)

    def _instance(self, before: Entry | None, after: Entry | None) -> None:
        key = account_of(after or before)  # type: ignore[arg-type]
        vanished = before is not None and (after is None or after.uid != before.uid)
        if vanished and isinstance(before, Instance) and not before.deleting:
            self._torn[before.account].add(before.spec.id)
        loop = self._loops.get(key) if key else None
        if loop is not None:
            loop.instance_changed(before, after)
        else:
            self._unbound.wake()

    def _account(self, key: ObjectKey, before: Entry | None, after: Entry | None) -> None:
        if isinstance(before, CloudAccount):
            self._secret(secret_key(before))
        if after is None:
            self._loops.pop(key, None)
            task = self._tasks.pop(key, None)
            if task is not None:
                task.cancel()
            self._unbound.wake()
        elif isinstance(after, CloudAccount) and key not in self._loops:
            self._loops[key] = AccountLoop(key, self._parts, self._torn[key], inherits=self._starting)
            self._tasks[key] = asyncio.create_task(self._guard(key))
        elif key in self._loops:
            self._loops[key].changed()

    def _secret(self, key: ObjectKey | None) -> None:
        if key is None:
            return
        for account in keeper.users(self._parts.store, key):
            if account.key in self._loops:
                self._loops[account.key].changed()
        if keeper.unused(self._parts.store, key):
            self._loose.add(key)
            self._wake.set()

    # -- what runs beside the loops

    async def _guard(self, key: ObjectKey) -> None:
        """A bug in one account's loop costs that account a minute, and no other anything."""
        while True:
            try:
                await self._loops[key].run()
            except Exception:
                self._parts.metrics.reconciled("account", "defect", 0)
                log.exception("the loop of CloudAccount %s ended", key)
                await self._parts.clock.sleep(60)
                self._loops[key] = AccountLoop(key, self._parts, self._torn[key], inherits=True)

    async def _installation(self) -> None:
        installation = self._parts.installation
        while not installation.id:
            for loop in self._loops.values():
                loop.changed()
            await self._parts.clock.sleep(INSTALLATION_LOOK)
            await installation.settle()
        for loop in self._loops.values():
            loop.changed()

    async def _let_go(self) -> None:
        """Lets Secrets go that no account with Instances names any more."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            for key in list(self._loose):
                self._loose.discard(key)
                try:
                    await keeper.release_unused(self._parts, key)
                except (ApiError, Gone):
                    self._loose.add(key)
            if self._loose:
                await self._parts.clock.sleep(self._parts.settings.retry_first)
                self._wake.set()
