"""The provider openstack against the real services. The truth at the cloud is read by its administrator, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest

from cloudherd.clouds.openstack import MAX_USER_DATA, OpenStackDriver
from cloudherd.clouds.openstack import OpenStack as Provider
from cloudherd.clouds.protocol import VM, CloudError, Connection, ErrorKind, LaunchRequest, Limits, VMState
from devenv.openstack import OpenStack
from devenv.openstack_client import OpenStackClient, Project
from devenv.openstack_seed import BIG, IMAGE, NETWORK, TINY, WHALE, image
from devenv.openstack_settings import PAGE
from tests.e2e.world import until

pytestmark = pytest.mark.openstack

UNLIMITED = {"instances": -1, "cores": -1, "ram": -1}
_numbers = count()


@pytest.fixture
def admin(openstack: OpenStack) -> OpenStackClient:
    return openstack.admin()


@pytest.fixture
def project(admin: OpenStackClient) -> Project:
    """With room for 10 servers and 20 cores: nova's defaults."""
    return admin.new_project()


Connect = Callable[..., OpenStackDriver]


@pytest.fixture
def connect(openstack: OpenStack, project: Project) -> Connect:
    def connected(**changes: Any) -> OpenStackDriver:
        settings = {"account": "physics.home", "region": "RegionOne", "endpoint": openstack.url}
        return Provider().connect(Connection(**{**settings, "credentials": project.keys, **changes}))

    return connected


@pytest.fixture
def driver(connect: Connect) -> OpenStackDriver:
    return connect()


def request(**changes: Any) -> LaunchRequest:
    number = next(_numbers)
    made = LaunchRequest(
        token=f"ch-{number:040x}",
        name=f"batch-worker-{number}",
        flavor=TINY,
        image=IMAGE,
        tags={"cloudherd-id": f"id-{number}", "cloudherd-account": "physics.home", "owner": "Zoë & co / 東京"},
        user_data=b"#cloud-config\npassword: hunter2-hunter2\n",
    )
    return replace(made, **changes)


def failure(call: Callable[[], object]) -> CloudError:
    with pytest.raises(CloudError) as caught:
        call()
    return caught.value


def settled(driver: OpenStackDriver) -> list[VM]:
    """All servers, once none is on its way."""

    found: list[VM] = []

    def at_rest() -> bool:
        found[:] = driver.list_vms().vms
        return not any(vm.state in {VMState.PENDING, VMState.DELETING} for vm in found)

    until("all servers are at rest", at_rest)
    return found


class TestLaunch:
    @pytest.mark.parametrize(
        "data", [b"", b"\0\xff\r\n+ &=%20\xc3\xa9", b"#" * MAX_USER_DATA], ids=["none", "odd", "longest"]
    )
    def test_user_data_arrives_byte_for_byte(
        self, admin: OpenStackClient, driver: OpenStackDriver, data: bytes
    ) -> None:
        vm = driver.create_vm(request(user_data=data))
        assert admin.user_data(vm.id) == data

    def test_name_tags_and_flavor_come_with_the_launch_itself(
        self, admin: OpenStackClient, project: Project, driver: OpenStackDriver
    ) -> None:
        asked = request()
        vm = driver.create_vm(asked)
        server = admin.servers(project)[vm.id]
        assert (server["name"], server["metadata"]) == (asked.name, asked.tags)
        assert server["flavor"]["id"] == "1"
        (seen,) = driver.list_vms().vms
        assert (seen.id, seen.tags, seen.flavor) == (vm.id, asked.tags, TINY)

    def test_a_config_drive_is_had_for_the_asking(
        self, admin: OpenStackClient, project: Project, driver: OpenStackDriver
    ) -> None:
        with_drive = driver.create_vm(request(options={"configDrive": True}))
        without = driver.create_vm(request())
        servers = admin.servers(project)
        assert (servers[with_drive.id]["config_drive"], servers[without.id]["config_drive"]) == ("True", "")

    @pytest.mark.parametrize("by", ["name", "id"])
    def test_flavor_image_and_network_by_name_or_by_id(
        self, admin: OpenStackClient, project: Project, driver: OpenStackDriver, by: str
    ) -> None:
        network = admin.call("GET", "network", f"/v2.0/networks?name={NETWORK}")["networks"][0]["id"]
        image_id = admin.call("GET", "image", f"/v2/images?name={IMAGE}")["images"][0]["id"]
        named = {"flavor": TINY, "image": IMAGE, "network": NETWORK}
        wanted = named if by == "name" else {"flavor": "1", "image": image_id, "network": network}
        vm = driver.create_vm(request(**wanted))
        server = admin.servers(project)[vm.id]
        assert (server["flavor"]["id"], server["image"]["id"]) == ("1", image_id)
        until("its address", lambda: admin.servers(project)[vm.id]["addresses"].get(NETWORK))
        assert {found.id for found in driver.images((wanted["image"],))} == {image_id}

    def test_security_groups_by_name(self, admin: OpenStackClient, project: Project, driver: OpenStackDriver) -> None:
        group = {"security_group": {"name": "ssh"}}
        admin.of(project).call("POST", "network", "/v2.0/security-groups", group)
        vm = driver.create_vm(request(security_groups=("ssh",)))
        groups = until("its groups", lambda: admin.servers(project)[vm.id].get("security_groups"))
        assert [each["name"] for each in groups] == ["ssh"]


