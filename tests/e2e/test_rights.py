"""The operator's rights are the chart's, and they suffice: a cluster's whole life, and nothing was forbidden.

All end-to-end tests run under these rights; this one looks for what an operator swallows, as it does with Events.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devenv.stage import TWO_PROCESSES, Stage
from tests.e2e.world import World, until, world_on


@pytest.fixture
def world(stage: Stage) -> Iterator[World]:
    """Gateway and agent apart, each with rights of its own."""
    stage.run_operators(TWO_PROCESSES)
    with world_on(stage) as world:
        world.prepare()
        yield world


def test_gateway_and_agent_apart_are_never_forbidden_anything(world: World) -> None:
    begun, said = world.moment(), len(world.stage.said())
    world.apply(world.cluster(workers=4))
    world.wait_ready(master=2, worker=4)
    world.delete("instance", "batch-worker-0")
    until("a replacement", lambda: len(world.ever()) == 7)
    world.wait_ready(master=2, worker=4)
    world.delete("virtualcluster", "batch")
    world.wait_gone("virtualcluster", "batch")
    forbidden = [str(one) for one in world.writes(begun) if one.status == 403]
    assert forbidden == []
    assert "forbidden" not in world.stage.said()[said:].lower()
    managers = {one.manager for one in world.writes(begun) if one.resource == "instances"}
    assert {"cloudherd-gateway", "cloudherd-agent"} <= managers
