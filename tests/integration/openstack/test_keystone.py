"""Who is let in, and what becomes of a driver when keystone forgets its token, its user, or is down."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudherd.clouds.openstack import OpenStackDriver
from cloudherd.clouds.protocol import ErrorKind
from devenv.openstack import OpenStack
from devenv.openstack_client import OpenStackClient, Project
from tests.integration.asked import failure
from tests.integration.openstack.asked import Connect, request

pytestmark = pytest.mark.openstack


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
