"""Two operators with a Lease: one works, and when it is killed the other goes on. No VM is made twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devenv.stage import Stage
from tests.e2e.world import World, world_on

TWO = {"operator": "all_in_one", "standby": "all_in_one"}


@pytest.fixture
def world(stage: Stage) -> Iterator[World]:
    stage.run_operators(TWO, lease="true")
    with world_on(stage) as world:
        world.prepare()
        yield world
    stage.stop_operators()


def test_whichever_of_two_is_killed_the_other_carries_on(world: World) -> None:
    world.apply(world.cluster(workers=2))
    world.wait_ready(master=1, worker=2)
    world.stage.kill("operator")
    world.apply(world.cluster(workers=3))
    world.wait_ready(master=1, worker=3)
    world.stage.start_operator("operator", lease="true")
    world.stage.kill("standby")
    world.delete("instance", "batch-worker-0")
    world.apply(world.cluster(workers=2))
    world.wait_ready(master=1, worker=2)
    assert len(world.ever()) <= 5  # a master, three workers, and at most one in the place of the deleted one
    assert world.most() <= 4
    lease = world.kubectl("get", "lease", "cloudherd-operator", "-n", "cloudherd-system", "-o", "name").stdout
    assert "cloudherd-operator" in lease
