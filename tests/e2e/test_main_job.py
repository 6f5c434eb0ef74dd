"""The main job: the example's three files give twelve VMs at two clouds, in one process and in two."""

from __future__ import annotations

from tests.e2e.world import World


def test_try(world: World) -> None:
    world.apply(world.cluster())
    world.wait_ready(master=2, worker=10)
    assert world.counts() == {"aws master": 1, "aws worker": 7, "home master": 1, "home worker": 3}
