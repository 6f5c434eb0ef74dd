"""The conformance suite, on the real services: in the region whose listings have the shortest pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cloudherd.clouds.conformance import CloudUnderTest, ProviderConformance
from cloudherd.clouds.openstack import OpenStack as Provider
from cloudherd.clouds.protocol import Connection
from devenv.controlplane.assets import free_port
from devenv.openstack import OpenStack
from devenv.openstack_seed import IMAGE, TINY
from devenv.openstack_settings import SHORT_PAGE
from tests.fakes.httpserver import Fault
from tests.integration.openstack.front import NEXT_PAGE, NovaFront

pytestmark = pytest.mark.openstack

REGION = "RegionTwo"
ABSENT = "00000000-0000-4000-8000-000000000001"
ROOMY: dict[str, Any] = {"instances": 1000, "cores": 1000, "ram": -1}


class TestOpenStack(ProviderConformance):
    @pytest.fixture
    def front(self, openstack: OpenStack) -> Iterator[NovaFront]:
        with NovaFront(openstack, REGION) as front:
            yield front

    @pytest.fixture
    def cloud(self, openstack: OpenStack, front: NovaFront) -> CloudUnderTest:
        admin = openstack.admin(REGION)
        project = admin.new_project(**ROOMY)
        keys = admin.application_credential(project)

        def account(**changes: object) -> Connection:
            settings = {"region": REGION, "endpoint": front.url, "credentials": keys}
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
            many=2 * SHORT_PAGE + 1,
            elsewhere=account(region="RegionOne"),
            refused=lambda: account(credentials={**keys, "applicationCredentialSecret": "another-secret"}),
            dead=lambda: account(endpoint=f"http://127.0.0.1:{free_port()}"),
            fill=lambda: admin.limit(project, instances=0),
            lose_next_reply=lambda: front.faults.append(Fault("lose", "POST /servers")),
            break_listing=lambda: front.faults.append(Fault("drop", NEXT_PAGE)),
        )
