"""What the tests of the provider ec2 ask for, and of whom: keys, requests, drivers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from cloudherd.clouds.ec2 import Ec2, Ec2Driver
from cloudherd.clouds.protocol import CloudError, Connection, LaunchRequest
from devenv.moto_client import MotoClient
from tests.integration.ec2_truth import FLAVOR, IMAGE

KEYS = {"accessKey": "AKIDEXAMPLE", "secretKey": "wJalrXUtnFEMI/K7MDENG+bPxRfiCY"}
Connect = Callable[..., Ec2Driver]
_tokens = count()


def connected_to(moto: MotoClient, options: dict[str, Any] | None = None, **changes: Any) -> Ec2Driver:
    settings = {"account": "physics.aws", "region": "us-east-1", "endpoint": moto.url, "credentials": KEYS}
    return Ec2().connect(Connection(options=options or {}, **{**settings, **changes}))


def request(**changes: Any) -> LaunchRequest:
    number = next(_tokens)
    made = LaunchRequest(
        token=f"ch-{number:040x}",
        name=f"batch-worker-{number}",
        flavor=FLAVOR,
        image=IMAGE,
        tags={"cloudherd-id": f"id-{number}", "cloudherd-account": "physics.aws", "owner": "Zoë & co"},
        user_data=b"#cloud-config\npassword: hunter2-hunter2\n",
    )
    return replace(made, **changes)


def failure(call: Callable[[], object]) -> CloudError:
    with pytest.raises(CloudError) as caught:
        call()
    return caught.value


def error_xml(code: str, message: str = "") -> str:
    return f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>"
