"""The conformance suite, on the tests' own OpenNebula."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudherd.clouds.conformance import CloudUnderTest, ProviderConformance
from cloudherd.clouds.opennebula import OpenNebula as Provider
from cloudherd.clouds.protocol import Connection
from devenv.controlplane.assets import free_port
from tests.fakes.httpserver import Fault
from tests.fakes.opennebula import OpenNebula

pytestmark = pytest.mark.integration

ALICE = {"username": "alice", "password": "open sesame"}


class TestOpenNebula(ProviderConformance):
    @pytest.fixture
    def server(self) -> Iterator[OpenNebula]:
        with OpenNebula() as server:
            server.users[0].quota["VMS"] = 100
            yield server

    @pytest.fixture
    def cloud(self, server: OpenNebula) -> CloudUnderTest:
        def account(**changes: object) -> Connection:
            settings = {"endpoint": server.url, "credentials": ALICE}
            return Connection("physics.one", **{**settings, **changes})  # type: ignore[arg-type]

        def foreign() -> str:
            made = server.one_template_instantiate(server.users[0], 100, "theirs", False, "<TEMPLATE/>", False)
            return str(made)

        def fill() -> None:
            server.users[0].quota["VMS"] = len(server.living())

        return CloudUnderTest(
            provider=Provider(),
            connection=account(),
            flavor="small",
            image="debian-12",
            absent_flavor="99999",
            absent_image="777",
            absent_vm="99999",
            many=40,
            user_data=server.user_data,
            add_foreign=foreign,
            elsewhere=account(credentials={"username": "bob", "password": "bobs-own-word"}),
            refused=lambda: account(credentials={**ALICE, "password": "a wrong word"}),
            dead=lambda: account(endpoint=f"http://127.0.0.1:{free_port()}"),
            fill=fill,
            deafen=lambda: setattr(server, "deaf", True),
            lose_next_reply=lambda: server.faults.append(Fault("lose", "template.instantiate")),
        )