class TestNamesThatAreNone:
    @pytest.mark.parametrize(
        ("changes", "kind", "sentence"),
        [
            ({"flavor": "m1.absent"}, ErrorKind.NOT_FOUND, "the project has no flavor m1.absent"),
            ({"image": "absent"}, ErrorKind.NOT_FOUND, "the project has no active image absent"),
            (
                {"network": "absent"},
                ErrorKind.INVALID,
                "network absent: there must be one in this region, but none has that name",
            ),
            (
                {"security_groups": ("absent",)},
                ErrorKind.INVALID,
                "Unable to find security_group with name or id 'absent'",
            ),
            ({"options": {"keyName": "absent"}}, ErrorKind.INVALID, "Invalid key_name provided."),
            (
                {"options": {"availabilityZone": "absent"}},
                ErrorKind.INVALID,
                "The requested availability zone is not available",
            ),
        ],
    )
    def test_are_told_in_a_sentence_and_nothing_is_made(
        self,
        admin: OpenStackClient,
        project: Project,
        driver: OpenStackDriver,
        changes: dict[str, Any],
        kind: ErrorKind,
        sentence: str,
    ) -> None:
        error = failure(lambda: driver.create_vm(request(**changes)))
        assert (error.kind, error.message) == (kind, sentence)
        assert admin.servers(project) == {}

    def test_two_images_of_one_name_need_an_id(self, admin: OpenStackClient, driver: OpenStackDriver) -> None:
        name = f"twice-{uuid4().hex[:8]}"
        made = [image(admin, name) for _ in range(2)]
        error = failure(lambda: driver.create_vm(request(image=name)))
        sentence = f"image {name}: there must be one in this region, but 2 have that name: give the ID"
        assert (error.kind, error.message) == (ErrorKind.INVALID, sentence)
        admin.call("DELETE", "image", f"/v2/images/{made[0]}")
        assert driver.create_vm(request(image=name)).state is VMState.PENDING, "it heals by itself"

    def test_a_network_that_is_gone_is_noticed_and_its_successor_found(
        self, admin: OpenStackClient, project: Project, driver: OpenStackDriver
    ) -> None:
        own = admin.of(project)
        first = network(own)
        vm = driver.create_vm(request(network="lab"))
        until("it runs", lambda: settled(driver))
        driver.destroy_vm(vm.id)
        until("its end", lambda: not driver.list_vms().vms)
        own.call("DELETE", "network", f"/v2.0/networks/{first}")
        assert failure(lambda: driver.create_vm(request(network="lab"))).kind is ErrorKind.INVALID
        network(own)
        assert driver.create_vm(request(network="lab")).id


def network(own: OpenStackClient) -> str:
    found: str = own.call("POST", "network", "/v2.0/networks", {"network": {"name": "lab"}})["network"]["id"]
    subnet = {"network_id": found, "ip_version": 4, "cidr": "192.168.7.0/24", "enable_dhcp": False}
    own.call("POST", "network", "/v2.0/subnets", {"subnet": subnet})
    return found


