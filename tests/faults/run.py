"""One run of one case with one seed, from nothing to its outcome."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.fakes.clock import Stuck, run_virtually
from tests.faults.world import Complaints, World


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
    steps: int
    faults: Counter[str]
    violations: list[str]
    story: list[str] = field(default_factory=list)
    digest: str = ""
    virtual_seconds: float = 0.0


def run(case: Case, seed: int) -> Outcome:
    return run_virtually(_run(case, seed))


async def _run(case: Case, seed: int) -> Outcome:
    world = World(f"{case.name} {seed}")
    handler = Complaints(world.violated)
    logger = logging.getLogger()
    logger.addHandler(handler)
    try:
        world.script = asyncio.ensure_future(_script(case, world))
        await asyncio.gather(world.script, return_exceptions=True)
    finally:
        logger.removeHandler(handler)
        await world.end()
    steps = world.invariants.steps
    return Outcome(
        case.name,
        seed,
        steps,
        world.dice.counts,
        world.violations,
        world.story.lines,
        world.story.digest,
        world.clock.monotonic(),
    )


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
