"""Writes that must not meet a namesake or an older state."""

from __future__ import annotations

import pytest

from cloudherd.api import Instance
from cloudherd.runtime.kinds import INSTANCE, NAMESPACE
from cloudherd.runtime.ports import ApiError
from cloudherd.runtime.records import Gone, Records
from cloudherd.runtime.store import Store, parse
from controllers.system import SystemClock
from tests.fakes import examples
from tests.fakes.apiserver import SimulatedServer
from tests.fakes.clock import SeededRandom

FINALIZER = "cloudherd.dev/instance"


@pytest.fixture
def server() -> SimulatedServer:
    return SimulatedServer(SystemClock(), SeededRandom())


async def ending(server: SimulatedServer) -> Instance:
    """An Instance that is being deleted, held by our finalizer."""
    user = server.client("user")
    await user.create(NAMESPACE, {"metadata": {"name": "physics"}})
    made = await user.create(INSTANCE, examples.instance("c-s-0", namespace="physics", finalizers=(FINALIZER,)))
    record = parse("instances", await user.delete(INSTANCE, "physics", "c-s-0", uid=made["metadata"]["uid"]) or {})
    assert isinstance(record, Instance)
    return record


def records(server: SimulatedServer) -> Records:
    return Records(server.client("agent"), Store(["instances"]))


async def test_the_last_finalizer_goes_by_a_replacement_since_a_patch_may_end_the_next_of_that_name(
    server: SimulatedServer,
) -> None:
    record = await ending(server)
    await records(server).set_finalizers(INSTANCE, record, [])
    assert [call.verb for call in server.writes(INSTANCE) if call.manager == "agent"] == ["update"]
    assert await server.client("user").get(INSTANCE, "physics", "c-s-0") is None


async def test_what_has_changed_since_it_was_judged_is_not_let_go(server: SimulatedServer) -> None:
    record, user = await ending(server), server.client("user")
    await user.patch(INSTANCE, "physics", "c-s-0", {"metadata": {"labels": {"a": "b"}}})
    with pytest.raises(ApiError, match="has changed"):
        await records(server).set_finalizers(INSTANCE, record, [])
    assert await user.get(INSTANCE, "physics", "c-s-0") is not None


async def test_the_next_of_that_name_is_left_alone(server: SimulatedServer) -> None:
    record, user = await ending(server), server.client("user")
    await user.patch(INSTANCE, "physics", "c-s-0", {"metadata": {"finalizers": None}})
    following = await user.create(INSTANCE, examples.instance("c-s-0", namespace="physics", finalizers=(FINALIZER,)))
    with pytest.raises(Gone):
        await records(server).set_finalizers(INSTANCE, record, [])
    assert await user.get(INSTANCE, "physics", "c-s-0") == following
