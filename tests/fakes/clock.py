"""Virtual time: an event loop whose clock jumps to the next timer at once, and the Clock and Random ports on it.

Nothing waits in real time, nothing depends on how fast the machine is, and with one seed every run is the same. The
loop serves no sockets and no threads: where a task waits for one, the run ends in `Stuck`.
"""

from __future__ import annotations

import asyncio
import functools
import random
import selectors
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, cast

T = TypeVar("T")
P = ParamSpec("P")

EPOCH = 1_700_000_000.0
"""What the calendar says when a virtual loop starts."""


class Stuck(RuntimeError):
    """Every task waits, and no timer is left that could end it."""


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._now = 0.0
        self._settled: list[asyncio.Future[None]] = []
        self._stepped: list[asyncio.Future[None]] = []
        super().__init__(_Jumper(self._nothing_to_do))
        # asyncio calls a timer due within this; with its own 1e-9, none is due once floats are coarser (97 days).
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._now

    async def settle(self) -> None:
        """Returns once nothing more happens at this instant: every other task waits for a timer or for another task."""
        await self._wake_from(self._settled)

    async def step(self) -> None:
        """Returns at the instant of the next timer."""
        await self._wake_from(self._stepped)

    async def _wake_from(self, waiting: list[asyncio.Future[None]]) -> None:
        future = self.create_future()
        waiting.append(future)
        await future

    def _nothing_to_do(self, seconds: float | None) -> None:
        """Called when nothing is left to run for so long (None: for ever)."""
        if self._settled:
            _wake(self._settled)
        elif seconds is None:
            raise Stuck("every task waits, and no timer is left that could end it")
        else:
            self._now += seconds
            _wake(self._stepped)


def _wake(waiting: list[asyncio.Future[None]]) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)
    waiting.clear()


class _Jumper(selectors.SelectSelector):
    """Where an event loop would wait for sockets, it says how long it would have waited."""

    def __init__(self, waited: Callable[[float | None], None]) -> None:
        super().__init__()
        self._waited = waited

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > 0:
            self._waited(timeout)
        return []


class VirtualClock:
    """The Clock port on a virtual loop, and the means by which a test moves time."""

    def now(self) -> float:
        return EPOCH + self.monotonic()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def settle(self) -> None:
        """Lets everything happen that happens at this instant; time stands still."""
        await _loop().settle()

    async def advance(self, seconds: float) -> None:
        """Lets time pass, with all that happens in it."""
        await asyncio.sleep(seconds)
        await self.settle()

    async def until(self, condition: Callable[[], object], *, within: float = 3600.0) -> None:
        """Lets time pass until the condition holds. AssertionError where it does not hold within so many seconds."""
        end = self.monotonic() + within
        await self.settle()
        while not condition():
            assert self.monotonic() < end, f"this did not come true within {within:g} virtual seconds"
            await _loop().step()
            await self.settle()

    async def until_quiet(
        self, version: Callable[[], object], *, quiet: float = 120.0, within: float = 86400.0
    ) -> None:
        """Lets time pass until `version` (of the API server's objects, say) has stayed the same for `quiet` seconds."""
        end = self.monotonic() + within
        await self.settle()
        seen, now = None, version()
        while seen != now:
            assert self.monotonic() < end, f"there was no quiet within {within:g} virtual seconds"
            await self.advance(quiet)
            seen, now = now, version()


def _loop() -> VirtualLoop:
    return cast(VirtualLoop, asyncio.get_running_loop())


class SeededRandom:
    """The Random port: the same numbers for the same seed."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def uuid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end on a virtual loop of its own; tasks that are left over are cancelled."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def on_virtual_time(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Makes a test of a coroutine function. Async fixtures do not reach it: they would live on another loop."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return run_virtually(test(*args, **kwargs))

    return run
