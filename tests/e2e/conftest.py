"""One control plane and one moto for all end-to-end tests; a namespace of its own, and operators, for each world."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devenv.stage import Stage
from tests.e2e.world import World, world_on

HERE = "tests/e2e/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.as_posix():
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Control plane, CRDs and moto; no operator. It ends with the last end-to-end test, however that ends."""
    with Stage(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture
def world(stage: Stage) -> Iterator[World]:
    """The example's accounts and contexts in a fresh namespace, the operator in one process; all of it ends well."""
    stage.run_operators()
    with world_on(stage) as world:
        world.prepare()
        yield world
