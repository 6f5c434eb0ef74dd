"""Events for people, best effort: never in the way of a decision, never with a secret in them, never a flood.

The same Event about the same object is counted on one object, also after a restart, since its name follows from what
it says.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from cloudherd.api import Resource
from cloudherd.api.meta import GROUP, VERSION
from cloudherd.runtime.kinds import EVENT
from cloudherd.runtime.ports import ApiError, Clock, KubeApi, Object

log = logging.getLogger(__name__)

NOTE = 1000
REMEMBERED = 2000
COUNT_EVERY = 60.0  # seconds between two writes of one Event's count
BURST, PER_SECOND = 50.0, 5.0


@dataclass(slots=True)
class _Told:
    at: float
    count: int


class EventRecorder:
    """Writes as `component`, for instance cloudherd-agent."""

    def __init__(self, api: KubeApi, component: str, clock: Clock) -> None:
        self._api = api
        self._component = component
        self._clock = clock
        self._told: OrderedDict[str, _Told] = OrderedDict()
        self._tokens = BURST
        self._filled_at = clock.monotonic()

    async def emit(self, about: Resource, type_: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Never raises for what the API server says. `reason` is one word in CamelCase."""
        name = event_name(about, reason, message)
        told = self._told.get(name)
        now = self._clock.monotonic()
        if told is not None:
            told.count += 1
            if now - told.at < COUNT_EVERY:
                return
        if not self._may(now):
            return
        told = told or _Told(now, 1)
        told.at = now
        self._told[name] = told
        self._told.move_to_end(name)
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        try:
            await self._write(name, told, about, type_, reason, message)
        except ApiError as error:
            log.debug("an Event about %s was not written: %s", about.key, error.reason)

    def _may(self, now: float) -> bool:
        self._tokens = min(BURST, self._tokens + (now - self._filled_at) * PER_SECOND)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    async def _write(self, name: str, told: _Told, about: Resource, type_: str, reason: str, message: str) -> None:
        if told.count == 1:
            try:
                await self._api.create(EVENT, self._event(name, about, type_, reason, message))
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    raise
                standing = await self._api.get(EVENT, about.namespace, name)
                series = (standing or {}).get("series") or {}
                told.count = int(series.get("count", 1)) + 1
            else:
                return
        series = {"count": told.count, "lastObservedTime": _micro(self._clock.now())}
        await self._api.patch(EVENT, about.namespace, name, {"series": series})

    def _event(self, name: str, about: Resource, type_: str, reason: str, message: str) -> Object:
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": about.namespace},
            "eventTime": _micro(self._clock.now()),
            "reportingController": f"{GROUP}/{self._component}",
            "reportingInstance": self._component,
            "action": reason,
            "reason": reason,
            "type": type_,
            "note": message[:NOTE],
            "regarding": {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": about.kind,
                "namespace": about.namespace,
                "name": about.name,
                "uid": about.uid,
            },
        }


def event_name(about: Resource, reason: str, message: str) -> str:
    digest = hashlib.sha256("\n".join((about.uid, reason, message)).encode()).hexdigest()[:16]
    return f"{about.name}.{digest}"


def _micro(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
