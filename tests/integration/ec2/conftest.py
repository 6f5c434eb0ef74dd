"""Moto's server, empty before each test and strict about keys; what is true there, and a driver that is let in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from cloudherd.clouds.ec2 import Ec2Driver
from devenv.moto_client import MotoClient, running_moto
from tests.integration.ec2.asked import KEYS, Connect, connected_to
from tests.integration.ec2_truth import Truth


@pytest.fixture(scope="module")
def server() -> Iterator[MotoClient]:
    with running_moto() as moto:
        yield moto


@pytest.fixture
def moto(server: MotoClient) -> MotoClient:
    server.reset()
    server.knobs(keys={KEYS["accessKey"]: KEYS["secretKey"]})
    return server


@pytest.fixture
def truth(moto: MotoClient) -> Truth:
    return Truth(moto)


@pytest.fixture
def connect(moto: MotoClient) -> Connect:
    return partial(connected_to, moto)


@pytest.fixture
def driver(connect: Connect) -> Ec2Driver:
    return connect()
