"""What connecting an account at OpenStack makes of its settings, without a call to any cloud."""

from __future__ import annotations

from typing import Any

import pytest

from cloudherd.clouds.openstack import OpenStack
from cloudherd.clouds.protocol import CloudError, Connection, ErrorKind

APPLICATION = {"applicationCredentialId": "a1b2", "applicationCredentialSecret": "s3cret-s3cret"}
USER = {"username": "zoe", "password": "hunter2-hunter2", "projectName": "physics"}


def connect(**changes: Any) -> Any:
    settings = {"account": "physics.home", "region": "RegionOne", "endpoint": "https://keystone.example.org:5000"}
    return OpenStack().connect(Connection(**{**settings, "credentials": APPLICATION, **changes}))


def problem(**changes: Any) -> str:
    with pytest.raises(CloudError) as caught:
        connect(**changes)
    assert caught.value.kind is ErrorKind.INVALID
    assert not [value for value in ("s3cret-s3cret", "hunter2-hunter2") if value in str(caught.value)]
    return caught.value.message


@pytest.mark.parametrize(
    "credentials",
    [
        APPLICATION,
        USER,
        {"username": "zoe", "password": "hunter2-hunter2", "projectId": "p"},
        {**USER, "userDomainName": "ldap", "projectDomainName": "ldap"},
        {**APPLICATION, "note": "ours", "applicationCredentialSecret": "s3cret-s3cret\n"},
    ],
)
def test_keys_that_will_do(credentials: dict[str, str]) -> None:
    connect(credentials=credentials)


@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"applicationCredentialId": "a1b2"},
        {"username": "zoe", "password": "hunter2-hunter2"},
        {**APPLICATION, **USER},
    ],
)
def test_keys_that_make_no_whole_are_told_in_one_sentence(credentials: dict[str, str]) -> None:
    assert problem(credentials=credentials) == (
        "The Secret that spec.credentialsRef names: give either applicationCredentialId and "
        "applicationCredentialSecret, or username, password and projectName (or projectId)"
    )


def test_endpoint_and_region_are_required() -> None:
    assert problem(endpoint="") == "spec.endpoint is required for the provider openstack"
    assert problem(region="") == "spec.region is required for the provider openstack"


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:5000", "https://h/identity/v3", "http://[::1]:5000/v3"])
def test_endpoints_that_will_do(endpoint: str) -> None:
    connect(endpoint=endpoint)


@pytest.mark.parametrize("endpoint", ["127.0.0.1:5000", "ftp://h", "http://h:x", "http://u:p@h", "http://h?a=b"])
def test_endpoints_that_will_not(endpoint: str) -> None:
    assert problem(endpoint=endpoint) == "spec.endpoint: must be http[s]://host[:port][/path] and nothing more"


def test_options_that_make_no_sense_are_named() -> None:
    assert problem(options={"timeoutSeconds": 0}).startswith("spec.options: timeoutSeconds: ")
    assert problem(options={"interface": "admin"}).startswith("spec.options: interface is not known")


def test_neither_credentials_nor_a_driver_show_their_secrets() -> None:
    for credentials in (APPLICATION, USER):
        shown = f"{connect(credentials=credentials)!r}{OpenStack().credentials_model.model_validate(credentials)!r}"
        assert not [secret for secret in ("s3cret-s3cret", "hunter2-hunter2") if secret in shown]
