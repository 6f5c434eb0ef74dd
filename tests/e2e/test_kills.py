"""The operator dies with SIGKILL, again and again, while a cluster comes up and while it goes: no VM too many, ever."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import pytest

from devenv.stage import ONE_PROCESS, TWO_PROCESSES, Stage
from tests.e2e.world import PATIENCE, World, world_on

TWELVE = {"home master": 1, "home worker": 3, "aws master": 1, "aws worker": 7}
SOON = 0.002


@pytest.fixture(params=[ONE_PROCESS, TWO_PROCESSES], ids=["one process", "two processes"])
def programs(request: pytest.FixtureRequest) -> Mapping[str, str]:
    found: Mapping[str, str] = request.param
    return found


@pytest.fixture
def world(stage: Stage, programs: Mapping[str, str]) -> Iterator[World]:
    stage.run_operators(programs)
    with world_on(stage) as world:
        world.prepare()
        yield world


class Killer:
    """Kills every process of the operator at a point, and starts them again."""

    def __init__(self, world: World, programs: Mapping[str, str]) -> None:
        self.world, self.programs = world, programs
        self.kills = 0

    def kill(self) -> None:
        for name in self.programs:
            self.world.stage.kill(name)
        self.kills += 1

    def at_ec2(self, action: str, number: int) -> None:
        """EC2 has done its n-th call of an action; nobody hears the answer."""
        struck = self.world.front.strike(action, number, self.kill)
        assert struck.wait(PATIENCE), f"{action} number {number} did not come"
        self.again()

    def at_home(self, operation: str, number: int) -> None:
        """Right after the n-th call of an operation at home."""
        self._as_soon_as(f"{operation} number {number}", lambda: len(self.world.home.calls(operation)) >= number)

    def after(self, seconds: float) -> None:
        """So many seconds after the processes were ready: a point that nobody chose."""
        begun = time.monotonic()
        self._as_soon_as(f"{seconds} s", lambda: time.monotonic() - begun >= seconds)

    def _as_soon_as(self, what: str, look: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not look():
            assert time.monotonic() < deadline, f"{what} did not come"
            time.sleep(SOON)
        self.kill()
        self.again()

    def again(self) -> None:
        self.world.stage.run_operators(self.programs)


@pytest.fixture
def killer(world: World, programs: Mapping[str, str]) -> Killer:
    return Killer(world, programs)


def assert_never_too_many(world: World) -> None:
    assert world.most() <= 12
    made = world.ever()
    assert [name for name, count in Counter(vm.instance for vm in made).items() if count > 1] == []
    assert len({vm.token for vm in made}) == len(made) == 12


def test_killed_right_after_launches_it_ends_with_the_same_twelve(world: World, killer: Killer) -> None:
    world.apply(world.cluster())
    killer.at_home("create_vm", 1)
    killer.at_ec2("RunInstances", 1)
    killer.at_home("create_vm", 3)
    for number in (2, 4, 8):
        killer.at_ec2("RunInstances", number)
    world.wait_ready(master=2, worker=10)
    assert killer.kills == 6
    assert world.counts() == TWELVE
    assert_never_too_many(world)


def test_killed_at_moments_nobody_chose_it_ends_with_the_same_twelve(world: World, killer: Killer) -> None:
    chance = random.Random(4)
    world.apply(world.cluster())
    for _ in range(5):
        killer.after(chance.uniform(0, 2.5))
    world.wait_ready(master=2, worker=10)
    assert world.counts() == TWELVE
    assert_never_too_many(world)


def test_killed_while_a_cluster_goes_it_leaves_nothing(world: World, killer: Killer) -> None:
    world.apply(world.cluster())
    world.wait_ready(master=2, worker=10)
    service = {vm.id: vm.service for vm in world.vms()}
    world.delete("virtualcluster", "batch")
    killer.at_home("destroy_vm", 2)
    killer.at_ec2("TerminateInstances", 8)
    world.wait_gone("virtualcluster", "batch")
    assert world.vms() == []
    order = [service[deed.id] for deed in world.deeds() if not deed.made]
    assert order == ["worker"] * 10 + ["master"] * 2
    assert_never_too_many(world)
