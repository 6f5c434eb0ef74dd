"""The way between one operator and the API server: late, lossy, stuttering, and cut off when the operator is killed."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, TypeVar

from cloudherd.runtime.ports import ApiError, Kind, Object, WatchEvent
from tests.fakes.apiserver import SimulatedApi
from tests.faults.dice import Dice
from tests.faults.sky import Caller
from tests.faults.story import Story
from tests.faults.truth import NEWER

T = TypeVar("T")
Maybe = TypeVar("Maybe", Object, Object | None)

STALL = 180.0
"""The longest that a watch says nothing though something happened, in seconds."""


class Wire:
    """The KubeApi port. What was sent takes place, whatever becomes of the sender."""

    def __init__(self, inner: SimulatedApi, caller: Caller, dice: Dice, story: Story) -> None:
        self._inner, self._caller, self._dice, self._story = inner, caller, dice, story
        self.cut_until = 0.0
        """Until when (virtual seconds) the operator is cut off from the API server."""
        self.edit: Callable[[Kind, builtins.list[Object]], builtins.list[Object]] | None = None
        """What becomes of a list on its way; None: nothing."""

    async def list(self, kind: Kind, *, namespace: str = "") -> tuple[builtins.list[Object], str]:
        objects, version = await self._call(f"list {kind.plural}", lambda: self._inner.list(kind, namespace=namespace))
        if self._dice.hits("list: late"):
            await self._sleep(self._dice.skewed(1, 60))
        shown = [_shown(obj) for obj in objects]
        return (self.edit(kind, shown) if self.edit else shown), version

    async def watch(self, kind: Kind, resource_version: str) -> AsyncGenerator[WatchEvent, None]:
        await self._refuse(f"watch {kind.plural}")
        async with aclosing(self._inner.watch(kind, resource_version)) as events:
            async for event in events:
                if event.type != "BOOKMARK" and self._dice.hits("watch: stalled"):
                    seconds = self._dice.skewed(1, STALL)
                    self._story.tell(f"the watch of {kind.plural} stalls for {seconds:.0f} s")
                    await self._sleep(seconds)
                await self._refuse("")
                _shown(event.object)
                yield event
                if self._dice.hits("watch: event twice"):
                    yield event
                if self._dice.hits("watch: broken"):
                    raise ApiError("Unreachable", "the watch broke")

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        return _shown(await self._call(f"get {kind.plural} {name}", lambda: self._inner.get(kind, namespace, name)))

    async def create(self, kind: Kind, obj: Object) -> Object:
        label = f"create {kind.plural} {obj['metadata'].get('name', '')}"
        return _shown(await self._call(label, lambda: self._inner.create(kind, obj), write=True))

    async def patch(self, kind: Kind, namespace: str, name: str, body: Object, *, subresource: str = "") -> Object:
        label = f"patch {kind.plural} {name} {subresource}".rstrip()
        patch = partial(self._inner.patch, kind, namespace, name, body, subresource=subresource)
        return _shown(await self._call(label, patch, write=True))

    async def replace(self, kind: Kind, obj: Object) -> Object:
        label = f"update {kind.plural} {obj['metadata']['name']}"
        if NEWER in obj["metadata"].get("annotations", {}):
            obj["spec"].pop("powerState", None)  # as it was before it was shown
        return _shown(await self._call(label, lambda: self._inner.replace(kind, obj), write=True))

    async def delete(
        self, kind: Kind, namespace: str, name: str, *, uid: str, resource_version: str = ""
    ) -> Object | None:
        delete = partial(self._inner.delete, kind, namespace, name, uid=uid, resource_version=resource_version)
        return _shown(await self._call(f"delete {kind.plural} {name}", delete, write=True))

    async def _call(self, label: str, send: Callable[[], Awaitable[T]], *, write: bool = False) -> T:
        dice = self._dice
        await self._refuse(label)
        self._caller.step(f"before {label}")
        await self._sleep(dice.skewed(1, 30) if dice.hits("api: slow") else dice.between(0.001, 0.02))
        of_instance = label.startswith(("patch instances", "update instances"))
        spoilt = of_instance and dice.hits("api: an Instance's patch refused")
        if (write and dice.hits("api: refused with 409")) or (spoilt and dice.chance(0.5)):
            raise ApiError("Conflict", "the object has been modified", 409)
        if spoilt or dice.hits("api: refused with 500"):
            raise ApiError("InternalError", "etcdserver: request timed out", 500)
        if dice.hits("api: throttled"):
            raise ApiError("TooManyRequests", "too many requests", 429, retry_after=dice.between(1, 10))
        twice = write and dice.hits("api: request sent twice")
        sent = asyncio.ensure_future(_take_place(send, twice=twice))
        sent.add_done_callback(_heard)
        answer = await asyncio.shield(sent)
        self._caller.step(f"after {label}")
        if dice.hits("api: answer lost"):
            self._story.tell(f"the answer to {label} is lost")
            raise ApiError("Unreachable", "the connection broke")
        return answer

    async def _refuse(self, label: str) -> None:
        self._caller.check()
        if _now() < self.cut_until or (label and self._dice.hits("api: unreachable")):
            await self._sleep(0.01)
            raise ApiError("Unreachable", "connection refused")

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._caller.check()


def _shown(obj: Maybe) -> Maybe:
    """As this version of ours can read it, or cannot."""
    if obj and NEWER in obj["metadata"].get("annotations", {}):
        obj["spec"]["powerState"] = "Hibernated"
    return obj


async def _take_place(send: Callable[[], Awaitable[T]], *, twice: bool) -> T:
    """A proxy on the way may send a request a second time; the second answer is the one that comes back."""
    if twice:
        await send()
    return await send()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _heard(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()
