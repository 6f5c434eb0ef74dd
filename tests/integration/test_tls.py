"""Each provider over TLS: what is said of a certificate that is not believed, and that the Secret's caBundle mends it.

The servers are those of the providers' other tests, behind a door that speaks TLS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

from cloudherd.clouds.protocol import Connection, Driver, ErrorKind, LaunchRequest
from cloudherd.clouds.registry import Registry
from devenv.moto_client import running_moto
from tests.fakes.cloudstack import CloudStack
from tests.fakes.digitalocean import DigitalOcean
from tests.fakes.opennebula import OpenNebula
from tests.fakes.tls import HOST, over_tls
from tests.integration.asked import failure, launch
from tests.integration.ec2_truth import FLAVOR, IMAGE
from tests.unit.clouds.openstack_stub import KEYS, Asked, Reply, running_stub

pytestmark = pytest.mark.integration

CA = trustme.CA()
PEM = CA.cert_pem.bytes().decode()
NOT_TRUSTED = (
    f"the certificate of {HOST} is signed by itself or by a CA that is not trusted: put the CA's certificate, in PEM, "
    "as caBundle into the Secret that spec.credentialsRef names"
)


@dataclass(frozen=True)
class Cloud:
    """A server that speaks plain HTTP, and an account there. `told`: what it was asked so far. `behind`: it learns by
    which URL it is reached.
    """

    provider: str
    url: str
    told: Callable[[], object]
    keys: dict[str, str]
    launch: LaunchRequest
    settings: dict[str, Any] = field(default_factory=dict)
    behind: Callable[[str], None] = lambda _: None

    @contextmanager
    def with_certificate(self, certificate: trustme.LeafCert) -> Iterator[Callable[..., Driver]]:
        """A driver of another account with each call, whose Secret holds these keys too."""
        with over_tls(self.url, certificate) as url:
            self.behind(url)

            def driver(**more: str) -> Driver:
                connection = Connection(
                    "physics.home", endpoint=url, credentials={**self.keys, **more}, **self.settings
                )
                return Registry().provider(self.provider).connect(connection)

            yield driver


def request(flavor: str, image: str = "debian-12") -> LaunchRequest:
    return launch("physics.home", ("a", "b"), flavor=flavor, image=image)


@contextmanager
def ec2() -> Iterator[Cloud]:
    with running_moto() as moto:
        keys = {"accessKey": "AKIDEXAMPLE", "secretKey": "wJalrXUtnFEMI/K7MDENG+bPxRfiCY"}
        moto.knobs(keys={keys["accessKey"]: keys["secretKey"]})
        yield Cloud("ec2", moto.url, moto.calls, keys, request(FLAVOR, IMAGE), {"region": "us-east-1"})


@contextmanager
def openstack() -> Iterator[Cloud]:
    with running_stub() as stub:

        def nova(asked: Asked) -> Reply:
            known = {"servers": [], "flavors": [{"id": "1", "name": "small", "vcpus": 1, "ram": 512}]}
            return (202, {"server": {"id": "s-1"}}) if asked.method == "POST" else (200, known)

        def behind(url: str) -> None:
            stub.url = url  # which the catalogue shows

        stub.nova = nova
        image = "5a1f42c2-0000-4000-8000-000000000001"
        settings = {"region": "RegionOne"}
        yield Cloud("openstack", stub.url, stub.calls, KEYS, request("small", image), settings, behind)


@contextmanager
def opennebula() -> Iterator[Cloud]:
    with OpenNebula() as one:
        keys = {"username": "alice", "password": "open sesame"}
        yield Cloud("opennebula", one.url, one.calls.copy, keys, request("small"))


@contextmanager
def cloudstack() -> Iterator[Cloud]:
    with CloudStack() as stack:
        keys = {"apiKey": "alices-key", "secretKey": "alices-secret"}
        yield Cloud("cloudstack", stack.url, stack.calls.copy, keys, request("Small Instance"))


@contextmanager
def libcloud() -> Iterator[Cloud]:
    with DigitalOcean() as ocean:
        settings = {"region": "fra1", "options": {"driver": "digitalocean"}}
        asked = request("s-1vcpu-1gb", "debian-12-x64")
        yield Cloud("libcloud", ocean.url, ocean.calls.copy, {"key": "alices-token"}, asked, settings)


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    file = tmp_path / "cas.pem"
    file.write_bytes(CA.cert_pem.bytes())
    return file


@pytest.fixture(scope="module", params=[ec2, openstack, opennebula, cloudstack, libcloud], ids=lambda one: one.__name__)
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    with request.param() as cloud:
        yield cloud


def not_trusted(call: Callable[[], object]) -> bool:
    """With the way out, and as a call of which nothing was sent."""
    error = failure(call)
    return (error.kind, error.message, error.never_sent) == (ErrorKind.UNREACHABLE, NOT_TRUSTED, True)


def test_an_unknown_ca_is_told_with_the_way_out_and_nothing_was_sent(cloud: Cloud) -> None:
    before = cloud.told()
    with cloud.with_certificate(CA.issue_cert(HOST)) as driver:
        for more in ({}, {"caBundle": trustme.CA().cert_pem.bytes().decode()}):
            mine = driver(**more)
            assert not_trusted(mine.list_vms)
            assert not_trusted(partial(mine.create_vm, cloud.launch))
    assert cloud.told() == before


def test_the_accounts_own_ca_is_believed_and_by_no_other_account(cloud: Cloud) -> None:
    with cloud.with_certificate(CA.issue_cert(HOST)) as driver:
        mine, other = driver(caBundle=PEM), driver()
        assert not_trusted(other.list_vms)
        assert mine.list_vms().complete
        assert mine.create_vm(cloud.launch).id
        assert not_trusted(other.list_vms)
        assert not_trusted(driver().list_vms)


def test_a_ca_of_the_process_is_believed_by_all_and_a_bundle_comes_on_top(
    cloud: Cloud, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    with cloud.with_certificate(CA.issue_cert(HOST)) as driver:
        assert driver().list_vms().complete
        assert driver(caBundle=trustme.CA().cert_pem.bytes().decode()).list_vms().complete


def test_nothing_else_in_the_environment_is_believed_or_switches_it_off(
    cloud: Cloud, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca_file))
    monkeypatch.setenv("CURL_CA_BUNDLE", "")
    monkeypatch.setattr("libcloud.security.VERIFY_SSL_CERT", False)
    monkeypatch.setattr("libcloud.security.CA_CERTS_PATH", str(ca_file))
    with cloud.with_certificate(CA.issue_cert(HOST)) as driver:
        assert not_trusted(driver().list_vms)


@pytest.mark.parametrize(
    ("name", "until", "words"),
    [
        ("elsewhere.example.org", None, "is for other names: spec.endpoint, and at OpenStack the catalogue, must use"),
        (HOST, datetime(2020, 1, 1, tzinfo=UTC), "or its CA's has expired: it must be renewed there"),
    ],
)
def test_another_host_and_an_end_that_has_passed_are_told_apart(
    cloud: Cloud, name: str, until: datetime | None, words: str
) -> None:
    with cloud.with_certificate(CA.issue_cert(name, not_after=until)) as driver:
        error = failure(lambda: driver(caBundle=PEM).create_vm(cloud.launch))
    assert (error.kind, error.never_sent) == (ErrorKind.UNREACHABLE, True)
    assert error.message.startswith(f"the certificate of {HOST} {words}")


def test_a_certificate_put_into_the_bundle_itself_is_believed(cloud: Cloud) -> None:
    """As people do who have no file of their CA."""
    certificate = CA.issue_cert(HOST)
    with cloud.with_certificate(certificate) as driver:
        shown = certificate.cert_chain_pems[0].bytes().decode()
        assert driver(caBundle=shown).list_vms().complete


def test_at_openstack_the_services_of_the_catalogue_are_told_apart_from_keystone() -> None:
    with (
        openstack() as cloud,
        over_tls(cloud.url, trustme.CA().issue_cert(HOST)) as nova,
        cloud.with_certificate(CA.issue_cert(HOST)) as driver,
    ):
        cloud.behind(nova)
        assert not_trusted(lambda: driver(caBundle=PEM).create_vm(cloud.launch))
        assert cloud.told() == {"POST /v3/auth/tokens": 1}
