"""What is really at moto's EC2: read and made with boto3, by a key that faults and hidden instances do not concern."""

from __future__ import annotations

from base64 import b64decode
from functools import cache
from typing import Any

import boto3

from devenv.moto_client import MotoClient

IMAGE = "ami-12c6146b"
FLAVOR = "t3.small"


@cache
def _client(url: str, region: str) -> Any:
    """Made once: it takes longer than most tests."""
    key = "truth"
    return boto3.client("ec2", endpoint_url=url, region_name=region, aws_access_key_id=key, aws_secret_access_key=key)


class Truth:
    def __init__(self, moto: MotoClient, region: str = "us-east-1") -> None:
        self.ec2 = _client(moto.url, region)

    def instances(self) -> dict[str, dict[str, Any]]:
        """All of them by ID, terminated ones too."""
        pages = self.ec2.get_paginator("describe_instances").paginate()
        reservations = [reservation for page in pages for reservation in page["Reservations"]]
        return {each["InstanceId"]: each for reservation in reservations for each in reservation["Instances"]}

    def live(self) -> set[str]:
        return {vm_id for vm_id, each in self.instances().items() if each["State"]["Name"] != "terminated"}

    def tags(self, vm_id: str) -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in self.instances()[vm_id]["Tags"]}

    def user_data(self, vm_id: str) -> bytes:
        answer = self.ec2.describe_instance_attribute(InstanceId=vm_id, Attribute="userData")
        return b64decode(answer["UserData"].get("Value", ""))

    def launch(self, count: int = 1, **arguments: Any) -> list[str]:
        """Somebody else's instances, each in a reservation of its own."""
        made = []
        for _ in range(count):
            answer = self.ec2.run_instances(ImageId=IMAGE, InstanceType=FLAVOR, MinCount=1, MaxCount=1, **arguments)
            made.append(answer["Instances"][0]["InstanceId"])
        return made

    def image(self, name: str) -> str:
        """An image of the account's own."""
        image_id: str = self.ec2.register_image(Name=name, RootDeviceName="/dev/sda1")["ImageId"]
        return image_id

    def subnet(self, name: str) -> str:
        """A default subnet, called `name`."""
        subnet: str = self.ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        self.ec2.create_tags(Resources=[subnet], Tags=[{"Key": "Name", "Value": name}])
        return subnet
