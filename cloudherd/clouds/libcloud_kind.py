"""Which of apache-libcloud's drivers an account names, and what its create_node can be told. Calls no cloud."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from libcloud.compute.base import NodeDriver
from libcloud.compute.providers import get_driver

from cloudherd.clouds.libcloud_models import LibcloudCredentials, LibcloudOptions
from cloudherd.clouds.protocol import CloudError, Connection, ErrorKind, Verb
from cloudherd.clouds.transport import endpoint

_FAMILIES = {
    "BaseEC2NodeDriver": "ec2",
    "CloudStackNodeDriver": "cloudstack",
    "OpenNebulaNodeDriver": "opennebula",
    "OpenStackNodeDriver": "openstack",
}
"""Whose API a provider of our own speaks, and better: libcloud sends EC2's user data in URLs and reads first pages."""
_TAGS = ("ex_metadata", "ex_tags", "ex_labels")
_USER_DATA = ("ex_userdata", "ex_user_data", "ex_customdata")


@dataclass(frozen=True)
class Kind:
    """A driver's class, and the arguments of its create_node that take tags and user data (empty: none does)."""

    driver: type[NodeDriver]
    tags: str
    user_data: str
    takes: frozenset[str]
    verbs: frozenset[Verb]


def kind_of(options: LibcloudOptions) -> Kind:
    """CloudError(INVALID) where there is no such driver, or none that can be used."""
    name = options.driver
    try:
        driver = get_driver(name)
    except ImportError:
        raise _unusable(name, "a Python package that libcloud's driver needs is not installed") from None
    except Exception:  # noqa: BLE001 - libcloud raises whatever the name leads to
        raise _unusable(name, "libcloud has no driver of this name") from None
    family = next((_FAMILIES[each.__name__] for each in driver.__mro__ if each.__name__ in _FAMILIES), "")
    if family:
        raise _unusable(name, f"it speaks an API that we speak better: write spec.provider: {family} and spec.endpoint")
    takes = frozenset(inspect.signature(driver.create_node).parameters)
    tags = options.tags_argument or _first(_TAGS, takes)
    if not tags:
        what = "libcloud's driver puts no tags on a VM, which could not be known again as ours"
        raise _unusable(name, f"{what}; if it takes some, name the argument in spec.options.tagsArgument")
    return Kind(driver, tags, options.user_data_argument or _first(_USER_DATA, takes), takes, _verbs(driver))


def _verbs(driver: type[NodeDriver]) -> frozenset[Verb]:
    """What is its own and not libcloud's base class's, which can do nothing. It is not said how gently a node stops."""
    own = {Verb.STOP: driver.stop_node is not NodeDriver.stop_node}
    own[Verb.START] = driver.start_node is not NodeDriver.start_node
    return frozenset(verb for verb, is_own in own.items() if is_own)


def _first(names: Iterable[str], known: Iterable[str]) -> str:
    return next((name for name in names if name in known), "")


def _unusable(name: str, why: str) -> CloudError:
    return CloudError(ErrorKind.INVALID, "DriverUnusable", f"spec.options.driver: {name}: {why}")


def made(kind: Kind, connection: Connection, credentials: LibcloudCredentials, options: LibcloudOptions) -> NodeDriver:
    """Must not call the cloud; that is up to libcloud."""
    arguments: dict[str, Any] = dict(options.arguments)
    if connection.endpoint:
        at = endpoint(connection.endpoint)
        arguments |= {"host": at.host, "port": at.port, "secure": at.secure}
        if at.path != "/":
            arguments["path"] = at.path
    keys = [credentials.key, *([credentials.secret] if credentials.secret else [])]
    try:
        return kind.driver(*keys, **arguments)
    except Exception as raised:  # noqa: BLE001 - whatever a driver says to arguments that it does not take
        why = f"libcloud's driver does not take these settings ({type(raised).__name__})"
    raise _unusable(options.driver, f"{why}; see its documentation for spec.options.arguments")