class TestRoom:
    def test_limits_are_the_projects(self, admin: OpenStackClient, project: Project, driver: OpenStackDriver) -> None:
        assert driver.limits() == Limits(instances=10, cpus=20, memory=51_200 * 2**20)
        admin.limit(project, instances=3, cores=-1, ram=1024)
        assert driver.limits() == Limits(instances=3, cpus=None, memory=2**30)

    def test_a_full_project_refuses_and_nothing_is_made(
        self, admin: OpenStackClient, project: Project, driver: OpenStackDriver
    ) -> None:
        admin.limit(project, instances=1)
        driver.create_vm(request())
        settled(driver)  # nova counts what has found its host
        error = failure(lambda: driver.create_vm(request()))
        assert (error.kind, error.code, error.flavor_only) == (ErrorKind.FULL, "forbidden", False)
        assert error.message == "Quota exceeded for instances: Requested 1, but already used 1 of 1 instances"
        assert len(admin.servers(project)) == 1

    def test_a_lack_of_cores_leaves_room_for_what_is_smaller(
        self, admin: OpenStackClient, project: Project, driver: OpenStackDriver
    ) -> None:
        admin.limit(project, cores=2)
        error = failure(lambda: driver.create_vm(request(flavor=BIG)))
        assert (error.kind, error.flavor_only) == (ErrorKind.FULL, True)
        assert driver.create_vm(request(flavor=TINY)).id

    def test_where_there_is_no_host_the_server_says_that_there_was_no_room(
        self, admin: OpenStackClient, project: Project, driver: OpenStackDriver
    ) -> None:
        admin.limit(project, **UNLIMITED)
        vm = driver.create_vm(request(flavor=WHALE))
        (seen,) = settled(driver)
        assert (seen.id, seen.state, seen.no_room) == (vm.id, VMState.ERROR, True)
        assert seen.detail.startswith("No valid host was found")
        assert seen == driver.get_vm(vm.id)
        driver.destroy_vm(vm.id)
        until("its end", lambda: not driver.list_vms().vms)

    def test_the_last_place_is_given_once_however_many_ask_together(
        self, admin: OpenStackClient, project: Project, connect: Connect
    ) -> None:
        admin.limit(project, instances=2)
        together = Barrier(6)

        def create(_: int) -> str:
            own = connect()
            own.list_vms()
            together.wait(60)
            try:
                return own.create_vm(request()).id
            except CloudError as error:
                return error.kind

        with ThreadPoolExecutor(6) as pool:
            made = set(pool.map(create, range(6))) - {ErrorKind.FULL}
        vms = settled(connect())
        assert {vm.id for vm in vms} == made
        assert sum(vm.state is VMState.RUNNING for vm in vms) <= 2
        assert {vm.no_room for vm in vms if vm.state is VMState.ERROR} <= {True}


class TestListing:
    def test_of_120_servers_all_are_listed_though_a_page_holds_50(
        self, admin: OpenStackClient, project: Project, driver: OpenStackDriver
    ) -> None:
        """Most find no host, which takes no time. While they look for one, nova's own listing leaves some out."""
        assert PAGE < 60
        admin.limit(project, **UNLIMITED)
        for _ in range(3):
            driver.create_vm(request())
        admin.of(project).launch("many", flavor="5", min_count=117)
        listings = []

        def at_rest() -> bool:
            listings.append(driver.list_vms())
            return not any(vm.state is VMState.PENDING for vm in listings[-1].vms)

        until("all servers are at rest", at_rest)
        assert {len(one.vms) for one in listings if one.complete} == {120}
        assert listings[-1].complete
        assert {vm.id for vm in listings[-1].vms} == set(admin.servers(project))

    def test_other_peoples_servers_are_listed_without_our_tags(
        self, admin: OpenStackClient, project: Project, driver: OpenStackDriver
    ) -> None:
        theirs = admin.of(project).launch("theirs", metadata={"owner": "them"})
        ours = driver.create_vm(request())
        listed = {vm.id: vm for vm in driver.list_vms().vms}
        assert (listed[theirs].name, listed[theirs].tags) == ("theirs", {"owner": "them"})
        assert set(listed) == {theirs, ours.id}

    def test_another_projects_servers_are_not_ours_to_see(
        self, admin: OpenStackClient, driver: OpenStackDriver, connect: Connect
    ) -> None:
        vm = driver.create_vm(request())
        other = connect(credentials=admin.new_project().keys)
        assert other.list_vms().vms == ()
        assert other.get_vm(vm.id) is None
        assert other.list_vms().scope != driver.list_vms().scope

    def test_regions_are_clouds_of_their_own(self, project: Project, connect: Connect) -> None:
        one, two = connect(), connect(region="RegionTwo")
        vm = one.create_vm(request())
        assert two.list_vms().vms == ()
        assert {one.list_vms().scope, two.list_vms().scope} == {f"{project.id}.RegionOne", f"{project.id}.RegionTwo"}
        made = two.create_vm(request())
        assert [each.id for each in one.list_vms().vms] == [vm.id]
        assert [each.id for each in two.list_vms().vms] == [made.id]

    def test_a_server_stopped_behind_our_back_is_stopped(
        self, admin: OpenStackClient, project: Project, driver: OpenStackDriver
    ) -> None:
        vm = driver.create_vm(request())
        settled(driver)
        admin.of(project).call("POST", "compute", f"/servers/{vm.id}/action", {"os-stop": None})
        until("it is stopped", lambda: [one.state for one in driver.list_vms().vms] == [VMState.STOPPED])

    def test_a_locked_server_cannot_be_ended_just_now(
        self, admin: OpenStackClient, project: Project, driver: OpenStackDriver
    ) -> None:
        vm = driver.create_vm(request())
        settled(driver)
        admin.call("POST", "compute", f"/servers/{vm.id}/action", {"lock": None})
        assert failure(lambda: driver.destroy_vm(vm.id)).kind is ErrorKind.BUSY
        admin.call("POST", "compute", f"/servers/{vm.id}/action", {"unlock": None})
        driver.destroy_vm(vm.id)
        until("its end", lambda: driver.get_vm(vm.id) is None)


