"""What gateway and agent rely on of the API server is asked of the real one and of the simulated one alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cloudherd.runtime.ports import KubeApi
from controllers.connection import connect
from controllers.kubeapi import HttpKubeApi
from controllers.system import SystemClock
from tests.fakes.apiserver import SimulatedServer
from tests.fakes.clock import SeededRandom
from tests.integration.kubeapi.contract import World, home


@asynccontextmanager
async def real_apis(kubeconfig: Path) -> AsyncIterator[tuple[KubeApi, KubeApi]]:
    connection = await connect(str(kubeconfig))
    try:
        yield HttpKubeApi(connection, "one"), HttpKubeApi(connection, "two")
    finally:
        await connection.close()


@pytest.fixture(params=["simulated", pytest.param("real", marks=pytest.mark.integration)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "simulated":
        server = SimulatedServer(SystemClock(), SeededRandom())
        async with home(server.client("one"), server.client("two")) as world:
            yield world
    else:
        async with real_apis(request.getfixturevalue("crds").kubeconfig) as (api, other), home(api, other) as world:
            yield world
