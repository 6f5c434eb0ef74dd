"""One run of one case with one seed, from nothing to its outcome."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.fakes.clock import Stuck, VirtualLoop
from tests.faults.world import Complaints, World

MOST_TURNS = 20_000


@dataclass(frozen=True, slots=True)
class Case:
    """`number` is the incident's in the list of incidents, 0 for the free mix."""

    number: int
    name: str
    script: Callable[[World], Awaitable[None]]


@dataclass(slots=True)
class Outcome:
    case: str
    seed: int
    steps: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    digest: str = ""
    virtual_seconds: float = 0.0


class Loop(VirtualLoop):
    """Notices a loop that turns and turns while time stands still."""

    _turns, _at = 0, 0.0

    def _run_once(self) -> None:
        self._turns, self._at = (self._turns + 1, self._at) if self.time() == self._at else (0, self.time())
        if self._turns > MOST_TURNS:
            raise Stuck(f"time stands still at {self._at:.3f} s: a loop turns without end")
        super()._run_once()  # type: ignore[misc]


def run(case: Case, seed: int) -> Outcome:
    outcome = Outcome(case.name, seed)
    try:
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(_run(case, outcome))
    except Stuck as error:
        outcome.violations.append(str(error))
    return outcome


async def _run(case: Case, outcome: Outcome) -> None:
    world = World(f"{case.name} {outcome.seed}")
    outcome.faults, outcome.violations, outcome.story = world.dice.counts, world.violations, world.story.lines
    handler = Complaints(world.violated)
    logger = logging.getLogger()
    logger.addHandler(handler)
    try:
        world.script = asyncio.ensure_future(_script(case, world))
        await asyncio.gather(world.script, return_exceptions=True)
    finally:
        logger.removeHandler(handler)
        await world.end()
    outcome.steps, outcome.digest = world.invariants.steps, world.story.digest
    outcome.virtual_seconds = world.clock.monotonic()


async def _script(case: Case, world: World) -> None:
    try:
        await case.script(world)
    except (AssertionError, Stuck) as error:
        world.violated(str(error))
    except asyncio.CancelledError:
        if not world.violations:
            raise
    except Exception as error:
        world.violations.append(f"the harness failed: {error!r}")
        logging.getLogger(__name__).debug("", exc_info=True)
