"""Clouds that accept connections and never answer, asked by the real drivers with the time-outs that users get."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from cloudherd.clouds.cloudstack import CloudStack
from cloudherd.clouds.ec2 import Ec2
from cloudherd.clouds.opennebula import OpenNebula
from cloudherd.clouds.protocol import Connection, Provider
from cloudherd.clouds.threads import ThreadedCloud
from tests.fakes.opennebula import OpenNebula as Front
from tests.fakes.silent import Silent
from tests.integration.asked import launch

pytestmark = pytest.mark.integration

KEYS = {
    "ec2": {"accessKey": "testing", "secretKey": "testing"},
    "opennebula": {"username": "alice", "password": "open sesame"},
    "cloudstack": {"apiKey": "alices-key", "secretKey": "alices-secret"},
}
CALLS = 200
MANY = 3  # times as many calls as a cloud takes at once


@pytest.fixture
def silent() -> Iterator[Silent]:
    with Silent() as silent:
        yield silent


def cloud_at(provider: Provider, url: str, account: str) -> ThreadedCloud:
    region = "us-east-1" if provider.name == "ec2" else ""
    connection = Connection(account, region=region, endpoint=url, credentials=KEYS[provider.name])
    return ThreadedCloud(provider, connection, replace(provider.capabilities, calls_per_second=10_000))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - it comes true in another thread
            await asyncio.sleep(0.01)


def threads_of(account: str) -> int:
    return sum(thread.name.startswith(f"cloud {account} ") for thread in threading.enumerate())


@asynccontextmanager
async def hanging(cloud: ThreadedCloud, silent: Silent) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Calls of all kinds, more of them than the cloud takes at once; as many as it takes are under way."""
    at_once, known = cloud.capabilities.concurrent_calls, len(silent.connections)
    kinds: list[Callable[[], Coroutine[Any, Any, object]]] = [
        cloud.list_vms,
        lambda: cloud.get_vm("7"),
        lambda: cloud.create_vm(launch("physics.deaf", ("a", "b"), flavor="small", image="debian-12")),
        lambda: cloud.destroy_vm("7"),
    ]
    calls = [asyncio.create_task(kinds[number % len(kinds)]()) for number in range(MANY * at_once)]
    await until(lambda: len(silent.connections) >= known + at_once)
    yield calls
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await cloud.close()


@pytest.mark.parametrize("provider", [Ec2(), OpenNebula(), CloudStack()], ids=lambda one: one.name)
async def test_a_cloud_that_hangs_costs_another_account_no_call(provider: Provider, silent: Silent) -> None:
    deaf = cloud_at(provider, silent.url, "physics.deaf")
    with Front() as front:
        well = cloud_at(OpenNebula(), front.url, "physics.well")
        async with hanging(deaf, silent) as hung:
            vm = await well.create_vm(launch("physics.well", ("a", "b"), flavor="small", image="debian-12"))
            listings = await asyncio.gather(*(well.list_vms() for _ in range(CALLS)))
            assert {tuple(one.id for one in listing.vms) for listing in listings} == {(vm.id,)}
            assert not any(call.done() for call in hung), "they were to hang all the while"
            assert threads_of("physics.deaf") == deaf.capabilities.concurrent_calls
        await well.close()
    for connection in silent.connections:
        connection.close()
    await until(lambda: not threads_of("physics.deaf") and not threads_of("physics.well"))
