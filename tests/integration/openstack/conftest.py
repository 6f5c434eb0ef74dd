"""A project of the test's own in the real services, and the driver that is let into it."""

from __future__ import annotations

from typing import Any

import pytest

from cloudherd.clouds.openstack import OpenStack as Provider
from cloudherd.clouds.openstack import OpenStackDriver
from cloudherd.clouds.protocol import Connection
from devenv.openstack import OpenStack
from devenv.openstack_client import OpenStackClient, Project
from tests.integration.openstack.asked import Connect


@pytest.fixture
def admin(openstack: OpenStack) -> OpenStackClient:
    return openstack.admin()


@pytest.fixture
def project(admin: OpenStackClient) -> Project:
    """With room for 10 servers and 20 cores: nova's defaults."""
    return admin.new_project()


@pytest.fixture
def connect(openstack: OpenStack, project: Project) -> Connect:
    def connected(**changes: Any) -> OpenStackDriver:
        settings = {"account": "physics.home", "region": "RegionOne", "endpoint": openstack.url}
        return Provider().connect(Connection(**{**settings, "credentials": project.keys, **changes}))

    return connected


@pytest.fixture
def driver(connect: Connect) -> OpenStackDriver:
    return connect()
