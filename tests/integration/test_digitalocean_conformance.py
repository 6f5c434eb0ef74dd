"""The conformance suite on the provider libcloud with its DigitalOcean driver, on the tests' own DigitalOcean."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudherd.clouds.conformance import CloudUnderTest, ProviderConformance
from cloudherd.clouds.libcloud_any import Libcloud
from cloudherd.clouds.protocol import Connection
from devenv.controlplane.assets import free_port
from tests.fakes.digitalocean import DigitalOcean
from tests.fakes.httpserver import Fault

pytestmark = pytest.mark.integration


class TestDigitalOcean(ProviderConformance):
    @pytest.fixture
    def server(self) -> Iterator[DigitalOcean]:
        with DigitalOcean() as server:
            server.page_limit = 5
            yield server

    @pytest.fixture
    def cloud(self, server: DigitalOcean) -> CloudUnderTest:
        def account(key: str = "alices-token", endpoint: str = server.url) -> Connection:
            options = {"driver": "digitalocean"}
            return Connection("physics.ocean", "fra1", endpoint, credentials={"key": key}, options=options)

        def fill() -> None:
            server.teams["alices-token"].limit = len(server.droplets)

        return CloudUnderTest(
            provider=Libcloud(),
            connection=account(),
            flavor="s-1vcpu-1gb",
            image="debian-12-x64",
            absent_flavor="s-999vcpu-1gb",
            absent_image="suse",
            absent_vm="999",
            user_data=server.user_data,
            add_foreign=lambda: str(server.add("alices-token", "theirs").id),
            elsewhere=account("bobs-token"),
            refused=lambda: account("another-token"),
            dead=lambda: account(endpoint=f"http://127.0.0.1:{free_port()}"),
            fill=fill,
            lose_next_reply=lambda: server.faults.append(Fault("lose", "POST /v2/droplets")),
            break_listing=lambda: server.faults.append(Fault("drop", "GET /v2/droplets?page=2")),
        )
