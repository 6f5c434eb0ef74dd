"""The operator dies with SIGKILL, again and again: at chosen points, and at moments that nobody chose.

`make kills` does the latter a hundred times.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import cycle

import pytest

from devenv.failure import Failure
from devenv.stage import ONE_PROCESS, TWO_PROCESSES, Stage
from tests.e2e.front import Ec2Call
from tests.e2e.world import PATIENCE, World
from tests.kills.run import run

TWELVE = {"home master": 1, "home worker": 3, "aws master": 1, "aws worker": 7}
SOON = 0.002


class Killer:
    """Starts what does not run of the operator, and kills a process of it at a point."""

    def __init__(self, world: World, programs: Mapping[str, str] = ONE_PROCESS) -> None:
        self.world, self.programs = world, programs
        self._victims = cycle(programs)
        self.kills = 0

    def again(self) -> None:
        self.world.stage.run_operators(self.programs)

    def once(self, look: Callable[[], bool]) -> None:
        """As soon as it is so; where that is for EC2 to say, before the operator hears of it."""
        struck, lock = threading.Event(), threading.Lock()

        def blow(_: Ec2Call | None = None) -> None:
            with lock:
                if not struck.is_set() and look():
                    self.world.stage.kill(next(self._victims))
                    self.kills += 1
                    struck.set()

        with self.world.front.striking(blow):
            try:
                self.again()
            except Failure:
                assert struck.wait(PATIENCE)  # it was killed before it was ready
            deadline = time.monotonic() + PATIENCE
            while not struck.wait(SOON):
                assert time.monotonic() < deadline, f"the point did not come\n{self.world.picture()}"
                blow()

    def at(self, *, made: int = 0, ended: int = 0) -> None:
        """As soon as so many VMs in all were made, and told to end."""
        self.once(lambda: self._deeds(made=True) >= made and self._deeds(made=False) >= ended)

    def _deeds(self, *, made: bool) -> int:
        return sum(deed.made is made for deed in self.world.deeds())


def assert_never_too_many(world: World) -> None:
    made = world.ever()
    told = [f"{vm.cloud} {vm.id} {vm.name} {'lives' if vm.live else 'ended'}" for vm in made]
    assert world.most() <= 12, told
    assert [name for name, count in Counter(vm.instance for vm in made).items() if count > 1] == [], told
    assert len({vm.token for vm in made}) == len(made) == 12, told


@pytest.mark.parametrize("programs", [ONE_PROCESS, TWO_PROCESSES], ids=["one process", "agent and gateway in turn"])
def test_killed_right_after_launches_it_ends_with_the_same_twelve(world: World, programs: Mapping[str, str]) -> None:
    killer = Killer(world, programs)
    killer.again()
    world.apply(world.cluster())
    for number in (1, 2, 4, 5, 6, 9):
        killer.at(made=number)
    killer.again()
    world.wait_ready(master=2, worker=10)
    assert killer.kills == 6
    assert world.counts() == TWELVE
    assert_never_too_many(world)


def test_killed_while_a_cluster_goes_it_leaves_nothing(world: World) -> None:
    killer = Killer(world)
    world.apply(world.cluster())
    world.wait_ready(master=2, worker=10)
    service = {vm.id: vm.service for vm in world.vms()}
    world.delete("virtualcluster", "batch")
    for number in (2, 8, 11):
        killer.at(ended=number)
    killer.again()
    world.wait_gone("virtualcluster", "batch")
    assert world.vms() == []
    order = [service[deed.id] for deed in world.deeds() if not deed.made]
    assert order == ["worker"] * 10 + ["master"] * 2
    assert_never_too_many(world)


@pytest.mark.slow
def test_killed_ten_times_at_moments_nobody_chose_it_never_makes_too_many(stage: Stage) -> None:
    outcome = run(stage, kills=10, seed=0)
    assert not outcome.violations, "\n".join([*outcome.violations, *outcome.story])
    assert outcome.kills == 10
