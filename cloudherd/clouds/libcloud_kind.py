"""Which of apache-libcloud's drivers an account names, and what its create_node can be told. Calls no cloud."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass

from libcloud.compute.base import NodeDriver
from libcloud.compute.providers import get_driver

from cloudherd.clouds.libcloud_known import KNOWN, UNUSABLE
from cloudherd.clouds.libcloud_models import LibcloudOptions
from cloudherd.clouds.protocol import CloudError, Connection, ErrorKind, Verb
from cloudherd.clouds.validation import check

_FAMILIES = {
    "BaseEC2NodeDriver": "ec2",
    "CloudStackNodeDriver": "cloudstack",
    "OpenNebulaNodeDriver": "opennebula",
    "OpenStackNodeDriver": "openstack",
}
"""Whose API a provider of our own speaks, and better: libcloud sends EC2's user data in URLs and reads first pages."""
_TAGS = ("ex_metadata", "ex_tags", "ex_labels")
_USER_DATA = ("ex_userdata", "ex_user_data", "ex_customdata")
_OURS = ("name", "size", "image", "location")


@dataclass(frozen=True)
class Kind:
    """A driver's class, and what it is called by, which may be another one; where in the arguments of its create_node
    tags and user data go (empty: nowhere). `one` is its method that asks for one VM, empty where it has none.
    """

    driver: type[NodeDriver]
    made_by: type[NodeDriver]
    tags: str
    strings: bool
    user_data: str
    one: str
    places: bool
    verbs: frozenset[Verb]


def kind_for(connection: Connection) -> Kind:
    """CloudError(INVALID) where there is no such driver, none that can be used, or none that fits the settings."""
    options = check(LibcloudOptions, connection.options, "spec.options")
    kind = kind_of(options)
    _fit(kind, options, connection.region)
    return kind


def kind_of(options: LibcloudOptions) -> Kind:
    name = options.driver
    made_by = _named(name)
    driver = _made(made_by, options)
    family = next((_FAMILIES[each.__name__] for each in driver.__mro__ if each.__name__ in _FAMILIES), "")
    if family:
        raise unusable(name, f"it speaks an API that we speak better: write spec.provider: {family} and spec.endpoint")
    if name in UNUSABLE:
        raise unusable(name, UNUSABLE[name])
    known = KNOWN.get(name)
    takes = _takes(driver)
    tags = options.tags_argument or (known.tags if known else _first(_TAGS, takes))
    if not tags:
        what = "libcloud's driver puts no tags on a VM, which could not be known again as ours"
        raise unusable(name, f"{what}; if it takes some, name the argument in spec.options.tagsArgument")
    if not known and not options.lists_all:
        what = "it is not known whether its list_nodes reads all pages, and a VM that it leaves out would be replaced"
        raise unusable(name, f"{what}; where you know that it does, write spec.options.listsAll: true")
    return Kind(
        driver=driver,
        made_by=made_by,
        tags=tags,
        strings=known.strings if known else options.tags_as == "strings",
        user_data=options.user_data_argument or (known.user_data if known else _first(_USER_DATA, takes)),
        one=known.one if known else "",
        places="location" in takes and driver.list_locations is not NodeDriver.list_locations,
        verbs=_verbs(driver),
    )


def _named(name: str) -> type[NodeDriver]:
    try:
        named: type[NodeDriver] = get_driver(name)
    except ImportError:
        raise unusable(name, "a Python package that libcloud's driver needs is not installed") from None
    except Exception:  # noqa: BLE001 - libcloud raises whatever the name leads to
        raise unusable(name, "libcloud has no driver of this name") from None
    return named


def _made(named: type[NodeDriver], options: LibcloudOptions) -> type[NodeDriver]:
    """Some classes make objects of others, by their api_version."""
    if not inspect.isfunction(named.__new__):
        return named
    version = {key: value for key, value in options.arguments.items() if key == "api_version"}
    try:
        return type(named.__new__(named, "key", **version))
    except Exception:  # noqa: BLE001 - each driver has its own words for it
        raise unusable(options.driver, "libcloud's driver has no such api_version in spec.options.arguments") from None


def _fit(kind: Kind, options: LibcloudOptions, region: str) -> None:
    """Whether create_node takes what we give it, and is given what it needs."""
    takes = _takes(kind.driver)
    if region and not kind.places:
        raise unusable(options.driver, "libcloud's driver knows no locations; leave spec.region out")
    if not region and takes.get("location"):
        raise unusable(options.driver, "it needs spec.region, which is a location of its cloud by name or ID")
    taken = next((path for path in options.create_arguments if path in (*_OURS, kind.tags, kind.user_data)), "")
    if taken:
        raise unusable(options.driver, f"spec.options.createArguments: {taken} is given by Cloudherd itself")
    given = {path.partition(".")[0] for path in (kind.tags, kind.user_data, *options.create_arguments) if path}
    strange = sorted(given - takes.keys())
    if strange and "**" not in takes:
        raise unusable(options.driver, f"the create_node of libcloud's driver takes no argument {strange[0]}")
    lacking = [name for name, needed in takes.items() if needed and name not in {*given, *_OURS}]
    if lacking:
        raise unusable(options.driver, f"it also needs {', '.join(lacking)}: write spec.options.createArguments")


def _takes(driver: type[NodeDriver]) -> dict[str, bool]:
    """The arguments of create_node, and whether they are needed; `**` where it takes any."""
    parameters = inspect.signature(driver.create_node).parameters.values()
    named = {each.name: each.default is each.empty for each in parameters if each.kind is not each.VAR_KEYWORD}
    named.pop("self", None)
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        named["**"] = False
    return named


def _verbs(driver: type[NodeDriver]) -> frozenset[Verb]:
    """What is its own and not libcloud's base class's, which can do nothing. It is not said how gently a node stops."""
    own = {Verb.STOP: driver.stop_node is not NodeDriver.stop_node}
    own[Verb.START] = driver.start_node is not NodeDriver.start_node
    return frozenset(verb for verb, is_own in own.items() if is_own)


def _first(names: Iterable[str], known: Iterable[str]) -> str:
    return next((name for name in names if name in known), "")


def unusable(name: str, why: str) -> CloudError:
    return CloudError(ErrorKind.INVALID, "DriverUnusable", f"spec.options.driver: {name}: {why}")
