"""Launches that are asked for one by one, and are alike, sent to the cloud together: one call, many VMs.

Below the agent, which claims and judges every Instance by itself and never knows who came along with it. What becomes
of a call becomes of everybody who was in it. Never puts launches together that differ in more than token, name and the
tags of `OWN_TAGS`, and never sends one again but after the cloud said that it made nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from cloudherd.clouds.protocol import OWN_TAGS, VM, CloudError, ErrorKind, LaunchRequest

LINGER = 0.1
"""Seconds for which the first of a batch waits for others, who come at once in a scale-up."""

Send = Callable[[Sequence[LaunchRequest]], Awaitable[Sequence[VM | None]]]


def template(request: LaunchRequest) -> LaunchRequest:
    """What launches that go together have in common."""
    return replace(request, token="", name="", tags=shared_tags(request.tags))


def shared_tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key not in OWN_TAGS}


class _Asked(NamedTuple):
    request: LaunchRequest
    answer: asyncio.Future[VM]


@dataclass(slots=True, eq=False)
class _Queue:
    """Those who wait for the next call of their template."""

    template: LaunchRequest
    waiting: list[_Asked] = field(default_factory=list)


class Batches:
    """For one event loop. `send` is one call for at most `most` launches, and answers as a driver's `create_vms` does;
    of each template there is one call at a time.
    """

    def __init__(self, send: Send, most: int) -> None:
        self._send = send
        self._most = most
        self._queues: list[_Queue] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def launch(self, request: LaunchRequest) -> VM:
        answer: asyncio.Future[VM] = asyncio.get_running_loop().create_future()
        self._queue(template(request)).waiting.append(_Asked(request, answer))
        return await answer

    def _queue(self, wanted: LaunchRequest) -> _Queue:
        for queue in self._queues:
            if queue.template == wanted:
                return queue
        queue = _Queue(wanted)
        self._queues.append(queue)
        task = asyncio.create_task(self._work(queue))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return queue

    async def _work(self, queue: _Queue) -> None:
        """Until nobody waits any more."""
        taken: list[_Asked] = []
        try:
            await asyncio.sleep(LINGER)
            while queue.waiting:
                taken, queue.waiting = queue.waiting[: self._most], queue.waiting[self._most :]
                await self._launch(taken)
        finally:
            self._queues.remove(queue)
            _refuse([*taken, *queue.waiting], CloudError(ErrorKind.UNKNOWN, "GivenUp", "the call was given up"))

    async def _launch(self, taken: list[_Asked]) -> None:
        """A limit refuses all that a call asks for, though it leaves room for some: then half of them are asked for."""
        left = taken
        most = len(taken)
        while left := [one for one in left if not one.answer.done()]:  # the others were given up, or have their answer
            part = left[:most]
            error = await self._one_call(part)
            if error is None:
                continue
            if error.kind is ErrorKind.FULL and len(part) > 1 and not any(one.answer.done() for one in part):
                most = len(part) // 2
                continue
            _refuse(left if error.kind is ErrorKind.FULL else part, error)

    async def _one_call(self, part: list[_Asked]) -> CloudError | None:
        """Answers those who have a VM now; the error is for the others."""
        try:
            vms = await self._send([one.request for one in part])
        except CloudError as refused:
            return refused
        for one, vm in zip(part, vms, strict=False):
            if vm is not None and not one.answer.done():
                one.answer.set_result(vm)
        made = sum(vm is not None for vm in vms)
        if made == len(part):
            return None
        words = f"the cloud had room for {made} of the {len(part)} VMs of one call"
        return CloudError(ErrorKind.FULL, "RoomForSome", words, flavor_only=True)


def _refuse(left: list[_Asked], error: CloudError) -> None:
    for one in left:
        if not one.answer.done():
            one.answer.set_exception(error.again())
