"""The keys that every provider's Secret may hold."""

from __future__ import annotations

import pytest
import trustme
from pydantic import BaseModel

from cloudherd.clouds.protocol import ErrorKind
from cloudherd.clouds.registry import Registry
from cloudherd.clouds.validation import CREDENTIALS, check
from tests.integration.asked import failure

PEM = trustme.CA().cert_pem.bytes().decode()
KEYS = {
    "ec2": {"accessKey": "a", "secretKey": "s"},
    "openstack": {"applicationCredentialId": "a", "applicationCredentialSecret": "s"},
    "opennebula": {"username": "alice", "password": "s"},
    "cloudstack": {"apiKey": "a", "secretKey": "s"},
    "libcloud": {"key": "k"},
}


@pytest.fixture(params=KEYS)
def keys(request: pytest.FixtureRequest) -> tuple[type[BaseModel], dict[str, str]]:
    return Registry().provider(request.param).credentials_model, KEYS[request.param]


@pytest.mark.parametrize("bundle", [PEM, PEM + PEM, f"Förderverein e.V.\r\n{PEM}\n# end\n", PEM.replace("\n", "\r\n")])
def test_any_account_may_bring_certificates_of_its_own(
    keys: tuple[type[BaseModel], dict[str, str]], bundle: str
) -> None:
    model, given = keys
    found = check(model, {**given, "caBundle": bundle}, CREDENTIALS)
    assert PEM.splitlines()[3] in getattr(found, "ca_bundle")  # noqa: B009 - of any of the models
    assert "CERTIFICATE" not in repr(found)


@pytest.mark.parametrize(
    "bundle",
    [
        "",
        "ca.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        PEM[: len(PEM) // 2],
        PEM + PEM[: len(PEM) // 2],
        trustme.CA().private_key_pem.bytes().decode(),
    ],
)
def test_what_is_no_pem_is_told_by_secret_and_key_and_never_repeated(
    keys: tuple[type[BaseModel], dict[str, str]], bundle: str
) -> None:
    model, given = keys
    error = failure(lambda: check(model, {**given, "caBundle": bundle}, CREDENTIALS))
    assert error.kind is ErrorKind.INVALID
    assert error.message.startswith(
        "The Secret that spec.credentialsRef names: caBundle: no certificates in PEM: each goes from "
        "-----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----. Known: "
    )
