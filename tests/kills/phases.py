"""A cluster's life in phases, each of which is disturbed: made, scaled up, burst to a second region, rolled, deleted.

A phase says what users do and what EC2 must come to; it is judged by EC2 and by the API server's objects alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.e2e import bad_days
from tests.e2e.world import Manifest, World, until
from tests.kills.watch import FIXED, Vm, Watch, count

REGIONS = {"east": "us-east-1", "west": "eu-west-1"}
ROOM = {"east": 10, "west": 14}
MADE, SCALED, BURST, SURGE = 3, 9, 18, 2
PATIENCE = 240.0
ACCOUNT = {
    "provider": "ec2",
    "credentialsRef": {"name": "aws-keys"},
    "pollInterval": "5s",
    "changingPollInterval": "1s",
    **bad_days.AT_EC2,
}
MASTER = "#cloud-config\n"
WORKER = "#cloud-config\n# edition {{ parameters.edition }}, master {{ services.master.address }}\n"


@dataclass(frozen=True)
class Phase:
    """`expected` is by unit. `made` is how many VMs may be made in it; `rolls`: every worker is replaced."""

    name: str
    act: Callable[[World, int], None]  # the round's number is the rollout's edition
    expected: Mapping[str, int]
    made: int = 0
    surge: int = 0
    rolls: bool = False

    @property
    def total(self) -> int:
        return sum(self.expected.values())

    def ceilings(self, before: Mapping[str, int]) -> dict[str, int]:
        """By unit, the accounts' quotas included; `before` is what lives at the phase's begin."""
        units = {*before, *self.expected}
        most = {unit: max(self.expected.get(unit, 0), before.get(unit, 0)) for unit in units}
        return {**most, **ROOM, "worker": most.get("worker", 0) + self.surge}


@dataclass
class Course:
    """A phase that has begun."""

    phase: Phase
    world: World
    watch: Watch
    before: list[Vm] = field(init=False)
    made: int = field(init=False)
    ceiling: int = field(init=False)
    """Of all VMs together."""

    def __post_init__(self) -> None:
        self.before, self.made = self.watch.living, len(self.watch.made)
        self.ceiling = max(len(self.before), self.phase.total) + self.phase.surge
        self.watch.highest = len(self.before)
        self.watch.ceilings = self.phase.ceilings(count(self.before))

    @property
    def leaving(self) -> set[str]:
        """The VMs that are to end in it."""
        if not self.phase.expected:
            return {vm.id for vm in self.before}
        return {vm.id for vm in self.before if self.phase.rolls and vm.service != FIXED}

    def to_come(self) -> int:
        """How many VMs are still to be made or to end."""
        still = {vm.id for vm in self.watch.living} & self.leaving
        return self.phase.made - (len(self.watch.made) - self.made) + len(still)

    def finish(self) -> int:
        """Waits until all is as it should be, and judges; how many VMs boto3 lists then."""
        self._wait_for_ec2()
        if self.watch.violations:
            return len(self.watch.living)
        if self.phase.expected:
            masters = sum(number for unit, number in self.phase.expected.items() if unit.startswith(FIXED))
            self.world.wait_ready(within=PATIENCE, master=masters, worker=self.phase.expected["worker"])
        else:
            self.world.wait_gone("virtualcluster", "batch", within=PATIENCE)
        return self._judged()

    def _wait_for_ec2(self) -> None:
        try:
            until(f"{self.phase.name} at EC2", lambda: self.to_come() <= 0 or self.watch.violations, within=PATIENCE)
        except AssertionError as error:
            holds = self._counts(self.watch.living)
            raise AssertionError(f"{error}, it holds {holds}\n{self.world.picture()}") from None

    def _judged(self) -> int:
        watch, found = self.watch, self.watch.look() & self.watch.made.keys()
        counts = self._counts([watch.made[vm_id] for vm_id in found])
        if counts != self.phase.expected:
            watch.violated(f"{self.phase.name} ends with {counts}, and should with {dict(self.phase.expected)}")
        if (made := len(watch.made) - self.made) != self.phase.made:
            watch.violated(f"{self.phase.name} made {made} VMs, and should have made {self.phase.made}")
        if wrong := (set(watch.made) - found - self.leaving) & {vm.id for vm in self.before}:
            watch.violated(f"{self.phase.name} ended {sorted(wrong)}, which were to stay")
        self._judge_records(found)
        return len(found)

    def _judge_records(self, living: set[str]) -> None:
        """Every VM has its record, every record its VM."""
        records = {one["spec"]["id"]: one["status"].get("providerID", "") for one in self.world.get("instances")}
        vms = {self.watch.made[vm_id].identity: vm_id for vm_id in living}
        recorded = {identity: provider_id.rpartition("/")[2] for identity, provider_id in records.items()}
        if vms != recorded:
            self.watch.violated(f"EC2 holds {vms} after {self.phase.name}, the Instances are {recorded}")
        left = [] if self.phase.expected else [*self.world.get("clusterservices"), *_user_data(self.world)]
        if left:
            self.watch.violated(f"left after {self.phase.name}: {[one['metadata']['name'] for one in left]}")

    def _counts(self, vms: list[Vm]) -> dict[str, int]:
        return {unit: number for unit, number in count(vms).items() if unit not in REGIONS}


def prepare(world: World) -> None:
    """Accounts, ready for use, their keys, and contexts: all but the cluster."""
    world.apply(world.example("Secret", "aws-keys"))
    for name, region in REGIONS.items():
        where = {"region": region, "endpoint": world.front.url, "quota": {"instances": ROOM[name]}}
        world.apply(bad_days.ours("CloudAccount", name, {**ACCOUNT, **where}))
    edition = [{"name": "edition", "required": True}]
    world.apply(bad_days.context("plain", MASTER), bad_days.context("worker", WORKER, parameters=edition))
    for name in REGIONS:
        bad_days.account_ready(world, name)


def cluster(workers: int, edition: int) -> Manifest:
    master = bad_days.service("master", type_="Fixed")
    worker = bad_days.service("worker", workers, contextRef={"name": "worker"}, dependsOn=["master"])
    worker["parameters"] = {"edition": str(edition)}
    strategy = {"type": "RollingUpdate", "maxUnavailable": 2, "maxSurge": SURGE}
    return bad_days.cluster(master, worker, at=(*REGIONS,), updateStrategy=strategy)


def _of(workers: int, edition: int = 0) -> Callable[[World, int], None]:
    return lambda world, number: world.apply(cluster(workers, edition * number))


def _user_data(world: World) -> list[Manifest]:
    return [one for one in world.get("secrets") if one["type"] == "cloudherd.dev/user-data"]


AT_ONE, AT_BOTH = {f"{FIXED} east": 1}, {f"{FIXED} east": 1, f"{FIXED} west": 1}
PHASES = (
    Phase("creation", _of(MADE), {"worker": MADE, **AT_ONE}, made=MADE + 1),
    Phase("scale-up", _of(SCALED), {"worker": SCALED, **AT_ONE}, made=SCALED - MADE),
    Phase("burst", _of(BURST), {"worker": BURST, **AT_BOTH}, made=BURST - SCALED + 1),
    Phase("rollout", _of(BURST, 1), {"worker": BURST, **AT_BOTH}, made=BURST, surge=SURGE, rolls=True),
    Phase("deletion", lambda world, _: world.delete("virtualcluster", "batch"), {}),
)