class TestKeystone:
    @pytest.fixture
    def strict(self, connect: Connect) -> OpenStackDriver:
        """In the region whose nova asks keystone about every token."""
        return connect(region="RegionTwo")

    @pytest.mark.parametrize("kind", ["application credential", "password", "password and project's ID"])
    def test_credentials_of_each_kind(
        self, admin: OpenStackClient, project: Project, connect: Connect, kind: str
    ) -> None:
        keys = project.keys
        if kind == "application credential":
            keys = admin.application_credential(project)
        elif kind != "password":
            keys = {"username": project.name, "password": keys["password"], "projectId": project.id}
        assert connect(credentials=keys).list_vms().scope == f"{project.id}.RegionOne"

    def test_wrong_ones_are_denied(self, project: Project, connect: Connect) -> None:
        for wrong in ({"password": "wrong-wrong"}, {"username": "nobody"}, {"projectName": "admin"}):
            error = failure(connect(credentials={**project.keys, **wrong}).list_vms)
            assert (error.kind, error.code) == (ErrorKind.DENIED, "Unauthorized")

    def test_a_region_that_is_none_is_named_with_those_that_are(self, connect: Connect) -> None:
        assert failure(connect(region="Mars").list_vms).message == (
            "spec.region: the cloud has no compute service in Mars; regions that have one: RegionOne, RegionTwo"
        )

    @pytest.mark.parametrize("path", ["/nowhere", "/v2.0"])
    def test_an_endpoint_that_is_none_is_unreachable(self, openstack: OpenStack, connect: Connect, path: str) -> None:
        assert failure(connect(endpoint=openstack.url + path).list_vms).kind is ErrorKind.UNREACHABLE

    def test_a_token_that_is_revoked_is_renewed_unnoticed(
        self, openstack: OpenStack, admin: OpenStackClient, strict: OpenStackDriver
    ) -> None:
        strict.list_vms()
        before = strict._api._identity.auth_token
        admin.revoke(before)
        assert strict.create_vm(request()).id
        assert strict._api._identity.auth_token != before

    def test_credentials_that_are_withdrawn_are_denied(
        self, admin: OpenStackClient, project: Project, strict: OpenStackDriver
    ) -> None:
        strict.list_vms()
        admin.call("PATCH", "identity", f"/users/{project.user}", {"user": {"enabled": False}})
        assert failure(strict.list_vms).kind is ErrorKind.DENIED
        assert failure(lambda: strict.create_vm(request())).kind is ErrorKind.DENIED

    def test_while_keystone_is_down_nothing_is_said_to_be_empty_and_afterwards_all_is_as_before(
        self, openstack: OpenStack, strict: OpenStackDriver, connect: Connect, keystone_back: None
    ) -> None:
        vm = strict.create_vm(request())
        openstack.stop_keystone()
        for driver in (strict, connect(region="RegionTwo")):
            assert failure(driver.list_vms).kind is ErrorKind.UNREACHABLE
            assert failure(lambda driver=driver: driver.get_vm(vm.id)).kind is ErrorKind.UNREACHABLE  # type: ignore[misc]
        error = failure(lambda: connect(region="RegionTwo").create_vm(request()))
        assert (error.kind, error.code, error.never_sent) == (ErrorKind.UNREACHABLE, "ConnectionRefused", True)
        openstack.start_keystone()
        assert [each.id for each in strict.list_vms().vms] == [vm.id]
        assert strict.create_vm(request()).id

    @pytest.fixture
    def keystone_back(self, openstack: OpenStack) -> Iterator[None]:
        yield
        openstack.start_keystone()
