"""What an account's cloud tells of flavors and images: not at all, of several of one name, and otherwise again."""

from __future__ import annotations

from itertools import count
from typing import Literal

from cloudherd.clouds.protocol import CloudError, ErrorKind, Image, Size
from cloudherd.runtime import kinds
from tests.fakes.agentworld import NAMESPACE, World, agent_at_work, message, told
from tests.fakes.clock import on_virtual_time


def flavors(world: World, account: str = "home") -> list[str]:
    return [one.name for one in world.account_now(account).status.flavors]


def lacking(world: World, account: str = "home") -> list[tuple[str, str, str]]:
    return [(one.reason, one.name, one.message) for one in world.account_now(account).status.lacking]


def refuse(world: World, account: str, *operations: str, kind: ErrorKind = ErrorKind.INVALID) -> None:
    """The cloud's words are others each time."""
    numbers = count(1)

    def fault(operation: str, when: Literal["before", "after"], _what: str) -> None:
        if operation in operations and when == "before":
            raise CloudError(kind, "NotOneZone", f"request {next(numbers)}: there is no zone moon")

    world.clouds.clouds[f"{NAMESPACE}.{account}"].fault = fault


def heal(world: World, account: str) -> None:
    world.clouds.clouds[f"{NAMESPACE}.{account}"].fault = None


@on_virtual_time
async def test_a_new_account_whose_images_cannot_be_asked_for_says_so_and_heals_by_itself() -> None:
    async with agent_at_work() as world:
        cloud = world.cloud("other")
        refuse(world, "other", "images")
        await world.account("other")
        await world.clock.advance(5)
        assert told(world, account="other") == ("False", "CatalogueUnknown")
        assert message(world, "other") == (
            "the cloud's images could not be asked for: NotOneZone: request 1: there is no zone moon"
        )
        assert flavors(world, "other") == ["large", "small"], "what is known is kept"
        assert lacking(world, "other") == []
        assert cloud.count("limits") > 0, "the limit is told all the same"
        written = len(world.server.writes(kinds.CLOUD_ACCOUNT))
        await world.clock.advance(600)
        assert len(world.server.writes(kinds.CLOUD_ACCOUNT)) == written, "other words are no news"
        heal(world, "other")
        await world.clock.advance(62)
        assert told(world, account="other") == ("True", "Ready")
        assert told(world) == ("True", "Ready")


@on_virtual_time
async def test_where_flavors_cannot_be_asked_for_none_is_called_unknown() -> None:
    async with agent_at_work() as world:
        world.cloud("other")
        refuse(world, "other", "sizes", kind=ErrorKind.UNREACHABLE)
        await world.account("other")
        await world.clock.advance(5)
        assert told(world, account="other") == ("False", "CatalogueUnknown")
        assert message(world, "other").startswith("the cloud's flavors could not be asked for: ")
        assert (flavors(world, "other"), lacking(world, "other")) == ([], [])


@on_virtual_time
async def test_what_was_told_before_is_used_on_by_this_agent_and_the_next() -> None:
    async with agent_at_work() as world:
        await world.clock.advance(5)
        refuse(world, "home", "sizes", "images")
        await world.clock.advance(3700)
        assert told(world) == ("True", "CatalogueOutdated")
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Ready", 1))
        await world.kill()
        world.start()
        await world.instance("batch-worker-1")
        await world.clock.until(world.all_are("Ready", 2), within=120)
        assert (told(world), flavors(world)) == (("True", "CatalogueOutdated"), ["large", "small"])
        heal(world, "home")
        await world.clock.advance(62)
        assert told(world) == ("True", "Ready")


@on_virtual_time
async def test_a_cloud_that_is_asked_too_often_is_asked_later_without_a_word() -> None:
    async with agent_at_work() as world:
        await world.clock.advance(5)
        refuse(world, "home", "sizes", "images", kind=ErrorKind.THROTTLED)
        written = len(world.server.writes(kinds.CLOUD_ACCOUNT))
        await world.clock.advance(3700)
        assert world.home.count("sizes") > 1
        assert len(world.server.writes(kinds.CLOUD_ACCOUNT)) == written


@on_virtual_time
async def test_a_flavor_of_which_there_are_two_is_not_offered_until_there_is_one() -> None:
    async with agent_at_work() as world:
        cloud = world.cloud("other")
        cloud.sizes.append(Size("f-9", "sim.small", 8, 64 * 1024**3))
        await world.account("other")
        await world.clock.advance(5)
        assert told(world, account="other") == ("True", "FlavorAmbiguous")
        sentence = "2 flavors of its cloud are called sim.small: give the ID of one (f-1, f-9) in spec.flavors.small"
        assert message(world, "other") == f"{sentence}; the others are used"
        assert lacking(world, "other") == [("FlavorAmbiguous", "small", sentence)]
        assert flavors(world, "other") == ["large"]
        written = len(world.server.writes(kinds.CLOUD_ACCOUNT))
        cloud.sizes.reverse()
        await world.clock.advance(600)
        assert len(world.server.writes(kinds.CLOUD_ACCOUNT)) == written
        cloud.sizes.remove(Size("f-9", "sim.small", 8, 64 * 1024**3))
        await world.clock.advance(62)
        assert (told(world, account="other"), lacking(world, "other")) == (("True", "Ready"), [])
        assert flavors(world, "other") == ["large", "small"]


@on_virtual_time
async def test_an_id_tells_which_one_is_meant_at_once() -> None:
    async with agent_at_work() as world:
        cloud = world.cloud("other")
        cloud.sizes.append(Size("f-9", "sim.small", 8, 64 * 1024**3))
        cloud.images.append(Image("i-2", "sim-debian-12"))
        await world.account("other")
        await world.clock.advance(5)
        assert [reason for reason, *_ in lacking(world, "other")] == ["FlavorAmbiguous", "ImageAmbiguous"]
        ids = {"flavors": {"small": "f-9"}, "images": {"debian-12": "i-2"}}
        await world.user.patch(kinds.CLOUD_ACCOUNT, NAMESPACE, "other", {"spec": ids})
        await world.clock.advance(2)
        assert (told(world, account="other"), lacking(world, "other")) == (("True", "Ready"), [])
        (small,) = (one for one in world.account_now("other").status.flavors if one.name == "small")
        assert (small.id, small.cpus) == ("f-9", 8)


@on_virtual_time
async def test_a_second_image_of_the_name_is_found_when_the_first_launch_is_refused_for_it() -> None:
    async with agent_at_work() as world:
        await world.clock.advance(5)
        world.home.images.append(Image("i-2", "sim-debian-12"))

        def fault(operation: str, when: Literal["before", "after"], _what: str) -> None:
            if operation == "create_vm" and when == "before" and len(world.home.images) > 1:
                raise CloudError(ErrorKind.INVALID, "NotOne", "several have this name")

        world.home.fault = fault
        await world.instance("batch-worker-0")
        await world.clock.until(world.all_are("Failed", 1), within=5)
        await world.clock.advance(62)
        assert told(world) == ("True", "ImageAmbiguous")
        del world.home.images[1]
        await world.clock.advance(62)
        assert told(world) == ("True", "Ready")
        await world.delete("batch-worker-0")
        await world.instance("batch-worker-1")
        await world.clock.until(lambda: world.phases().get("batch-worker-1") == "Ready", within=10)
