"""The main job: the example's three files, applied as they stand, give twelve VMs at two clouds.

In one process and in two, with the same outcome. The tests of this module look at one cluster's life, in their order.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from devenv.stage import EXAMPLE_ENDPOINT, EXAMPLES, ONE_PROCESS, TWO_PROCESSES, Stage
from tests.e2e.world import World, until, world_on

TWELVE = {"home master": 1, "home worker": 3, "aws master": 1, "aws worker": 7}
QUIET, STEADY = 5.0, 60.0


@dataclass
class Physics:
    """The example's world, and the moment before it was applied."""

    world: World
    begun: int


@pytest.fixture(scope="module", params=[ONE_PROCESS, TWO_PROCESSES], ids=["one process", "two processes"])
def physics(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Physics]:
    """The three files as they stand, but for EC2's endpoint; everything is ready."""
    stage.run_operators(request.param)
    with world_on(stage, "physics") as world:
        found = Physics(world, world.moment())
        for path in sorted(EXAMPLES.glob("*.yaml")):
            stage.plane.kubectl(
                "apply", "-f", "-", input=path.read_text().replace(EXAMPLE_ENDPOINT, world.front.url), check=True
            )
        world.wait_ready(master=2, worker=10)
        yield found


@pytest.fixture
def world(physics: Physics) -> World:
    return physics.world


def test_twelve_vms_four_at_home_and_eight_at_ec2(world: World) -> None:
    assert world.counts() == TWELVE
    assert len(world.ever()) == 12, "none was made in vain"


def test_every_worker_is_told_of_the_master_beside_it(world: World) -> None:
    for cloud in ("home", "aws"):
        (master,) = world.vms(cloud, "master")
        assert "COLLECTOR_NAME = physics" in world.user_data(master)
        for worker in world.vms(cloud, "worker"):
            assert f"CONDOR_HOST = {master.addresses[0]}\n" in world.user_data(worker)


def test_names_tags_and_tokens_say_whose_a_vm_is(world: World) -> None:
    instances = {one["metadata"]["name"]: one for one in world.get("instances")}
    installation = world.stage.plane.kubectl(
        "get", "configmap", "cloudherd-installation", "-n", "cloudherd-system", "-o", "jsonpath={.data.id}"
    ).stdout
    assert {vm.instance for vm in world.vms()} == set(instances)
    assert set(instances) == {"batch-master-0", "batch-master-1", *(f"batch-worker-{slot}" for slot in range(10))}
    for vm in world.vms():
        identity = instances[vm.instance]["spec"]["id"]
        assert vm.name == f"{vm.instance}-{identity[:8]}"
        assert vm.tags == {
            "cloudherd-installation": installation,
            "cloudherd-account": f"physics.{vm.cloud}",
            "cloudherd-namespace": "physics",
            "cloudherd-name": vm.instance,
            "cloudherd-id": identity,
        }
    assert all(len(vm.token) > 32 for vm in world.vms())
    assert len({vm.token for vm in world.vms()}) == 12


def test_instances_know_their_vms(world: World) -> None:
    at_clouds = {vm.instance: vm for vm in world.vms()}
    for one in world.get("instances"):
        vm, status = at_clouds[one["metadata"]["name"]], one["status"]
        assert status["phase"] == "Ready"
        assert status["providerID"].endswith(f"/{vm.id}")
        assert tuple(status["addresses"]["private"]) == vm.addresses
        assert one["metadata"]["labels"] == {
            "cloudherd.dev/cluster": "batch",
            "cloudherd.dev/service": vm.service,
            "cloudherd.dev/account": f"physics.{vm.cloud}",
        }


def test_masters_were_made_before_workers_at_each_site(world: World) -> None:
    service = {vm.id: vm.service for vm in world.vms()}
    for cloud in ("home", "aws"):
        order = [service[deed.id] for deed in world.deeds() if deed.cloud == cloud]
        assert order == ["master", *["worker"] * (TWELVE[f"{cloud} worker"])]
        assert [vm.service for vm in world.vms(cloud)] == order, "the cloud's listing says the same"


