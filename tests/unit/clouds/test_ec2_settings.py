"""What connecting an account at EC2 makes of its settings, without a call to any cloud."""

from __future__ import annotations

from typing import Any

import pytest

from cloudherd.clouds.ec2 import Ec2
from cloudherd.clouds.protocol import CloudError, Connection, ErrorKind

KEYS = {"accessKey": "AKIAEXAMPLE", "secretKey": "wJalrXUtnFEMI"}


def connect(**changes: Any) -> None:
    settings = {"account": "physics.aws", "region": "us-east-1", "credentials": KEYS}
    Ec2().connect(Connection(**{**settings, **changes}))


def problem(**changes: Any) -> str:
    with pytest.raises(CloudError) as caught:
        connect(**changes)
    assert caught.value.kind is ErrorKind.INVALID
    assert not [value for value in KEYS.values() if value in str(caught.value)]
    return caught.value.message


def test_an_account_at_the_public_endpoint_needs_region_and_keys_only() -> None:
    connect()


@pytest.mark.parametrize(
    "endpoint",
    ["http://127.0.0.1:5000", "https://ec2.example.org", "http://[::1]:8773/services/Cloud", "HTTPS://h/p/"],
)
def test_endpoints_that_will_do(endpoint: str) -> None:
    connect(endpoint=endpoint, region="RegionOne")


@pytest.mark.parametrize(
    "endpoint",
    [
        "127.0.0.1:5000",
        "ftp://h",
        "http://",
        "http://h:99999",
        "http://h:x",
        "http://u:p@h",
        "http://h?a=b",
        "http://h#f",
    ],
)
def test_endpoints_that_will_not(endpoint: str) -> None:
    assert problem(endpoint=endpoint) == "spec.endpoint: must be http[s]://host[:port][/path] and nothing more"


def test_a_region_is_required_and_must_be_known_where_no_endpoint_is_given() -> None:
    assert problem(region="") == "spec.region is required for the provider ec2"
    assert problem(region="mars-1") == "spec.region: no endpoint of EC2 is known for mars-1; set spec.endpoint"


@pytest.mark.parametrize(
    ("credentials", "names"),
    [
        ({}, "accessKey"),
        ({"accessKey": "AKIAEXAMPLE"}, "secretKey"),
        ({**KEYS, "secretKey": "  \n"}, "secretKey"),
        ({**KEYS, "accessKey": "AKIA\nX-Header: wJalrXUtnFEMI"}, "accessKey"),
    ],
)
def test_keys_that_are_missing_or_cannot_be_sent_are_named_and_not_shown(
    credentials: dict[str, str], names: str
) -> None:
    assert problem(credentials=credentials).startswith(f"The Secret that spec.credentialsRef names: {names}")


def test_a_newline_at_a_keys_end_and_other_keys_in_the_secret_do_no_harm() -> None:
    connect(credentials={"accessKey": "AKIAEXAMPLE\n", "secretKey": "wJalrXUtnFEMI\n", "note": "ours"})


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"pageSize": 4}, "pageSize: "),
        ({"signatureVersion": 3}, "signatureVersion: "),
        ({"timeoutSeconds": 0}, "timeoutSeconds: "),
        ({"pagesize": 10}, "pagesize is not known"),
    ],
)
def test_options_that_make_no_sense_are_named(options: dict[str, Any], names: str) -> None:
    assert problem(options=options).startswith(f"spec.options: {names}")


def test_a_session_token_needs_version_4() -> None:
    sentence = problem(credentials={**KEYS, "sessionToken": "t"}, options={"signatureVersion": 2})
    assert sentence == "spec.options.signatureVersion: 2 cannot carry the Secret's sessionToken; leave it at 4"


def test_neither_credentials_nor_a_driver_show_their_secrets() -> None:
    driver = Ec2().connect(Connection("physics.aws", "us-east-1", credentials=KEYS))
    shown = f"{driver!r}{vars(driver)!r}{Ec2().credentials_model.model_validate(KEYS)!r}"
    assert not [value for value in KEYS.values() if value in shown]
