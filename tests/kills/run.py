"""One run: as many kills as were asked for, dealt to the phases of clusters that follow one another."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from random import Random

from devenv.failure import Failure
from devenv.stage import ONE_PROCESS, TWO_PROCESSES, Stage
from tests.e2e.world import World, world_on
from tests.faults.story import Story
from tests.integration.ec2_truth import Truth
from tests.kills.killer import Killer
from tests.kills.phases import PHASES, REGIONS, Course, Phase, prepare
from tests.kills.watch import Watch

SETUPS: Mapping[str, Mapping[str, str]] = {
    "two operators by mistake": {"operator": "all_in_one", "mistaken": "all_in_one"},  # no Lease
    "one operator": ONE_PROCESS,
    "gateway and agent": TWO_PROCESSES,
}
PER_ROUND = 12
SLOWEST = 0.8
"""Seconds that EC2 takes at most until it does what it is asked, and again until its answer arrives."""


@dataclass
class Row:
    """A phase under a setup, over all rounds."""

    phase: Phase
    kills: int = 0
    under_way: int = 0
    outages: int = 0
    ceiling: int = 0
    highest: int = 0
    end: int = 0


@dataclass
class Outcome:
    seed: int
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    looks: int = 0

    @property
    def kills(self) -> int:
        return sum(row.kills for row in self.rows.values())


def run(stage: Stage, kills: int, seed: int, say: Callable[[str], None] = lambda _: None) -> Outcome:
    """Ends early with the first violation. Leaves nothing on the stage but operators that run."""
    begun = time.monotonic()
    outcome, story = Outcome(seed), Story(lambda: time.monotonic() - begun)
    stage.run_operators(SETUPS["two operators by mistake"])
    try:
        with world_on(stage) as world:
            _play(world, kills, outcome, story, say)
    except AssertionError as error:  # of its end: something is left
        outcome.violations.append(str(error))
    return outcome


def _play(world: World, kills: int, outcome: Outcome, story: Story, say: Callable[[str], None]) -> None:
    chance, pace = Random(f"kills {outcome.seed}"), Random(f"pace {outcome.seed}")
    watch = Watch(world.front, [Truth(world.moto, region) for region in REGIONS.values()], story)
    outcome.violations, outcome.story = watch.violations, story.lines
    killer = Killer(world.stage, watch, chance, story)
    prepare(world)
    world.front.slowness = lambda: pace.uniform(0, SLOWEST)
    with watch.watching():
        try:
            for number, deal in enumerate(dealt(kills, chance), start=1):
                _round(number, deal, killer, world, watch, outcome, say)
        except (AssertionError, Failure) as error:
            watch.violated(str(error))
    outcome.looks, world.front.slowness = watch.looks, None


@dataclass(frozen=True)
class Deal:
    """What one round is disturbed by: kills by phase, and the phase in which the control plane is stopped."""

    setup: str
    kills: tuple[int, ...]
    outage: int


def dealt(kills: int, chance: Random) -> list[Deal]:
    """All kills, evenly by chance; two rounds at least, for two operators by mistake and for one."""
    rounds = max(2, kills // PER_ROUND)
    shares = [0] * (rounds * len(PHASES))
    while sum(shares) < kills:
        at = chance.sample(range(len(shares)), min(len(shares), kills - sum(shares)))
        for one in at:
            shares[one] += 1
    setups, size = [*SETUPS], len(PHASES)
    found = []
    for number in range(rounds):
        share = tuple(shares[number * size : (number + 1) * size])
        killed = [phase for phase, many in enumerate(share) if many] or [0]
        found.append(Deal(setups[number % len(setups)], share, chance.choice(killed)))
    return found


def _round(
    number: int, deal: Deal, killer: Killer, world: World, watch: Watch, outcome: Outcome, say: Callable[[str], None]
) -> None:
    programs = SETUPS[deal.setup]
    world.stage.run_operators(programs)
    for at, phase in enumerate(PHASES):
        if watch.violations:
            return
        row = outcome.rows.setdefault((deal.setup, phase.name), Row(phase))
        watch.story.tell(f"round {number}, {deal.setup}: {phase.name}")
        course, begun = Course(phase, world, watch), time.monotonic()
        phase.act(world, number)
        for strike in range(deal.kills[at]):
            outage = at == deal.outage and strike == 0
            with killer.outage(programs) if outage else nullcontext():
                row.under_way += killer.strike(programs, course.to_come)
            row.kills, row.outages = row.kills + 1, row.outages + outage
        world.stage.run_operators(programs)
        row.end = course.finish()
        row.highest, row.ceiling = max(row.highest, watch.highest), course.ceiling
        say(
            f"round {number}, {deal.setup}, {phase.name}: {deal.kills[at]} kills, highest {watch.highest} of "
            f"{course.ceiling}, ends with {row.end} of {phase.total}, {time.monotonic() - begun:.0f} s"
        )
    if not watch.living:
        world.moto.reset()  # it keeps what has ended, and lists it slower and slower
