"""A run is what its seed says, no more and no less; and what is violated ends it."""

from __future__ import annotations

import pytest

from cloudherd.clouds.protocol import LaunchRequest
from tests.faults.cases import CASES
from tests.faults.mix import mix
from tests.faults.run import Case, run
from tests.faults.world import World

MIX = Case(0, "mix", mix)


def test_one_seed_replays_exactly() -> None:
    first, second = run(MIX, 7), run(MIX, 7)
    assert first.story == second.story
    assert (first.digest, first.steps, first.faults) == (second.digest, second.steps, second.faults)


def test_other_seeds_tell_other_stories() -> None:
    assert run(MIX, 7).digest != run(MIX, 8).digest


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_few_seeds_of_every_case_violate_nothing(case: Case) -> None:
    outcomes = [run(case, seed) for seed in range(2000, 2004)]
    assert {one.seed: one.violations for one in outcomes if one.violations} == {}
    assert sum(one.faults.total() for one in outcomes) > 0


async def _a_vm_from_nowhere(world: World) -> None:
    tags = {"cloudherd-id": "none", "cloudherd-name": "batch-worker-0", "cloudherd-namespace": "physics"}
    world.home.launch(LaunchRequest("token", "batch-worker-0", "sim.small", "sim-debian-12", tags))
    await world.clock.sleep(60)
    world.story.tell("the script went on")


def test_a_violation_ends_the_run_and_is_told() -> None:
    outcome = run(Case(0, "nowhere", _a_vm_from_nowhere), 1)
    assert outcome.violations
    assert "of which there never was an Instance" in outcome.violations[0]
    assert any(line.endswith(f"VIOLATION: {outcome.violations[0]}") for line in outcome.story)
    assert not any("the script went on" in line for line in outcome.story)
