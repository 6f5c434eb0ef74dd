"""Flavors and images that a cloud cannot be asked for, or has several of: said in one sentence, passed over, healed.

The account comes first in every cluster's order, and home, which is simulated, second.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devenv.stage import Stage
from tests.e2e.bad_days import account_ready, cluster, day, says, service, simulated, spread
from tests.e2e.sites import AtCloudStack, AtOpenNebula
from tests.e2e.world import World, until
from tests.fakes.cloudstack import CloudStack, uuid
from tests.fakes.opennebula import OpenNebula
from tests.fakes.opennebula_machine import single


@pytest.fixture(scope="module")
def town(stage: Stage) -> Iterator[World]:
    with day(stage) as world:
        world.apply(simulated())
        account_ready(world, "home")
        yield world


def wants(world: World, workers: int, first: str, **placed: int) -> None:
    world.apply(cluster(service(replicas=workers), at=(first, "home")))
    world.wait_ready(worker=workers)
    assert spread(world) == placed


def end(world: World, *kinds: str) -> None:
    """In this order, while its cloud still answers."""
    for kind in kinds:
        world.delete(kind)
        world.wait_gone(*kind.split("/"))


def test_a_wrong_zone_is_told_as_what_it_is_and_heals_when_there_is_one(town: World) -> None:
    with CloudStack() as stack:
        site = AtCloudStack(stack)
        town.apply(site.secret(site.keys), site.account(f"{stack.url}/client/api", region="south"))
        sentence = (
            "the cloud's images could not be asked for: NotOneZone: spec.region: south, but it must name one of the "
            "zones north"
        )
        told = says(town, "cloudaccount", "cloudstack", "Ready", "False", "CatalogueUnknown")
        assert told["message"] == sentence
        wants(town, 2, "cloudstack", home=2)
        assert stack.calls["deployVirtualMachine"] == 0

        stack.zones.append({"id": uuid("south"), "name": "south"})
        says(town, "cloudaccount", "cloudstack", "Ready", "True", "Ready")
        wants(town, 3, "cloudstack", home=2, cloudstack=1)
        assert {one.fields["zoneid"] for one in stack.living()} == {uuid("south")}
        end(town, "virtualcluster/batch", "cloudaccount/cloudstack")


NAMES = {
    "flavor": ("flavors", "small", "FlavorAmbiguous", "2 flavors of its cloud are called small", ("100", "101")),
    "image": ("images", "debian-12", "ImageAmbiguous", "2 images of its cloud are called debian-12", ("7", "70")),
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_name_that_two_bear_is_passed_over_until_an_id_is_given_or_one_is_renamed(town: World, kind: str) -> None:
    field, name, reason, what, ids = NAMES[kind]
    with OpenNebula() as one:
        twin(one, kind)
        site = AtOpenNebula(one)
        town.apply(site.secret(site.keys), site.account(f"{one.url}/RPC2"))
        sentence = f"{what}: give the ID of one ({', '.join(ids)}) in spec.{field}.{name}"
        told = says(town, "cloudaccount", "opennebula", "Ready", "True", reason)
        assert told["message"] == f"{sentence}; the others are used"
        wants(town, 2, "opennebula", home=2)
        says(town, "virtualcluster", "batch", "Placed", "True", f"opennebula cannot use the {kind} {name}: {sentence}")
        assert one.calls["template.instantiate"] == 0

        point(town, field, name, ids[0])
        says(town, "cloudaccount", "opennebula", "Ready", "True", "Ready")
        wants(town, 3, "opennebula", home=2, opennebula=1)
        (machine,) = one.living()
        assert single(machine.template, "CPU") == "1", "the one that the ID says"

        point(town, field, name, name)
        says(town, "cloudaccount", "opennebula", "Ready", "True", reason)
        rename(one, kind)
        until("it heals", lambda: town.condition("cloudaccount", "opennebula", "Ready")["reason"] == "Ready")
        wants(town, 4, "opennebula", home=2, opennebula=2)
        end(town, "virtualcluster/batch", "cloudaccount/opennebula")


def twin(one: OpenNebula, kind: str) -> None:
    if kind == "image":
        one.images[70] = "debian-12"
    else:
        assert one.add_template("small", CPU="8", MEMORY="65536") == 101


def rename(one: OpenNebula, kind: str) -> None:
    if kind == "image":
        one.images[70] = "debian-12-old"
    else:
        one.templates[101] = ("huge", one.templates[101][1])


def point(world: World, field: str, name: str, to: str) -> None:
    world.merge("cloudaccount", "opennebula", {"spec": {field: {name: to}}})
