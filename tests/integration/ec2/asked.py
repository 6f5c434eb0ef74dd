"""What the tests of the provider ec2 ask for, and of whom: keys, requests, drivers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from cloudherd.clouds.ec2 import Ec2, Ec2Driver
from cloudherd.clouds.protocol import Connection
from devenv.moto_client import MotoClient
from tests.integration.asked import launch
from tests.integration.ec2_truth import FLAVOR, IMAGE

KEYS = {"accessKey": "AKIDEXAMPLE", "secretKey": "wJalrXUtnFEMI/K7MDENG+bPxRfiCY"}
Connect = Callable[..., Ec2Driver]
request = partial(launch, "physics.aws", ("owner", "Zoë & co"), flavor=FLAVOR, image=IMAGE)


def connected_to(moto: MotoClient, options: dict[str, Any] | None = None, **changes: Any) -> Ec2Driver:
    settings = {"account": "physics.aws", "region": "us-east-1", "endpoint": moto.url, "credentials": KEYS}
    return Ec2().connect(Connection(options=options or {}, **{**settings, **changes}))


def error_xml(code: str, message: str = "") -> str:
    return f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>"
