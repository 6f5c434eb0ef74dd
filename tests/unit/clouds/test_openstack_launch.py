from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from typing import Any

from cloudherd.clouds.openstack_launch import Ids, server
from cloudherd.clouds.openstack_models import OpenStackLaunchOptions
from cloudherd.clouds.protocol import LaunchRequest

REQUEST = LaunchRequest(
    token="ch-0123",
    name="batch-worker-0-6f0c1234",
    flavor="m1.tiny",
    image="debian",
    tags={"cloudherd-id": "6f0c", "owner": "Zoë"},
)


def body(request: LaunchRequest = REQUEST, network: str = "", **options: object) -> dict[str, Any]:
    made = server(request, OpenStackLaunchOptions.model_validate(options), Ids("1", "i-1", network))
    assert set(made) == {"server"}
    return dict(made["server"])


def test_a_plain_launch_is_name_flavor_image_and_tags() -> None:
    assert body() == {
        "name": "batch-worker-0-6f0c1234",
        "flavorRef": "1",
        "imageRef": "i-1",
        "metadata": {"cloudherd-id": "6f0c", "owner": "Zoë"},
    }


def test_user_data_travels_as_base64_of_its_bytes() -> None:
    data = b"\0\xff#!"
    assert b64decode(body(replace(REQUEST, user_data=data))["user_data"]) == data


def test_network_and_groups() -> None:
    made = body(replace(REQUEST, security_groups=("default", "ssh")), "n-1")
    assert made["networks"] == [{"uuid": "n-1"}]
    assert made["security_groups"] == [{"name": "default"}, {"name": "ssh"}]


def test_options() -> None:
    made = body(configDrive=True, keyName="mine", availabilityZone="nova")
    assert (made["config_drive"], made["key_name"], made["availability_zone"]) == (True, "mine", "nova")
    assert "config_drive" not in body(configDrive=False)
