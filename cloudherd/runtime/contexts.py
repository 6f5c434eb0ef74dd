"""Says of every Context whether it renders: a trial with sample values, once per revision of it."""

from __future__ import annotations

import hashlib
import json

from cloudherd.api import Context, ObjectKey
from cloudherd.api.conditions import condition, merged
from cloudherd.api.context import ContextStatus
from cloudherd.runtime.kinds import CONTEXT
from cloudherd.runtime.metrics import UNMEASURED, Metrics
from cloudherd.runtime.ports import Clock, KubeApi, Random, Renderer
from cloudherd.runtime.store import Entry, Store
from cloudherd.runtime.wakes import TryAgainError, Wakes


class Contexts:
    """Keeps the status of Contexts. Never touches what uses them: clusters render for themselves."""

    def __init__(
        self,
        api: KubeApi,
        store: Store,
        renderer: Renderer,
        clock: Clock,
        random: Random,
        metrics: Metrics = UNMEASURED,
    ) -> None:
        self._api, self._store, self._renderer, self._clock = api, store, renderer, clock
        self._wakes = Wakes("context", self._reconcile, clock, random, metrics, at_once=4)
        store.subscribe(self._changed)

    async def run(self) -> None:
        await self._wakes.run()

    def wake(self, key: ObjectKey) -> None:
        self._wakes.wake(key)

    def _changed(self, plural: str, _before: Entry | None, after: Entry | None) -> None:
        if plural == CONTEXT.plural and isinstance(after, Context):
            self._wakes.wake(after.key)

    async def _reconcile(self, key: ObjectKey) -> None:
        context = self._store.entry(CONTEXT.plural, key)
        if not isinstance(context, Context) or context.deleting:
            return
        meta, before = context.metadata, context.status
        if before.observed_generation == meta.generation and before.conditions:
            return
        result = await self._renderer.check(context.spec)
        if result.transient:
            raise TryAgainError(result.error)
        size = f"renders to about {len(result.user_data)} bytes"
        verdict = condition(
            before.conditions,
            "Ready",
            not result.error,
            "Invalid" if result.error else "Renders",
            result.error or size,
            generation=meta.generation,
            now=self._clock.now(),
        )
        status = ContextStatus(
            observed_generation=meta.generation,
            revision=_revision(context),
            size=None if result.error else len(result.user_data),
            conditions=merged(before.conditions, verdict),
        )
        # A size that no longer holds must be taken away by name: a merge patch keeps what it does not mention.
        seen = {"uid": meta.uid, "resourceVersion": meta.resource_version}
        body = {"metadata": seen, "status": {"size": None, **status.wire()}}
        self._store.wrote(CONTEXT, await self._api.patch(CONTEXT, *key, body, subresource="status"))


def _revision(context: Context) -> str:
    text = json.dumps(context.spec.wire(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]
