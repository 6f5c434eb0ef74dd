"""Virtual time itself: what every test on it takes for granted."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.fakes.clock import SeededRandom, Stuck, VirtualClock, on_virtual_time, run_virtually


@on_virtual_time
async def test_a_year_passes_at_once() -> None:
    clock = VirtualClock()
    real, calendar = time.monotonic(), clock.now()
    await clock.sleep(365 * 86400)
    assert clock.monotonic() == 365 * 86400 == clock.now() - calendar
    assert time.monotonic() - real < 60


@on_virtual_time
async def test_to_settle_is_to_let_everything_happen_that_needs_no_time() -> None:
    clock = VirtualClock()
    seen: list[str] = []

    async def worker() -> None:
        for _ in range(100):
            await asyncio.sleep(0)
        seen.append("at once")
        await clock.sleep(1)
        seen.append("later")

    task = asyncio.create_task(worker())
    await clock.settle()
    assert (seen, clock.monotonic()) == (["at once"], 0)
    await clock.advance(1)
    assert (seen, clock.monotonic()) == (["at once", "later"], 1)
    await task


@on_virtual_time
async def test_until_stops_at_the_first_moment_at_which_it_is_true() -> None:
    clock = VirtualClock()
    seen: list[float] = []

    async def ticker() -> None:
        while True:
            await clock.sleep(0.7)
            seen.append(clock.monotonic())

    task = asyncio.create_task(ticker())
    await clock.until(lambda: len(seen) == 3)
    assert clock.monotonic() == pytest.approx(2.1)
    with pytest.raises(AssertionError, match="did not come true within 10 virtual seconds"):
        await clock.until(lambda: False, within=10)
    task.cancel()


@on_virtual_time
async def test_quiet_is_when_nothing_changed_for_long_enough() -> None:
    clock = VirtualClock()
    version = 0

    async def writer() -> None:
        nonlocal version
        for pause in (10, 50, 90):
            await clock.sleep(pause)
            version += 1

    task = asyncio.create_task(writer())
    await clock.until_quiet(lambda: version, quiet=100)
    assert version == 3
    assert 250 <= clock.monotonic() <= 400
    await task


def test_who_waits_for_what_never_comes_is_told() -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck, match="no timer is left"):
        run_virtually(wait())


def test_a_timeout_is_virtual_too() -> None:
    async def wait() -> None:
        async with asyncio.timeout(3600):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        run_virtually(wait())


def test_a_seed_makes_the_same_run_again() -> None:
    first, again, other = SeededRandom(1), SeededRandom(1), SeededRandom(2)
    assert [first.uuid(), first.uniform(0, 1)] == [again.uuid(), again.uniform(0, 1)]
    assert first.uuid() != other.uuid()
