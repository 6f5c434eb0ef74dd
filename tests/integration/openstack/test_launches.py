"""What arrives with a launch, and how listings show it. The truth is read by the cloud's administrator, over HTTP."""

from __future__ import annotations

import pytest

from cloudherd.clouds.openstack import MAX_USER_DATA, OpenStackDriver
from cloudherd.clouds.protocol import ErrorKind, VMState
from devenv.openstack_client import OpenStackClient, Project
from devenv.openstack_seed import IMAGE, NETWORK, TINY
from devenv.openstack_settings import PAGE
from tests.e2e.world import until
from tests.integration.asked import failure
from tests.integration.openstack.asked import UNLIMITED, Connect, request, settled

pytestmark = pytest.mark.openstack


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
