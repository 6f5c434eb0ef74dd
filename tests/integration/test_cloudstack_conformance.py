"""The conformance suite, on the tests' own CloudStack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudherd.clouds.cloudstack import CloudStack as Provider
from cloudherd.clouds.conformance import CloudUnderTest, ProviderConformance
from cloudherd.clouds.protocol import Connection
from devenv.controlplane.assets import free_port
from tests.fakes.cloudstack import CloudStack, uuid
from tests.fakes.httpserver import Fault

pytestmark = pytest.mark.integration

ALICE = {"apiKey": "alices-key", "secretKey": "alices-secret"}


class TestCloudStack(ProviderConformance):
    @pytest.fixture
    def server(self) -> Iterator[CloudStack]:
        with CloudStack() as server:
            server.users[0].limits["vmlimit"] = 100
            yield server

    @pytest.fixture
    def cloud(self, server: CloudStack) -> CloudUnderTest:
        def account(**changes: object) -> Connection:
            settings = {"endpoint": f"{server.url}/client/api", "credentials": ALICE, "options": {"pageSize": 5}}
            return Connection("physics.stack", **{**settings, **changes})  # type: ignore[arg-type]

        def foreign() -> str:
            fields = {"name": "theirs", "zoneid": uuid("zone"), "serviceofferingid": uuid("small")}
            made = server.do_deployVirtualMachine(server.users[0], {**fields, "templateid": uuid("other")})
            return str(made["id"])

        def fill() -> None:
            server.users[0].limits["vmlimit"] = len(server.living())

        def break_listing() -> None:
            server.after_page.append(lambda: server.faults.append(Fault("reply", "listVirtualMachines")))

        return CloudUnderTest(
            provider=Provider(),
            connection=account(),
            flavor=uuid("small"),
            image="debian-12",
            absent_flavor=uuid("nothing"),
            absent_image=uuid("nothing"),
            absent_vm=uuid("nothing"),
            user_data=server.user_data,
            add_foreign=foreign,
            elsewhere=account(credentials={"apiKey": "bobs-key", "secretKey": "bobs-secret"}),
            refused=lambda: account(credentials={**ALICE, "secretKey": "another-secret"}),
            dead=lambda: account(endpoint=f"http://127.0.0.1:{free_port()}"),
            fill=fill,
            deafen=lambda: setattr(server, "deaf", True),
            lose_next_reply=lambda: server.faults.append(Fault("lose", "deployVirtualMachine")),
            break_listing=break_listing,
        )
