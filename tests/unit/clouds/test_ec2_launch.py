from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from decimal import Decimal

from cloudherd.clouds.ec2_launch import Place, run_instances
from cloudherd.clouds.ec2_models import Ec2LaunchOptions
from cloudherd.clouds.protocol import LaunchRequest

REQUEST = LaunchRequest(
    token="ch-0123456789abcdef0123456789abcdef01234567",
    name="batch-worker-0-6f0c1234",
    flavor="t3.small",
    image="ami-12c6146b",
    tags={"cloudherd-id": "6f0c", "Name": "the user's own", "a": "b"},
)


def fields(request: LaunchRequest = REQUEST, place: Place | None = None, **options: object) -> dict[str, str]:
    return run_instances(request, Ec2LaunchOptions.model_validate(options), "ami-12c6146b", place or Place())


def test_a_plain_launch_is_one_instance_with_token_name_and_tags() -> None:
    assert fields() == {
        "ImageId": "ami-12c6146b",
        "InstanceType": "t3.small",
        "MinCount": "1",
        "MaxCount": "1",
        "ClientToken": "ch-0123456789abcdef0123456789abcdef01234567",
        "TagSpecification.1.ResourceType": "instance",
        "TagSpecification.1.Tag.1.Key": "Name",
        "TagSpecification.1.Tag.1.Value": "batch-worker-0-6f0c1234",
        "TagSpecification.1.Tag.2.Key": "a",
        "TagSpecification.1.Tag.2.Value": "b",
        "TagSpecification.1.Tag.3.Key": "cloudherd-id",
        "TagSpecification.1.Tag.3.Value": "6f0c",
    }


def test_the_order_of_the_tags_does_not_change_the_request() -> None:
    other = replace(REQUEST, tags=dict(reversed(list(REQUEST.tags.items()))))
    assert list(fields(other).items()) == list(fields().items())


def test_user_data_travels_as_base64_of_its_bytes() -> None:
    data = b"\0\xff#!"
    assert b64decode(fields(replace(REQUEST, user_data=data))["UserData"]) == data


def test_spot_and_its_price() -> None:
    assert "InstanceMarketOptions.MarketType" not in fields(spot=False)
    assert fields(spot=True)["InstanceMarketOptions.MarketType"] == "spot"
    assert "InstanceMarketOptions.SpotOptions.MaxPrice" not in fields(spot=True)
    assert fields(spot=True, spotMaxPrice=0.0001)["InstanceMarketOptions.SpotOptions.MaxPrice"] == "0.0001"
    assert fields(spot=True, spotMaxPrice=Decimal("1E-5"))["InstanceMarketOptions.SpotOptions.MaxPrice"] == "0.00001"


def test_a_key_pair() -> None:
    assert fields(keyName="mine")["KeyName"] == "mine"


def test_groups_and_subnet_belong_to_the_instance() -> None:
    made = fields(place=Place("subnet-1", ("sg-1", "sg-2"), ("default",)))
    assert (made["SubnetId"], made["SecurityGroupId.1"], made["SecurityGroupId.2"], made["SecurityGroup.1"]) == (
        "subnet-1",
        "sg-1",
        "sg-2",
        "default",
    )


def test_with_a_public_address_they_belong_to_the_interface() -> None:
    made = fields(replace(REQUEST, public_address=True), Place("subnet-1", ("sg-1",)))
    network = {key: value for key, value in made.items() if "Subnet" in key or "Group" in key or "Interface" in key}
    assert network == {
        "NetworkInterface.1.DeviceIndex": "0",
        "NetworkInterface.1.AssociatePublicIpAddress": "true",
        "NetworkInterface.1.DeleteOnTermination": "true",
        "NetworkInterface.1.SubnetId": "subnet-1",
        "NetworkInterface.1.SecurityGroupId.1": "sg-1",
    }
