"""List and watch of one kind: keeps a sink in step with the API server, and never takes "not seen" for "absent".

Only a complete list replaces what the sink holds; what vanished while nobody watched is found by that. Runs on the
ports alone, so that a test can put virtual time and a simulated server under it.
"""

from __future__ import annotations

import logging
import traceback
from contextlib import aclosing
from typing import Protocol

from cloudherd.runtime.ports import ApiError, Clock, Kind, KubeApi, Object, Random, WatchEvent

_FIRST_WAIT = 0.5
_LONGEST_WAIT = 30.0
_SHORT_WATCH = 1.0
_REFUSALS_BEFORE_LIST = 3

logger = logging.getLogger(__name__)


class Sink(Protocol):
    """Where the objects go. Called in the server's order; nothing is awaited."""

    def replace(self, kind: Kind, objects: list[Object], resource_version: str) -> None:
        """A complete list: what it lacks does not exist any more."""
        ...

    def apply(self, kind: Kind, event: WatchEvent) -> None:
        """ADDED, MODIFIED or DELETED."""
        ...

    def heard(self, kind: Kind, at: float) -> None:
        """The sink is as fresh as this moment (monotonic)."""
        ...


class Reflector:
    """Keeps one kind of a sink in step, for as long as `run` runs."""

    def __init__(self, api: KubeApi, kind: Kind, sink: Sink, clock: Clock, random: Random) -> None:
        self.kind = kind
        self.synced = False
        """A complete list has reached the sink."""
        self.heard_at: float | None = None
        """When (monotonic) the server last said anything of this kind, be it that it takes a watch; for a list, when
        it was asked.
        """
        self._api = api
        self._sink = sink
        self._clock = clock
        self._random = random
        self._version = ""
        """The last resource version seen; empty: list anew."""
        self._failures = 0
        self._refusals = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except ApiError as error:
                await self._recover(error)
            except Exception as error:  # noqa: BLE001 - the sink's failure on one object must not end the watch of all
                self._version = ""
                # Where it failed, but not its text, which may hold the object.
                where = "".join(traceback.format_tb(error.__traceback__))
                logger.error("%s: %s in the sink, listing anew\n%s", self.kind.plural, type(error).__name__, where)
                await self._back_off()

    async def _list(self) -> None:
        asked_at = self._clock.monotonic()
        objects, version = await self._api.list(self.kind)
        self._sink.replace(self.kind, [obj for obj in objects if self._has_name(obj)], version)
        self._version = version
        self.synced = True
        self._hear(asked_at)

    async def _watch(self) -> None:
        """One watch, until the server closes it. A server that closes watches as soon as they open is given time."""
        opened_at = self._clock.monotonic()
        before = self._version
        try:
            async with aclosing(self._api.watch(self.kind, self._version)) as events:
                async for event in events:
                    self._take(event)
        finally:
            lasted = self._clock.monotonic() - opened_at
            if lasted >= _SHORT_WATCH:
                self._failures = 0
        if lasted < _SHORT_WATCH and self._version == before:
            await self._back_off()

    def _take(self, event: WatchEvent) -> None:
        if event.type != "BOOKMARK" and self._has_name(event.object):
            self._sink.apply(self.kind, event)
        version = event.object["metadata"]["resourceVersion"]
        if version != self._version:
            self._version = version
            self._failures = self._refusals = 0
        self._hear(self._clock.monotonic())

    def _hear(self, at: float) -> None:
        self.heard_at = at
        self._sink.heard(self.kind, at)

    def _has_name(self, obj: Object) -> bool:
        if (obj.get("metadata") or {}).get("name"):
            return True
        logger.error("%s: an object without a name was passed over", self.kind.plural)
        return False

    async def _recover(self, error: ApiError) -> None:
        """An answer refuses the version or the watch; no answer says nothing about either."""
        if error.status:
            self._refusals += 1
        if error.reason == "Expired" or self._refusals >= _REFUSALS_BEFORE_LIST:
            self._version = ""
        if error.reason == "Expired" and self._refusals == 1:
            return
        # Once is nothing: a watch on which nothing is new falls silent, and a busy server closes some.
        level = logging.WARNING if self._failures else logging.DEBUG
        logger.log(level, "%s: %s: %s", self.kind.plural, error.reason, error)
        await self._back_off(error.retry_after)

    async def _back_off(self, at_least: float = 0.0) -> None:
        wait = min(_FIRST_WAIT * 2**self._failures, _LONGEST_WAIT)
        self._failures = min(self._failures + 1, 10)
        await self._clock.sleep(max(at_least, wait * self._random.uniform(0.5, 1.0)))
