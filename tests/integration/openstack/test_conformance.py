"""The conformance suite, on the real services."""

from __future__ import annotations

from typing import Any

import pytest

from cloudherd.clouds.conformance import CloudUnderTest, ProviderConformance
from cloudherd.clouds.openstack import OpenStack as Provider
from cloudherd.clouds.protocol import Connection
from devenv.controlplane.assets import free_port
from devenv.openstack import OpenStack
from devenv.openstack_seed import IMAGE, TINY

pytestmark = pytest.mark.openstack

ABSENT = "00000000-0000-4000-8000-000000000001"
ROOMY: dict[str, Any] = {"instances": 1000, "cores": 1000, "ram": -1}


class TestOpenStack(ProviderConformance):
    @pytest.fixture
    def cloud(self, openstack: OpenStack) -> CloudUnderTest:
        admin = openstack.admin()
        project = admin.new_project(**ROOMY)
        keys = admin.application_credential(project)

        def account(**changes: object) -> Connection:
            settings = {"region": "RegionOne", "endpoint": openstack.url, "credentials": keys}
            return Connection("physics.home", **{**settings, **changes})  # type: ignore[arg-type]

        return CloudUnderTest(
            provider=Provider(),
            connection=account(),
            flavor=TINY,
            image=IMAGE,
            absent_flavor="m1.absent",
            absent_image=ABSENT,
            absent_vm=ABSENT,
            user_data=admin.user_data,
            add_foreign=lambda: admin.of(project).launch("theirs"),
            elsewhere=account(region="RegionTwo"),
            refused=lambda: account(credentials={**keys, "applicationCredentialSecret": "another-secret"}),
            dead=lambda: account(endpoint=f"http://127.0.0.1:{free_port()}"),
            fill=lambda: admin.limit(project, instances=0),
        )
