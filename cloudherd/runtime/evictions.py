"""The end of a CloudAccount that still has Instances: it waits for them, unless it is told to delete them.

Told so it is by `cloudherd.dev/evict: "true"` on an account that is being deleted, or by the end of its namespace.
"""

from __future__ import annotations

import asyncio

from cloudherd.api import CloudAccount, Instance, ObjectKey
from cloudherd.runtime.events import EventRecorder
from cloudherd.runtime.kinds import CLOUD_ACCOUNT, INSTANCE, NAMESPACE
from cloudherd.runtime.metrics import UNMEASURED, Metrics
from cloudherd.runtime.ports import Clock, KubeApi, Random
from cloudherd.runtime.store import Entry, Plain, Store, account_of
from cloudherd.runtime.wakes import Wakes


class Evictions:
    """Deletes the Instances of accounts that may take them along; others it never touches."""

    def __init__(
        self,
        api: KubeApi,
        store: Store,
        events: EventRecorder,
        clock: Clock,
        random: Random,
        metrics: Metrics = UNMEASURED,
    ) -> None:
        self._api, self._store, self._events = api, store, events
        self._wakes = Wakes("eviction", self._reconcile, clock, random, metrics, at_once=4)
        store.subscribe(self._changed)

    async def run(self) -> None:
        await self._wakes.run()

    def wake(self, key: ObjectKey) -> None:
        self._wakes.wake(key)

    def _changed(self, plural: str, _before: Entry | None, after: Entry | None) -> None:
        if after is None:
            return
        if plural == CLOUD_ACCOUNT.plural:
            self._wakes.wake(after.key)
        elif plural == INSTANCE.plural:
            key = account_of(after)
            account = self._store.account(key) if key else None
            if account is not None and account.deleting:
                self._wakes.wake(account.key)
        elif plural == NAMESPACE.plural and isinstance(after, Plain) and after.deleting:
            for entry in self._store.entries(CLOUD_ACCOUNT.plural):
                if entry.key.namespace == after.name:
                    self._wakes.wake(entry.key)

    async def _reconcile(self, key: ObjectKey) -> None:
        account = self._store.account(key)
        if account is None or not account.deleting or not self._evicts(account):
            return
        bound = [one for one in self._store.of_account(key) if isinstance(one, Instance) and not one.deleting]
        if bound:
            await self._events.emit(account, "Normal", "Evicting", f"deleting the {len(bound)} Instances bound to it")
        await asyncio.gather(*(self._delete(one) for one in bound))

    def _evicts(self, account: CloudAccount) -> bool:
        namespace = self._store.entry(NAMESPACE.plural, ObjectKey("", account.namespace))
        return account.annotation("evict") == "true" or (isinstance(namespace, Plain) and namespace.deleting)

    async def _delete(self, instance: Instance) -> None:
        left = await self._api.delete(INSTANCE, *instance.key, uid=instance.uid)
        if left:
            self._store.wrote(INSTANCE, left)
        else:
            self._store.removed(INSTANCE, instance.key, instance.uid)
