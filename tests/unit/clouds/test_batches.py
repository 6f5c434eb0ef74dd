"""Launches asked for one by one, and what the cloud is asked for: calls, and who was in them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from cloudherd.agent import identity
from cloudherd.clouds.batches import Batches
from cloudherd.clouds.protocol import OWN_TAGS, VM, CloudError, ErrorKind, LaunchRequest, VMState

FULL = CloudError(ErrorKind.FULL, "InstanceLimitExceeded", "no more than 3")


def request(name: str, **changes: object) -> LaunchRequest:
    tags = {"cloudherd-namespace": "physics", "cloudherd-name": name, "cloudherd-id": f"id-{name}"}
    made = LaunchRequest(f"token-{name}", f"{name}-id", "small", "debian", tags, b"#!/bin/sh")
    return replace(made, **changes)  # type: ignore[arg-type]


class Cloud:
    """Has room for some; tells who came in which call. While it is `busy`, calls take until it is not."""

    def __init__(self, room: int = 1000, *, at_once: bool = True) -> None:
        self.room = room
        self.all_or_none = not at_once
        self.calls: list[list[str]] = []
        self.asked, self.free = asyncio.Event(), asyncio.Event()
        self.free.set()
        self.trouble: Exception | None = None

    async def send(self, requests: Sequence[LaunchRequest]) -> list[VM | None]:
        self.calls.append([one.name.removesuffix("-id") for one in requests])
        self.asked.set()
        await self.free.wait()
        if self.trouble:
            raise self.trouble
        if self.room < (len(requests) if self.all_or_none else 1):
            raise FULL
        made = requests[: self.room]
        self.room -= len(made)
        vms = [VM(f"vm-{one.name}", one.name, VMState.PENDING, one.tags) for one in made]
        return [*vms, *[None] * (len(requests) - len(made))]


async def all_of(batches: Batches, *requests: LaunchRequest) -> list[str]:
    """For each the VM's id or the error's code."""
    answers = await asyncio.gather(*(batches.launch(one) for one in requests), return_exceptions=True)
    return [one.id if isinstance(one, VM) else getattr(one, "code", repr(one)) for one in answers]


async def test_those_that_are_asked_for_together_come_with_one_call() -> None:
    cloud = Cloud()
    assert await all_of(Batches(cloud.send, 16), *map(request, "abc")) == ["vm-a-id", "vm-b-id", "vm-c-id"]
    assert cloud.calls == [["a", "b", "c"]]


async def test_a_call_is_for_so_many_at_most() -> None:
    cloud = Cloud()
    await all_of(Batches(cloud.send, 2), *map(request, "abcde"))
    assert cloud.calls == [["a", "b"], ["c", "d"], ["e"]]


async def test_those_that_come_during_a_call_go_with_the_next_one() -> None:
    cloud = Cloud()
    batches = Batches(cloud.send, 16)
    cloud.free.clear()
    first = asyncio.create_task(batches.launch(request("a")))
    await cloud.asked.wait()
    others = [asyncio.create_task(batches.launch(request(name))) for name in "bc"]
    await asyncio.sleep(0)
    cloud.free.set()
    await asyncio.gather(first, *others)
    assert cloud.calls == [["a"], ["b", "c"]]


@pytest.mark.parametrize(
    "changes",
    [
        {"flavor": "large"},
        {"image": "other"},
        {"user_data": b"other"},
        {"network": "other"},
        {"security_groups": ("other",)},
        {"public_address": True},
        {"options": {"spot": True}},
        {"tags": {"cloudherd-namespace": "chemistry", "cloudherd-name": "b", "cloudherd-id": "id-b"}},
    ],
    ids=lambda one: next(iter(one)),
)
async def test_what_differs_in_anything_else_goes_by_itself(changes: dict[str, object]) -> None:
    cloud = Cloud()
    await all_of(Batches(cloud.send, 16), request("a"), request("b", **changes), request("c"))
    assert sorted(cloud.calls) == [["a", "c"], ["b"]]


def test_what_may_differ_are_the_tags_that_an_instance_is_known_by() -> None:
    assert OWN_TAGS == (identity.NAME, identity.ID)


async def test_where_there_is_room_for_some_the_others_are_told() -> None:
    cloud = Cloud(room=2)
    answers = await all_of(Batches(cloud.send, 16), *map(request, "abcd"))
    assert answers == ["vm-a-id", "vm-b-id", "RoomForSome", "RoomForSome"]
    assert cloud.calls == [["a", "b", "c", "d"]]


async def test_a_limit_that_refuses_all_of_a_call_is_filled_to_the_last_vm() -> None:
    cloud = Cloud(room=3, at_once=False)
    answers = await all_of(Batches(cloud.send, 16), *map(request, "abcdefgh"))
    assert answers == ["vm-a-id", "vm-b-id", "vm-c-id", *["InstanceLimitExceeded"] * 5]
    assert cloud.room == 0
    assert cloud.calls == [list("abcdefgh"), list("abcd"), list("ab"), list("cd"), list("c"), list("d")]


@pytest.mark.parametrize("kind", [kind for kind in ErrorKind if kind is not ErrorKind.FULL])
async def test_any_other_refusal_is_everybodys_and_nothing_is_sent_again(kind: ErrorKind) -> None:
    cloud = Cloud()
    cloud.trouble = CloudError(kind, "Trouble", "words", never_sent=True)
    batches = Batches(cloud.send, 16)
    answers = await asyncio.gather(*(batches.launch(request(name)) for name in "abc"), return_exceptions=True)
    for error in answers:
        assert isinstance(error, CloudError)
        assert (error.kind, error.code, error.message, error.never_sent) == (kind, "Trouble", "words", True)
    assert len({id(error) for error in answers}) == 3
    assert cloud.calls == [["a", "b", "c"]]


async def test_one_that_is_given_up_before_its_call_is_not_launched() -> None:
    cloud = Cloud()
    batches = Batches(cloud.send, 16)
    first, second = (asyncio.create_task(batches.launch(request(name))) for name in "ab")
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).id == "vm-b-id"
    assert cloud.calls == [["b"]]


async def test_one_that_is_given_up_during_its_call_harms_no_other() -> None:
    cloud = Cloud()
    batches = Batches(cloud.send, 16)
    cloud.free.clear()
    first, second = (asyncio.create_task(batches.launch(request(name))) for name in "ab")
    await cloud.asked.wait()
    first.cancel()
    cloud.free.set()
    assert (await second).id == "vm-b-id"


async def test_a_fault_of_ours_leaves_nobody_waiting() -> None:
    cloud = Cloud()
    cloud.trouble = RuntimeError("a bug")
    batches = Batches(cloud.send, 2)
    seen: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(str(context["exception"])))
    assert await all_of(batches, *map(request, "abc")) == ["GivenUp"] * 3
