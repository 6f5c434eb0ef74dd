"""Which of libcloud's drivers an account may name, and which settings fit it: told before anything is called."""

from __future__ import annotations

from typing import Any

import pytest
from libcloud.compute.providers import DRIVERS

from cloudherd.clouds.libcloud_any import Libcloud
from cloudherd.clouds.libcloud_kind import kind_of
from cloudherd.clouds.libcloud_known import KNOWN, UNUSABLE
from cloudherd.clouds.libcloud_models import LibcloudOptions
from cloudherd.clouds.protocol import Connection, ErrorKind
from tests.fakes.libcloud_driver import register
from tests.integration.asked import failure

register()


def account(driver: str, region: str = "", **options: Any) -> Connection:
    settings = {"driver": driver, "listsAll": True, **options}
    return Connection("physics.flat", region, credentials={"key": "key"}, options=settings)


@pytest.mark.parametrize(
    ("driver", "words"),
    [
        ("ec2", "it speaks an API that we speak better: write spec.provider: ec2 and spec.endpoint"),
        ("exoscale", "it speaks an API that we speak better: write spec.provider: cloudstack and spec.endpoint"),
        ("nobody", "libcloud has no driver of this name"),
        ("dummy", "libcloud's driver puts no tags on a VM, which could not be known again as ours"),
        *UNUSABLE.items(),
    ],
)
def test_a_driver_that_cannot_be_used_is_told_before_any_call(driver: str, words: str) -> None:
    for call in (Libcloud().capabilities_of, Libcloud().connect):
        error = failure(lambda: call(account(driver)))  # noqa: B023
        assert error.kind is ErrorKind.INVALID
        assert error.message.startswith(f"spec.options.driver: {driver}: {words}")


def test_what_is_known_of_drivers_is_of_drivers_that_there_are() -> None:
    for name, known in KNOWN.items():
        kind = kind_of(LibcloudOptions(driver=name))
        assert kind.tags == known.tags
        assert hasattr(kind.driver, known.one)
    assert KNOWN.keys() | UNUSABLE.keys() <= set(DRIVERS)
    assert not KNOWN.keys() & UNUSABLE.keys()


def test_a_driver_that_may_list_only_a_part_is_used_only_where_the_user_says_that_it_does_not() -> None:
    error = failure(lambda: Libcloud().capabilities_of(account("flat", listsAll=False)))
    assert "whether its list_nodes reads all pages" in error.message
    assert error.message.endswith("where you know that it does, write spec.options.listsAll: true")


@pytest.mark.parametrize(
    ("driver", "region", "options", "words"),
    [
        ("digitalocean", "", {}, "it needs spec.region, which is a location of its cloud by name or ID"),
        ("cloudscale", "lpg1", {}, "libcloud's driver knows no locations; leave spec.region out"),
        ("digitalocean", "fra1", {"arguments": {"api_version": "v1"}}, "libcloud's driver has no such api_version"),
        ("flat", "", {"tagsArgument": "ex_tags"}, "the create_node of libcloud's driver takes no argument ex_tags"),
        (
            "flat",
            "",
            {"createArguments": {"colour": "red"}},
            "the create_node of libcloud's driver takes no argument co",
        ),
        (
            "flat",
            "",
            {"createArguments": {"ex_metadata": "a"}},
            "spec.options.createArguments: ex_metadata is given by",
        ),
        (
            "gig_g8",
            "",
            {"tagsArgument": "ex_create_attr.tags"},
            "it also needs ex_network, ex_description: write spec.o",
        ),
    ],
)
def test_settings_that_do_not_fit_the_driver_are_told_before_any_call(
    driver: str, region: str, options: dict[str, Any], words: str
) -> None:
    error = failure(lambda: Libcloud().capabilities_of(account(driver, region, **options)))
    assert error.message.startswith(f"spec.options.driver: {driver}: {words}")


def test_verbs_are_those_that_the_driver_has_itself() -> None:
    def verbs(driver: str) -> set[str]:
        return set(kind_of(LibcloudOptions.model_validate({"driver": driver, "listsAll": True})).verbs)

    assert verbs("flat") == verbs("cloudscale") == {"stop", "start"}
    assert verbs("digitalocean") == set()
