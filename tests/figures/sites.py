"""The test servers that the figures are taken at, one for each provider, with an account's settings and a count of the
calls that reached them. Each is a context manager and leaves nothing behind.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from cloudherd.clouds.simulated import SimulatedCloud
from cloudherd.clouds.transport import Transport
from devenv.moto_client import running_moto
from devenv.openstack import OpenStack
from devenv.openstack_seed import IMAGE as OPENSTACK_IMAGE
from devenv.openstack_seed import TINY
from tests.fakes.cloudstack import CloudStack
from tests.fakes.libcloud_driver import SKIES, Sky, register
from tests.fakes.opennebula import OpenNebula
from tests.integration.ec2.asked import KEYS
from tests.integration.ec2_truth import FLAVOR, IMAGE

ACCOUNT = "physics.figures"
ROOMY: Mapping[str, Any] = {"instances": 1000, "cores": 1000, "ram": -1}


@dataclass(frozen=True)
class Site:
    """`settings` are those of a CloudAccount's spec. `calls` tells how many were counted so far, `counted` where."""

    provider: str
    flavor: str
    image: str
    settings: Mapping[str, Any]
    calls: Callable[[], int]
    counted: str
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)


@contextmanager
def simulated() -> Iterator[Site]:
    with (
        tempfile.TemporaryDirectory(prefix="cloudherd-figures-") as directory,
        mock.patch.dict(os.environ, CLOUDHERD_SIMULATED_DIR=directory),
    ):
        truth = SimulatedCloud.of(ACCOUNT, Path(directory))
        yield Site("simulated", "sim.small", "sim-debian-12", {}, lambda: len(truth.calls()), "its log")


@contextmanager
def ec2(**options: object) -> Iterator[Site]:
    with running_moto() as moto:
        moto.knobs(keys={KEYS["accessKey"]: KEYS["secretKey"]})
        settings = {"region": "us-east-1", "endpoint": moto.url, "options": options}
        yield Site("ec2", FLAVOR, IMAGE, settings, lambda: sum(moto.calls().values()), "moto", KEYS)


@contextmanager
def opennebula() -> Iterator[Site]:
    with OpenNebula() as server:
        alice = server.users[0]
        keys = {"username": alice.name, "password": alice.password}
        settings = {"endpoint": server.url}
        yield Site("opennebula", "small", "debian-12", settings, server.calls.total, "the server", keys)


@contextmanager
def cloudstack() -> Iterator[Site]:
    with CloudStack() as server:
        alice = server.users[0]
        keys = {"apiKey": alice.api_key, "secretKey": alice.secret}
        settings = {"endpoint": f"{server.url}/client/api", "region": "north"}
        calls = server.calls.total
        yield Site("cloudstack", "Small Instance", "debian-12", settings, calls, "the server", keys)


@contextmanager
def libcloud() -> Iterator[Site]:
    """The calls are those of libcloud's driver in memory: it has no server."""
    register()
    sky = SKIES["figures"] = Sky()
    try:
        options = {"options": {"driver": "flat", "listsAll": True}}
        yield Site("libcloud", "small", "debian-12", options, sky.calls.total, "the driver", {"key": "figures"})
    finally:
        del SKIES["figures"]


@contextmanager
def openstack() -> Iterator[Site]:
    """OpenStack's services keep no log of calls here, so they are counted where they are sent: all of them, keystone's
    too.
    """
    with tempfile.TemporaryDirectory(prefix="cloudherd-figures-") as directory, OpenStack(Path(directory)) as cloud:
        admin = cloud.admin()
        keys = admin.application_credential(admin.new_project(**ROOMY))
        settings = {"region": "RegionOne", "endpoint": cloud.url}
        with counted_sendings() as calls:
            yield Site("openstack", TINY, OPENSTACK_IMAGE, settings, calls, "the client", keys)


@contextmanager
def counted_sendings() -> Iterator[Callable[[], int]]:
    """What goes out within the block through the transport of libcloud's connections, whatever becomes of it."""
    sent: list[str] = []
    send = Transport.request

    def counting(transport: Transport, method: str, *arguments: Any, **settings: Any) -> None:
        sent.append(method)  # one step for threads, which += is not
        send(transport, method, *arguments, **settings)

    with mock.patch.object(Transport, "request", counting):
        yield lambda: len(sent)


SITES: Mapping[str, Callable[[], AbstractContextManager[Site]]] = {
    "simulated": simulated,
    "ec2": ec2,
    "ec2, batch of 16": partial(ec2, batch=16),
    "opennebula": opennebula,
    "cloudstack": cloudstack,
    "libcloud": libcloud,
    "openstack": openstack,
}
"""By the name of their row in the table: the provider's, and after a comma what is special about the account."""


def provider_of(row: str) -> str:
    return row.partition(",")[0]