def test_tables_answer_what_runs_where_and_whether_it_is_ready(world: World) -> None:
    table = Table(world.kubectl("get", "vc").stdout)
    assert table.row("batch")["MESSAGE"] == "all 12 VMs are ready"
    services = Table(world.kubectl("get", "csvc").stdout)
    assert services.row("batch-worker") | {"DESIRED": "10", "CURRENT": "10", "READY": "10"} == services.row(
        "batch-worker"
    )
    instances = Table(world.kubectl("get", "inst").stdout)
    for vm in world.vms():
        shown = instances.row(vm.instance)
        assert (shown["SERVICE"], shown["ACCOUNT"], shown["PHASE"]) == (vm.service, vm.cloud, "Ready")
        assert shown["ADDRESS"] == vm.addresses[0]
    accounts = Table(world.kubectl("get", "acct").stdout)
    assert (accounts.row("home")["READY"], accounts.row("home")["USED"], accounts.row("home")["LIMIT"]) == (
        "True",
        "4",
        "4",
    )
    assert (accounts.row("aws")["READY"], accounts.row("aws")["USED"], accounts.row("aws")["QUOTA"]) == (
        "True",
        "8",
        "20",
    )
    assert {row["READY"] for row in Table(world.kubectl("get", "contexts").stdout).rows} == {"True"}


def test_a_vm_costs_three_writes_until_it_is_ready(physics: Physics) -> None:
    writes = physics.world.writes_per_instance(physics.begun)
    assert len(writes) == 12
    assert max(map(len, writes.values())) <= 3, writes


@pytest.mark.slow
@pytest.mark.parametrize("physics", [ONE_PROCESS], ids=["one process"], indirect=True)
def test_a_steady_minute_costs_no_write_and_one_listing_per_poll(physics: Physics) -> None:
    world = physics.world
    start = until("a quiet start", lambda: _quiet_since(world))
    calls_at_home, calls_at_aws, begun = len(world.home.calls()), len(world.front.calls()), time.monotonic()
    until("a minute's end", lambda: time.monotonic() - begun >= STEADY)
    assert [str(one) for one in world.writes(start)] == []
    at_home = Counter(call.operation for call in world.home.calls()[calls_at_home:])
    at_aws = Counter(call.action for call in world.front.calls()[calls_at_aws:])
    assert at_home.pop("limits", 0) <= at_home["list_vms"], "a full cloud is asked whether it still is"
    assert set(at_home) == {"list_vms"}
    assert set(at_aws) == {"DescribeInstances"}
    assert 1 <= at_home["list_vms"] <= 2, "every 60 s"
    assert 1 <= at_aws["DescribeInstances"] <= 2


def test_its_deletion_ends_workers_then_masters_and_leaves_nothing(physics: Physics) -> None:
    world = physics.world
    service = {vm.id: vm.service for vm in world.vms()}
    begun = world.moment()
    world.delete("virtualcluster", "batch")
    world.wait_gone("virtualcluster", "batch")
    assert world.vms() == [], "the object goes when the last VM is gone"
    order = [service[deed.id] for deed in world.deeds() if not deed.made]
    assert order == ["worker"] * 10 + ["master"] * 2
    assert world.get("instances") == []
    assert world.get("clusterservices") == []
    assert [one["metadata"]["name"] for one in world.get("secrets") if one["type"] == "cloudherd.dev/user-data"] == []
    writes = world.writes_per_instance(begun)
    assert len(writes) == 12
    assert max(map(len, writes.values())) <= 2, writes


class Table:
    """What `kubectl get` prints, by the columns of its head."""

    def __init__(self, text: str) -> None:
        head, *lines = text.splitlines()
        starts = [at for at, letter in enumerate(head) if letter != " " and (at == 0 or head[at - 1] == " ")]
        ends = [*starts[1:], None]
        names = [head[at:end].strip() for at, end in zip(starts, ends, strict=True)]
        self.rows = [
            {name: line[at:end].strip() for name, at, end in zip(names, starts, ends, strict=True)} for line in lines
        ]

    def row(self, name: str) -> dict[str, str]:
        return next(row for row in self.rows if row["NAME"].rpartition("/")[2] == name)


def _quiet_since(world: World) -> int | None:
    """The audit log's end, where no operator has written for some seconds."""
    moment, begun = world.moment(), time.monotonic()
    while time.monotonic() - begun < QUIET:
        if world.writes(moment):
            return None
        time.sleep(0.5)
    return moment
