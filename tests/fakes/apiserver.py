"""A simulated API server: the KubeApi port in memory, on whatever loop and clock it is given. No sockets.

What it does to objects is in `objects`. Here is what a client sees of it: calls that take their turn, watches with
history and bookmarks, and the places where faults go in.
"""

from __future__ import annotations

import asyncio
import builtins
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, TypeVar

from cloudherd.runtime.ports import ApiError, Clock, Kind, Object, Random, WatchEvent
from tests.fakes.objects import Objects
from tests.fakes.rules import seen_as
from tests.fakes.schemas import check_served

BOOKMARK_SECONDS = 60.0
WATCH_SECONDS = (300.0, 600.0)
SILENCE_SECONDS = 70.0

T = TypeVar("T")
Verb = Literal["list", "watch", "get", "create", "patch", "update", "delete"]
WRITES: tuple[Verb, ...] = ("create", "patch", "update", "delete")


@dataclass(frozen=True, slots=True)
class Call:
    at: float
    manager: str
    verb: Verb
    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""


Fault = Callable[[Call, Literal["before", "after"]], Awaitable[None]]
"""Awaited around every call: it may take its time, and raise ApiError instead of the call (before) or of its answer
(after: the call has taken place).
"""


class SimulatedServer:
    """One API server; `client` makes a KubeApi on it for each field manager."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self.clock = clock
        self.random = random
        self.objects = Objects(clock, random)
        self.calls: list[Call] = []
        self.fault: Fault | None = None
        self._watches: dict[_Watch, None] = {}  # in the order in which they were opened, so that a seed replays

    def client(self, manager: str) -> SimulatedApi:
        return SimulatedApi(self, manager)

    @property
    def version(self) -> int:
        """Grows with every write that changed something."""
        return self.objects.version

    @property
    def open_watches(self) -> int:
        return len(self._watches)

    def writes(self, kind: Kind) -> list[Call]:
        return [call for call in self.calls if call.verb in WRITES and call.kind.plural == kind.plural]

    def compact(self) -> None:
        """Forgets history: watches that resume from before get Expired."""
        self.objects.compact()

    def close_watches(self) -> None:
        """Ends every open watch as a server does that shuts down or is loaded."""
        for watch in self._watches:
            watch.closed = True
            watch.wake.set()

    def hang_watches(self) -> None:
        """Leaves every open watch half open: it stays, and says nothing any more."""
        for watch in self._watches:
            watch.hung = True
            watch.wake.set()

    async def call(self, call: Call, action: Callable[[], T]) -> T:
        """The one place through which every call goes."""
        self.calls.append(call)
        await asyncio.sleep(0)
        if self.fault:
            await self.fault(call, "before")
        check_served(call.kind)
        before = self.version
        answer = action()
        for watch in self._watches if self.version > before else ():
            if self.objects.changes(watch.kind, before):
                watch.wake.set()
        if self.fault:
            await self.fault(call, "after")
        return answer

    async def watch(self, kind: Kind, since: int) -> AsyncGenerator[WatchEvent, None]:
        now = self.clock.monotonic
        watch = _Watch(kind, now(), now() + self.random.uniform(*WATCH_SECONDS))
        self._watches[watch] = None
        began = since
        try:
            yield _bookmark(since)
            while not watch.closed and now() < watch.ends_at:
                watch.wake.clear()
                for change in [] if watch.hung else self.objects.changes(kind, since):
                    since = change.version
                    watch.heard_at = now()
                    yield WatchEvent(change.type, seen_as(kind, change.text))
                if watch.may_mark(now()) and self.version > began:
                    since = self.version
                    watch.marked(now())
                    yield _bookmark(since)
                if now() >= watch.heard_at + SILENCE_SECONDS:
                    raise ApiError("Unreachable", "the watch fell silent")
                await watch.rest(now())
        finally:
            self._watches.pop(watch, None)


def _bookmark(version: int) -> WatchEvent:
    return WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


class _Watch:
    """What the server keeps of an open watch. There is a bookmark every minute, and one shortly before the end, but
    none where nothing is newer than what the watch began with.
    """

    def __init__(self, kind: Kind, now: float, ends_at: float) -> None:
        self.kind = kind
        self.wake = asyncio.Event()
        self.closed = False
        self.hung = False
        self.ends_at = ends_at
        self.heard_at = now
        self._mark_at = now + BOOKMARK_SECONDS

    def may_mark(self, now: float) -> bool:
        return not self.hung and not self.wake.is_set() and now >= self._mark_at

    def marked(self, now: float) -> None:
        self.heard_at = now
        last = self.ends_at - 2
        self._mark_at = min(now + BOOKMARK_SECONDS, last) if now < last else self.ends_at

    async def rest(self, now: float) -> None:
        """Until something happened, or is due."""
        due = [self.ends_at, self._mark_at, self.heard_at + SILENCE_SECONDS]
        try:
            async with asyncio.timeout(min(at for at in due if at > now) - now):
                await self.wake.wait()
        except TimeoutError:
            return


class SimulatedApi:
    """The KubeApi port as one field manager."""

    def __init__(self, server: SimulatedServer, manager: str) -> None:
        self._server = server
        self._manager = manager

    async def list(self, kind: Kind, *, namespace: str = "") -> tuple[builtins.list[Object], str]:
        answer: tuple[builtins.list[Object], str] = await self._call(
            "list", kind, lambda objects: objects.list(kind, namespace), namespace
        )
        return answer

    async def watch(self, kind: Kind, resource_version: str) -> AsyncGenerator[WatchEvent, None]:
        since = int(resource_version)
        await self._call("watch", kind, lambda objects: objects.check_known(since))
        async with aclosing(self._server.watch(kind, since)) as events:
            async for event in events:
                yield event

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        return await self._call("get", kind, lambda objects: objects.get(kind, namespace, name), namespace, name)

    async def create(self, kind: Kind, obj: Object) -> Object:
        text = json.dumps(obj)
        metadata = obj["metadata"]
        return await self._call(
            "create",
            kind,
            lambda objects: objects.create(kind, json.loads(text)),
            metadata.get("namespace", ""),
            metadata.get("name", ""),
        )

    async def patch(self, kind: Kind, namespace: str, name: str, body: Object, *, subresource: str = "") -> Object:
        text = json.dumps(body)
        return await self._call(
            "patch",
            kind,
            lambda objects: objects.patch(kind, namespace, name, json.loads(text), subresource),
            namespace,
            name,
            subresource,
        )

    async def replace(self, kind: Kind, obj: Object) -> Object:
        text, metadata = json.dumps(obj), obj["metadata"]
        return await self._call(
            "update",
            kind,
            lambda objects: objects.replace(kind, json.loads(text)),
            metadata.get("namespace", ""),
            metadata["name"],
        )

    async def delete(
        self, kind: Kind, namespace: str, name: str, *, uid: str, resource_version: str = ""
    ) -> Object | None:
        return await self._call(
            "delete",
            kind,
            lambda objects: objects.delete(kind, namespace, name, uid, resource_version),
            namespace,
            name,
        )

    async def _call(
        self,
        verb: Verb,
        kind: Kind,
        action: Callable[[Objects], T],
        namespace: str = "",
        name: str = "",
        subresource: str = "",
    ) -> T:
        server = self._server
        call = Call(server.clock.monotonic(), self._manager, verb, kind, namespace, name, subresource)
        return await server.call(call, lambda: action(server.objects))
