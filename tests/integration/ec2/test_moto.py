"""The moto server behind our wrapper, as another client (boto3) meets it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from typing import Any
from urllib.error import HTTPError

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from devenv.moto import LISTENING
from devenv.moto_client import MotoClient
from tests.integration.ec2_truth import FLAVOR, IMAGE, Truth

pytestmark = pytest.mark.integration

LAUNCH = {"ImageId": IMAGE, "InstanceType": FLAVOR, "MinCount": 1, "MaxCount": 1}


@pytest.fixture
def moto(server: MotoClient) -> MotoClient:
    """Empty, and letting anybody in."""
    server.reset()
    return server


def client(moto: MotoClient, key: str = "testing", secret: str = "testing", region: str = "us-east-1") -> Any:
    once = Config(retries={"total_max_attempts": 1})
    keys = {"aws_access_key_id": key, "aws_secret_access_key": secret}
    return boto3.client("ec2", endpoint_url=moto.url, region_name=region, config=once, **keys)


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    code: str = caught.value.response["Error"]["Code"]
    return code


def test_a_token_launches_once_and_its_replay_tells_the_state_of_today(moto: MotoClient) -> None:
    ec2 = client(moto)
    first, again = (ec2.run_instances(ClientToken="a", **LAUNCH)["Instances"][0] for _ in range(2))
    assert (first["InstanceId"], first["State"]["Name"]) == (again["InstanceId"], "pending")
    assert again["State"]["Name"] == "running"
    assert refused(ec2.run_instances, ClientToken="a", UserData="b", **LAUNCH) == "IdempotentParameterMismatch"
    other = ec2.run_instances(ClientToken="b", **LAUNCH)["Instances"][0]["InstanceId"]
    assert Truth(moto).live() == {first["InstanceId"], other}


def test_signatures_are_checked_once_keys_are_set(moto: MotoClient) -> None:
    client(moto, "anybody").describe_instances()
    moto.knobs(keys={"testing": "right"})
    client(moto, secret="right").describe_instances()
    assert refused(client(moto, secret="wrong").describe_instances) == "SignatureDoesNotMatch"
    assert refused(client(moto, "nobody", "right").describe_instances) == "AuthFailure"


def test_a_limit_is_a_regions_own(moto: MotoClient) -> None:
    moto.knobs(region="eu-west-1", limit=1)
    there, here = client(moto, region="eu-west-1"), client(moto)
    there.run_instances(**LAUNCH)
    assert refused(there.run_instances, **LAUNCH) == "InstanceLimitExceeded"
    for _ in range(2):
        here.run_instances(**LAUNCH)


def test_room_comes_back_with_a_terminated_instance(moto: MotoClient) -> None:
    moto.knobs(capacity={FLAVOR: 1})
    ec2 = client(moto)
    vm_id = ec2.run_instances(**LAUNCH)["Instances"][0]["InstanceId"]
    assert refused(ec2.run_instances, **LAUNCH) == "InsufficientInstanceCapacity"
    ec2.terminate_instances(InstanceIds=[vm_id])
    ec2.run_instances(**LAUNCH)


def test_a_lost_reply_is_a_closed_connection_and_an_instance(moto: MotoClient) -> None:
    moto.knobs(lose=1)
    with pytest.raises(ConnectionClosedError):
        client(moto).run_instances(**LAUNCH)
    assert len(Truth(moto).live()) == 1


def test_a_broken_instance_is_shown_so_until_it_ends(moto: MotoClient) -> None:
    ec2 = client(moto)
    vm_id = ec2.run_instances(**LAUNCH)["Instances"][0]["InstanceId"]
    moto.knobs(broken=[vm_id])
    (shown,) = ec2.describe_instances()["Reservations"][0]["Instances"]
    assert shown["State"] == {"Code": 0, "Name": "error"}
    ec2.terminate_instances(InstanceIds=[vm_id])
    (shown,) = ec2.describe_instances()["Reservations"][0]["Instances"]
    assert shown["State"]["Name"] == "terminated"


def test_an_old_api_knows_neither_the_signatures_nor_the_tags_of_today(moto: MotoClient) -> None:
    moto.knobs(old_api=True)
    assert refused(client(moto).describe_instances) == "AuthFailure"
    once = Config(retries={"total_max_attempts": 1}, signature_version="v2")
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    old = boto3.client("ec2", endpoint_url=moto.url, region_name="us-east-1", config=once, **keys)
    assert old.describe_instances()["Reservations"] == []
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}]
    assert refused(old.run_instances, TagSpecifications=tags, **LAUNCH) == "TypeError"


def test_images_types_and_groups_that_do_not_exist_are_refused(moto: MotoClient) -> None:
    ec2 = client(moto)
    assert refused(ec2.run_instances, **{**LAUNCH, "ImageId": "ami-00000000"}) == "InvalidAMIID.NotFound"
    assert refused(ec2.run_instances, **{**LAUNCH, "InstanceType": "zz.huge"}) == "InvalidInstanceType.NotFound"
    assert refused(ec2.run_instances, SecurityGroups=["nobody"], **LAUNCH) == "InvalidGroup.NotFound"
    assert Truth(moto).instances() == {}


def test_calls_are_counted_by_region_and_those_for_the_truth_are_not(moto: MotoClient) -> None:
    client(moto).describe_instances()
    client(moto, region="eu-west-1").describe_vpcs()
    Truth(moto).instances()
    assert (moto.calls(), moto.calls("eu-west-1")) == ({"DescribeInstances": 1}, {"DescribeVpcs": 1})


def test_a_reset_forgets_everything(moto: MotoClient) -> None:
    ec2 = client(moto)
    moto.knobs(throttle=100, limit=0)
    refused(ec2.run_instances, **LAUNCH)
    moto.reset()
    first = ec2.run_instances(ClientToken="a", **LAUNCH)["Instances"][0]["InstanceId"]
    moto.reset()
    assert ec2.run_instances(ClientToken="a", **LAUNCH)["Instances"][0]["InstanceId"] != first
    assert moto.calls() == {"RunInstances": 1}


def test_a_knob_that_does_not_exist_is_named(moto: MotoClient) -> None:
    with pytest.raises(HTTPError) as caught:
        moto.knobs(limits=1)
    with caught.value as answer:
        assert b"no knob limits; there are answers, broken, " in answer.read()


def start(port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "devenv.moto", "--port", str(port)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_told_to(number: int) -> None:
    with start(0) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(f"{LISTENING}http://127.0.0.1:")
        process.send_signal(number)
        _, words = process.communicate(timeout=60)
    assert (process.returncode, words) == (0, "")


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start(port) as process:
            printed, words = process.communicate(timeout=60)
    assert (process.returncode, printed) == (1, "")
    assert f"Port {port} is in use" in words
