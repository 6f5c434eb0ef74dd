"""What OpenStack refuses to launch: names that it does not have, and more than a project has room for."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from cloudherd.clouds.openstack import OpenStackDriver
from cloudherd.clouds.protocol import ErrorKind, Limits, VMState
from devenv.openstack import OpenStack
from devenv.openstack_client import OpenStackClient, Project
from devenv.openstack_seed import BIG, TINY, WHALE, image
from tests.e2e.world import until
from tests.integration.asked import failure
from tests.integration.openstack.asked import UNLIMITED, request, settled

pytestmark = pytest.mark.openstack


def network(own: OpenStackClient) -> str:
    found: str = own.call("POST", "network", "/v2.0/networks", {"network": {"name": "lab"}})["network"]["id"]
    subnet = {"network_id": found, "ip_version": 4, "cidr": "192.168.7.0/24", "enable_dhcp": False}
    own.call("POST", "network", "/v2.0/subnets", {"subnet": subnet})
    return found


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
        ids = ", ".join(sorted(made))
        sentence = f"image {name}: there must be one in this region, but 2 have that name: give one of the IDs {ids}"
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

    def test_of_six_that_nova_accepts_for_two_places_those_that_get_none_say_that_there_was_no_room(
        self, openstack: OpenStack, admin: OpenStackClient, project: Project, driver: OpenStackDriver
    ) -> None:
        """It counts what has found its host, so that while none can all are accepted."""
        admin.limit(project, instances=2)
        with openstack.paused("nova-conductor-0"):
            made = {driver.create_vm(request()).id for _ in range(6)}
        vms = settled(driver)
        assert {vm.id for vm in vms} == made
        lost = [vm for vm in vms if vm.state is VMState.ERROR]
        assert len(lost) >= 4
        assert {vm.no_room for vm in lost} == {True}
        assert {vm.state for vm in vms if vm not in lost} <= {VMState.RUNNING}
