"""OpenNebula and CloudStack for the tests of bad days: servers of our own, what breaks there, and the truth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from tests.e2e.bad_days import POLLS, ours
from tests.e2e.world import Manifest
from tests.fakes.cloudstack import CloudStack
from tests.fakes.httpserver import Fault, Reply, Server
from tests.fakes.opennebula import OpenNebula

ALWAYS = 10**9
HTML = b"<!DOCTYPE html><html><body>%b</body></html>" % (b"<p>Down for maintenance.</p>\n" * 17_300)
assert len(HTML) > 500_000


class Site(ABC):
    """One such cloud, whose server runs within the block that made it, and what an account at it says."""

    provider: ClassVar[str]
    vendor: ClassVar[str]
    flavor: ClassVar[str]
    keys: ClassVar[Mapping[str, str]]
    wrong_keys: ClassVar[Mapping[str, str]]
    refused: ClassVar[str]
    """What it says to wrong keys."""
    full: ClassVar[str]
    """What it says to one VM more where there may be one in all."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @classmethod
    def account(cls, endpoint: str, **spec: Any) -> Manifest:
        """With the name of the provider."""
        fixed = {
            "provider": cls.provider,
            "endpoint": endpoint,
            "credentialsRef": {"name": f"{cls.provider}-keys"},
            "flavors": {"small": cls.flavor},
            "images": {"debian-12": "debian-12"},
        }
        return ours("CloudAccount", cls.provider, {**fixed, **POLLS, **spec})

    @classmethod
    def secret(cls, keys: Mapping[str, str]) -> Manifest:
        name = {"name": f"{cls.provider}-keys"}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": name, "stringData": dict(keys)}

    @contextmanager
    def broken(self, fault: Fault) -> Iterator[None]:
        self.server.faults.append(fault)
        try:
            yield
        finally:
            self.server.faults.clear()

    @abstractmethod
    def living(self) -> set[str]: ...

    @abstractmethod
    def changes(self) -> int:
        """The calls that were to make or end a VM."""

    @abstractmethod
    def limit(self, instances: int | None) -> None: ...


class AtOpenNebula(Site):
    provider, vendor, flavor = "opennebula", "OpenNebula", "small"
    keys: ClassVar = {"username": "alice", "password": "open sesame"}
    wrong_keys: ClassVar = {"username": "alice", "password": "open barley"}
    refused = "AuthenticationFailed: User couldn't be authenticated, aborting call."
    full = "QuotaExceeded: User [3] : user [3] limit of 1 reached for VMS quota in VM."

    def __init__(self, server: OpenNebula) -> None:
        super().__init__(server)
        self.one = server

    def living(self) -> set[str]:
        return {str(one.id) for one in self.one.living()}

    def changes(self) -> int:
        return self.one.calls["template.instantiate"] + self.one.calls["vm.action"]

    def limit(self, instances: int | None) -> None:
        self.one.users[0].quota = {} if instances is None else {"VMS": instances}


class AtCloudStack(Site):
    provider, vendor, flavor = "cloudstack", "CloudStack", "Small Instance"
    keys: ClassVar = {"apiKey": "alices-key", "secretKey": "alices-secret"}
    wrong_keys: ClassVar = {"apiKey": "alices-key", "secretKey": "alices-old-secret"}
    refused = "CloudStack401: unable to verify user credentials and/or request signature"
    full = "CloudStack535: Maximum amount of resources of Type = 'user_vm' for Account Name = alice is exceeded"

    def __init__(self, server: CloudStack) -> None:
        super().__init__(server)
        self.stack = server

    def living(self) -> set[str]:
        return {one.id for one in self.stack.living()}

    def changes(self) -> int:
        return self.stack.calls["deployVirtualMachine"] + self.stack.calls["destroyVirtualMachine"]

    def limit(self, instances: int | None) -> None:
        self.stack.users[0].limits = {} if instances is None else {"vmlimit": instances}


@contextmanager
def opennebula() -> Iterator[Site]:
    with OpenNebula() as server:
        yield AtOpenNebula(server)


@contextmanager
def cloudstack() -> Iterator[Site]:
    with CloudStack() as server:
        yield AtCloudStack(server)


SITES = {"opennebula": opennebula, "cloudstack": cloudstack}


def silence() -> Fault:
    return Fault("hang", times=ALWAYS)


def page(status: int) -> Fault:
    """Half a megabyte of HTML in place of every answer."""
    return Fault("reply", times=ALWAYS, reply=Reply(status, HTML, "text/html"))
