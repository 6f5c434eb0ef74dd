"""Merged wakes, and what they tell of themselves."""

from __future__ import annotations

import asyncio

import pytest

from cloudherd.api import ObjectKey
from cloudherd.runtime.metrics import Unmeasured
from cloudherd.runtime.ports import ApiError
from cloudherd.runtime.wakes import TryAgainError, Wakes
from tests.fakes.clock import SeededRandom, VirtualClock, on_virtual_time, run_virtually


class Heard(Unmeasured):
    def __init__(self) -> None:
        self.waits: list[object] = []
        self.passes: list[object] = []

    def waited(self, *told: object) -> None:
        self.waits.append(told)

    def reconciled(self, *told: object) -> None:
        self.passes.append(told)


@on_virtual_time
async def test_a_key_is_worked_on_once_for_many_wakes_and_told_with_its_wait_and_its_time() -> None:
    clock, heard = VirtualClock(), Heard()

    async def work(_: ObjectKey) -> None:
        await clock.sleep(2)

    wakes = Wakes("cluster", work, clock, SeededRandom(), heard, at_once=1)
    for name in ("a", "a", "b"):
        wakes.wake(ObjectKey("physics", name))
    running = asyncio.create_task(wakes.run())
    await clock.until(lambda: wakes.idle)
    running.cancel()
    assert heard.waits == [("cluster", 0), ("cluster", 2)]
    assert heard.passes == [("cluster", "ok", 2)] * 2


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(ApiError("Conflict"), "refused"), (TryAgainError("busy"), "later"), (ValueError("a bug"), "defect")],
)
def test_a_pass_that_fails_is_told_as_what_it_is_and_tried_again(error: Exception, outcome: str) -> None:
    async def run() -> Heard:
        clock, heard = VirtualClock(), Heard()

        async def work(_: ObjectKey) -> None:
            if not heard.passes:
                raise error

        wakes = Wakes("cluster", work, clock, SeededRandom(), heard)
        wakes.wake(ObjectKey("physics", "a"))
        running = asyncio.create_task(wakes.run())
        await clock.until(lambda: len(heard.passes) == 2)
        running.cancel()
        return heard

    assert run_virtually(run()).passes == [("cluster", outcome, 0), ("cluster", "ok", 0)]


@on_virtual_time
async def test_what_can_wait_is_done_with_what_cannot_or_else_in_its_time() -> None:
    clock, times = VirtualClock(), list[tuple[str, float]]()

    async def work(key: ObjectKey) -> float:
        times.append((key.name, clock.monotonic()))
        return 100

    wakes = Wakes("cluster", work, clock, SeededRandom(), Heard())
    running = asyncio.create_task(wakes.run())
    wakes.wake(ObjectKey("physics", "timed"))
    await clock.advance(1)
    for name in ("timed", "alone", "joined"):
        wakes.soon(ObjectKey("physics", name), 5)
    await clock.advance(1)
    wakes.wake(ObjectKey("physics", "joined"))
    await clock.advance(50)
    running.cancel()
    assert times == [("timed", 0), ("joined", 2), ("timed", 6), ("alone", 6)]
