"""The example's cluster over real OpenStack regions: the first is full by its project's quota, the rest goes elsewhere.

What is true there is read by the cloud's administrator, over HTTP. The tests of the class look at one cluster's life,
in their order.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from devenv.openstack import OpenStack
from devenv.openstack_client import OpenStackClient, Project
from devenv.openstack_seed import BIG
from devenv.stage import ROOT, Stage
from tests.e2e.world import Manifest, World, until, world_on
from tests.fakes.httpserver import Fault
from tests.integration.openstack.front import NovaFront

pytestmark = pytest.mark.openstack

ACCOUNTS = ROOT / "examples" / "openstack" / "1-accounts.yaml"
AT_HOME = {"home master": 1, "home worker": 3}
PATIENCE = 300.0


@dataclass(frozen=True)
class Server:
    """One of nova's, that of a VM of ours."""

    region: str
    found: dict[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        return str(self.found["metadata"]["cloudherd-name"])

    @property
    def service(self) -> str:
        return self.name.split("-")[1]

    @property
    def address(self) -> str:
        return str(self.found["addresses"]["shared"][0]["addr"])


@dataclass
class Scene:
    """A world whose account `home`, and `aws` too where `two_regions`, are projects at OpenStack."""

    world: World
    cloud: OpenStack
    home: Project
    second: Project
    two_regions: bool = False

    def accounts(self, **home: Any) -> list[Manifest]:
        """The example's; `home` goes into that account's spec."""
        documents: list[Manifest] = [
            one for one in yaml.safe_load_all(ACCOUNTS.read_text()) if one["kind"] != "Namespace"
        ]
        found = {f"{one['kind']} {one['metadata']['name']}": one for one in documents}
        for one in documents:
            one["metadata"]["namespace"] = self.world.namespace
        elsewhere = {"RegionOne": "RegionTwo"} if self.two_regions else {}
        openstack, aws = found["CloudAccount home"]["spec"], found["CloudAccount aws"]["spec"]
        openstack |= {"endpoint": self.cloud.url, "changingPollInterval": "1s", "pollInterval": "10s"}
        found["Secret openstack-keys"]["stringData"] = self.cloud.admin().application_credential(self.home)
        if self.two_regions:
            aws.clear()
            aws |= {**openstack, "region": elsewhere[openstack["region"]], "credentialsRef": {"name": "aws-keys"}}
            found["Secret aws-keys"]["stringData"] = self.second.keys
        else:
            aws |= {"endpoint": self.world.front.url, "changingPollInterval": "1s"}
        openstack |= home
        return documents

    def apply(self, *, workers: int = 10, **home: Any) -> None:
        contexts = [self.world.example("Context", name) for name in ("condor-master", "condor-worker")]
        secret = self.world.example("Secret", "condor-secrets")
        self.world.apply(*self.accounts(**home), *contexts, secret)
        for account in ("home", "aws"):  # else the cluster begins at the one that answers first
            until(f"{account} is ready", lambda account=account: self.is_ready(account))  # type: ignore[misc]
        self.world.apply(self.world.cluster(workers))

    def scale(self, workers: int) -> None:
        self.world.merge("virtualcluster", "batch", {"spec": self.world.cluster(workers)["spec"]})

    def is_ready(self, account: str) -> bool:
        ready = self.world.condition("cloudaccount", account, "Ready")
        return bool(ready and ready["status"] == "True")

    def admin(self, region: str) -> OpenStackClient:
        return self.cloud.admin(region)

    def servers(self, region: str = "RegionOne") -> list[Server]:
        """Of the account there: `home` in the first region, `aws` in the second."""
        project = self.home if region == "RegionOne" else self.second
        found = self.admin(region).servers(project).values()
        return [Server(region, one) for one in found if "cloudherd-name" in one["metadata"]]

    def user_data(self, server: Server) -> str:
        return self.admin(server.region).user_data(server.found["id"]).decode()

    def counts(self) -> dict[str, int]:
        """Living VMs by account and service, read at the clouds."""
        living = [f"home {one.service}" for one in self.servers()]
        if self.two_regions:
            living += [f"aws {one.service}" for one in self.servers("RegionTwo")]
        return dict(Counter(living)) | self.world.counts()


@contextmanager
def scene_on(stage: Stage, cloud: OpenStack, *, two_regions: bool = False) -> Iterator[Scene]:
    stage.run_operators()
    home = cloud.admin().new_project(instances=4)
    second = cloud.admin("RegionTwo").new_project(instances=20)
    with world_on(stage) as world:
        scene = Scene(world, cloud, home, second, two_regions)
        yield scene
    assert scene.counts() == {}, "servers outlived their records"


@pytest.fixture
def scene(stage: Stage, openstack: OpenStack) -> Iterator[Scene]:
    with scene_on(stage, openstack) as found:
        yield found


@pytest.fixture(scope="module", params=[False, True], ids=["OpenStack and EC2", "two OpenStack regions"])
def twelve(stage: Stage, openstack: OpenStack, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """The example's cluster, all of it ready."""
    with scene_on(stage, openstack, two_regions=request.param) as found:
        found.apply()
        found.world.wait_ready(within=PATIENCE, master=2, worker=10)
        yield found


class TestTheMainJob:
    @pytest.fixture
    def scene(self, twelve: Scene) -> Scene:
        return twelve

    def test_twelve_vms_four_at_home_as_its_quota_says_and_eight_elsewhere(self, scene: Scene) -> None:
        assert scene.counts() == {**AT_HOME, "aws master": 1, "aws worker": 7}
        assert {one.found["status"] for one in scene.servers()} == {"ACTIVE"}

    def test_the_account_is_full_by_its_limits_before_it_is_refused(self, scene: Scene) -> None:
        assert scene.admin("RegionOne").ended(scene.home) == [], "none was made in vain"
        assert scene.world.events("CloudFull") == []
        home = scene.world.one("cloudaccount", "home")
        assert home is not None
        assert (home["status"]["limit"]["instances"], home["status"]["used"]["instances"]) == (4, 4)
        capacity = scene.world.condition("cloudaccount", "home", "CapacityAvailable")
        assert (capacity["status"], capacity["reason"]) == ("False", "LimitReached")
        assert "full" not in home["status"]

    def test_every_worker_is_told_of_the_master_beside_it(self, scene: Scene) -> None:
        for region in ("RegionOne", "RegionTwo") if scene.two_regions else ("RegionOne",):
            servers = scene.servers(region)
            (master,) = [one for one in servers if one.service == "master"]
            assert "COLLECTOR_NAME = physics" in scene.user_data(master)
            for worker in servers:
                if worker is not master:
                    assert f"CONDOR_HOST = {master.address}\n" in scene.user_data(worker)

    def test_names_and_tags_say_whose_a_server_is(self, scene: Scene) -> None:
        instances = {one["metadata"]["name"]: one for one in scene.world.get("instances")}
        for one in scene.servers():
            instance = instances[one.name]
            assert one.found["name"] == f"{one.name}-{instance['spec']['id'][:8]}"
            assert instance["status"]["providerID"] == f"openstack://{scene.home.id}.RegionOne/{one.found['id']}"
            assert instance["status"]["addresses"]["private"] == [one.address]
            assert one.found["metadata"]["cloudherd-account"] == f"{scene.world.namespace}.home"
            assert one.found["metadata"]["cloudherd-id"] == instance["spec"]["id"]

    def test_other_peoples_servers_count_and_are_not_touched(self, scene: Scene) -> None:
        client = scene.cloud.admin().of(scene.second if scene.two_regions else scene.home)
        region = "RegionTwo" if scene.two_regions else "RegionOne"
        if not scene.two_regions:
            scene.admin(region).limit(scene.home, instances=5)
        theirs = client.at(region).launch("theirs")
        account = "aws" if scene.two_regions else "home"
        until("it counts", lambda: instances(scene.world, "foreign", account) == 1)
        scene.world.delete("virtualcluster", "batch")
        scene.world.wait_gone("virtualcluster", "batch", within=PATIENCE)
        left = scene.admin(region).servers(scene.second if scene.two_regions else scene.home)
        assert set(left) == {theirs}, "all of ours are gone, with the cluster; theirs is not"
        scene.admin(region).call("DELETE", "compute", f"/servers/{theirs}")
        project = scene.second if scene.two_regions else scene.home
        until("its end", lambda: not scene.admin(region).servers(project))


def instances(world: World, whose: str, account: str = "home") -> int:
    """`whose`: used or foreign, as the account says."""
    found = world.one("cloudaccount", account) or {}
    return int(found["status"].get(whose, {}).get("instances", 0))


@dataclass
class Unchanged:
    """Whether a count has been the same for five seconds, in which an account with anything under way polls often."""

    count: Callable[[], int]
    _last: int = -1
    _since: float = 0

    def __call__(self) -> bool:
        now, self._last = self._last, self.count()
        if now != self._last:
            self._since = time.monotonic()
        return time.monotonic() > self._since + 5


def marks(world: World) -> list[Manifest]:
    """What `home` remembers as full."""
    found: list[Manifest] = (world.one("cloudaccount", "home") or {})["status"].get("full", [])
    return found


def running(admin: OpenStackClient, project: Project, wanted: int) -> list[Manifest]:
    """The project's servers, once so many are up; none before."""
    found = list(admin.servers(project).values())
    return found if [one["status"] for one in found] == ["ACTIVE"] * wanted else []


def test_where_there_is_no_host_the_rest_goes_elsewhere_and_what_came_to_nothing_is_ended(scene: Scene) -> None:
    """Two of the big flavor find a place in the region."""
    scene.admin("RegionOne").limit(scene.home, instances=-1, cores=-1, ram=-1)
    scene.apply(workers=4, flavors={"small": BIG})
    scene.world.wait_ready(within=PATIENCE, master=2, worker=4)
    assert scene.counts() == {"home master": 1, "home worker": 1, "aws master": 1, "aws worker": 3}
    assert {one.found["status"] for one in scene.servers()} == {"ACTIVE"}
    assert scene.admin("RegionOne").ended(scene.home), "nova took more than it could place"
    home = scene.world.one("cloudaccount", "home")
    assert home is not None
    (flavor,) = home["status"]["flavors"]
    assert [(mark["flavor"], mark["reason"]) for mark in home["status"]["full"]] == [(flavor["id"], "CloudFull")]


def test_a_quota_that_is_lowered_below_what_runs_ends_nothing_and_what_is_missing_goes_elsewhere(scene: Scene) -> None:
    admin = scene.admin("RegionOne")
    admin.limit(scene.home, instances=20)
    scene.apply(workers=3)
    scene.world.wait_ready(within=PATIENCE, master=1, worker=3)
    before = {one.found["id"] for one in scene.servers()}
    assert len(before) == 4
    admin.limit(scene.home, instances=2)
    scene.scale(5)
    scene.world.wait_ready(within=PATIENCE, master=2, worker=5)
    assert scene.counts() == {**AT_HOME, "aws master": 1, "aws worker": 2}
    assert {one.found["id"] for one in scene.servers()} == before


@pytest.fixture
def front(openstack: OpenStack) -> Iterator[NovaFront]:
    with NovaFront(openstack, "RegionOne") as front:
        yield front


def test_what_nova_itself_refuses_goes_elsewhere_until_the_strangers_who_took_the_rest_are_gone(
    front: NovaFront, scene: Scene
) -> None:
    """They came between two polls: by what the account knows there is room for three more."""
    admin = scene.admin("RegionOne")
    admin.limit(scene.home, instances=6)
    scene.apply(workers=2, pollInterval="1h", endpoint=front.url)
    scene.world.wait_ready(within=PATIENCE, master=1, worker=2)
    until("no poll for a while", Unchanged(lambda: front.calls["GET /servers/detail"]))
    admin.of(scene.home).launch("theirs", min_count=3)
    found = until("they run", lambda: running(admin, scene.home, 6))
    strangers = [one["id"] for one in found if "cloudherd-name" not in one["metadata"]]
    scene.scale(4)
    mark = until("nova's refusal", lambda: marks(scene.world))[0]
    assert (mark.get("flavor", ""), mark["reason"]) == ("", "CloudFull")
    assert "Quota exceeded for instances: Requested 1, but already used 6 of 6 instances" in mark["message"]
    scene.world.wait_ready(within=PATIENCE, master=2, worker=4)
    assert scene.counts() == {"home master": 1, "home worker": 2, "aws master": 1, "aws worker": 2}

    scene.world.merge("cloudaccount", "home", {"spec": {"pollInterval": "1s"}})
    until("they count", lambda: instances(scene.world, "foreign") == 3)
    assert scene.world.condition("cloudaccount", "home", "CapacityAvailable")["status"] == "False"
    for one in strangers:
        admin.call("DELETE", "compute", f"/servers/{one}")
    until("they are gone", lambda: running(admin, scene.home, 3))
    until("they count no more", lambda: instances(scene.world, "foreign") == 0)
    until("room", lambda: scene.world.condition("cloudaccount", "home", "CapacityAvailable")["reason"] == "HasRoom")
    assert marks(scene.world) == []
    scene.scale(6)
    scene.world.wait_ready(within=PATIENCE, master=2, worker=6)
    assert scene.counts() == {"home master": 1, "home worker": 4, "aws master": 1, "aws worker": 2}
    assert sorted(admin.ended(scene.home)) == ["theirs-1", "theirs-2", "theirs-3"], "none of ours was made in vain"


def test_a_launch_whose_answer_is_lost_brings_one_vm(front: NovaFront, scene: Scene) -> None:
    front.faults.append(Fault("lose", "POST /servers"))
    scene.apply(workers=1, endpoint=front.url)
    scene.world.wait_ready(within=PATIENCE, master=1, worker=1)
    assert front.faults == [], "it was lost"
    assert scene.counts() == {"home master": 1, "home worker": 1}
    assert front.calls["POST /servers"] == 2
    assert scene.admin("RegionOne").ended(scene.home) == []


def test_while_keystone_is_down_for_a_minute_what_runs_there_stays_and_what_is_new_goes_elsewhere(scene: Scene) -> None:
    """In the region whose nova asks keystone about every token."""
    admin = scene.admin("RegionTwo")
    admin.limit(scene.home, instances=20)
    scene.apply(workers=2, region="RegionTwo")
    scene.world.wait_ready(within=PATIENCE, master=1, worker=2)
    before = set(admin.servers(scene.home))
    assert len(before) == 3

    def at_home_all_stay() -> bool:
        found = [one for one in scene.world.get("instances") if one["spec"]["accountRef"]["name"] == "home"]
        assert {one["status"]["providerID"].rpartition("/")[2] for one in found} == before
        return True

    over = time.monotonic() + 60
    scene.cloud.stop_keystone()
    try:
        until("the account says so", lambda: unreachable(scene.world))
        scene.scale(4)
        until("what is new", lambda: scene.world.counts() == {"aws master": 1, "aws worker": 2}, within=PATIENCE)
        until("a minute is over", lambda: at_home_all_stay() and time.monotonic() > over)
        assert unreachable(scene.world)
    finally:
        scene.cloud.start_keystone()
    until("home is ready again", lambda: scene.is_ready("home"))
    scene.world.wait_ready(within=PATIENCE, master=2, worker=4)
    assert set(admin.servers(scene.home)) == before
    assert admin.ended(scene.home) == []
    scene.world.delete("virtualcluster", "batch")
    scene.world.wait_gone("virtualcluster", "batch", within=PATIENCE)
    assert admin.servers(scene.home) == {}


def unreachable(world: World) -> bool:
    ready = world.condition("cloudaccount", "home", "Ready")
    return (ready["status"], ready["reason"]) == ("False", "Unreachable")
