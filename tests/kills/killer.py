"""Kills operators with SIGKILL at moments that chance chooses, and stops the control plane meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random

from devenv.failure import Failure
from devenv.stage import Stage
from tests.faults.story import Story
from tests.kills.watch import Watch

CLOCK = 0.4
"""The share of operators that die by the clock."""
LIFE = 1.2
"""Seconds: how long beyond its start such an one may live."""
MOST_DEEDS = 8
HEARD = 0.3
"""Seconds: what an operator may still hear and write after the deed that is its last."""
IDLE = 4.0
"""Seconds without the deed that was waited for."""
LONGEST_OUTAGE = 5.0
SOON = 0.01
PATIENCE = 60.0


class Killer:
    def __init__(self, stage: Stage, watch: Watch, chance: Random, story: Story) -> None:
        self._stage, self._watch, self._chance, self._story = stage, watch, chance, story
        self._start_takes = LIFE

    def strike(self, programs: Mapping[str, str], to_come: Callable[[], int]) -> bool:
        """Has these run, and kills one of them: some time after the start, which may be before it is ready, or when EC2
        has made or ended so many more VMs, before that is heard or shortly after. Whether any were `to_come` then.
        """
        chance, found = self._chance, list[bool]()
        victim = chance.choice([*programs])

        def kill() -> None:
            found.append(to_come() > 0)
            self._stage.kill(victim)
            self._story.tell(f"SIGKILL to {victim}")

        blow = _Blow(kill, lambda: self._stage.supervisor.pid(victim) is not None)
        running = self._run(victim)
        by_clock, after = chance.random() < CLOCK, chance.uniform(0, LIFE + (0 if running else self._start_takes))
        deeds = chance.randint(1, max(1, min(MOST_DEEDS, to_come())))
        pause = chance.choice([0.0, chance.uniform(0, HEARD)])
        if by_clock:
            blow.later(after)
        else:
            self._watch.on_deed = _countdown(deeds, lambda: blow.later(pause))
        try:
            self._start(programs, blow)
            blow.struck.wait(after if by_clock else IDLE)
            blow()
        finally:
            self._watch.on_deed = lambda: None
        return found[0]

    @contextmanager
    def outage(self, programs: Mapping[str, str]) -> Iterator[None]:
        """Stops the control plane while these run, and starts it again while the block goes on, or after it."""
        self._stage.run_operators(programs)
        time.sleep(self._chance.uniform(0, HEARD))
        self._stage.plane.stop()
        self._story.tell("the control plane is stopped")
        with ThreadPoolExecutor(1) as beside:
            back = beside.submit(self._start_plane, self._chance.uniform(0, LONGEST_OUTAGE))
            yield
            back.result()

    def _start_plane(self, pause: float) -> None:
        time.sleep(pause)
        self._stage.plane.start()
        self._story.tell("the control plane is back")

    def _start(self, programs: Mapping[str, str], blow: _Blow) -> None:
        begun = time.monotonic()
        fresh = not self._run(*programs)
        try:
            self._stage.run_operators(programs)
        except Failure:
            if not blow.struck.wait(LIFE):
                raise  # else it was killed before it was ready
        else:
            self._start_takes = time.monotonic() - begun if fresh else self._start_takes

    def _run(self, *names: str) -> bool:
        return all(self._stage.supervisor.pid(name) for name in names)


class _Blow:
    """Kills once, however often and from whichever thread it is asked for, and not before the victim is alive."""

    def __init__(self, kill: Callable[[], None], alive: Callable[[], bool]) -> None:
        self._kill, self._alive = kill, alive
        self._lock = threading.Lock()
        self.struck = threading.Event()

    def later(self, seconds: float) -> None:
        if seconds:
            timer = threading.Timer(seconds, self)
            timer.daemon = True
            timer.start()
        else:
            self()

    def __call__(self) -> None:
        with self._lock:
            if self.struck.is_set():
                return
            deadline = time.monotonic() + PATIENCE
            while not self._alive():
                if time.monotonic() > deadline:
                    raise Failure("an operator was to be killed that does not run")
                time.sleep(SOON)
            self._kill()
            self.struck.set()


def _countdown(times: int, then: Callable[[], None]) -> Callable[[], None]:
    left = iter(range(times - 1, -1, -1))

    def one() -> None:
        if next(left, -1) == 0:
            then()

    return one
