"""Launches, tokens and ends at EC2, on moto's server. What is true at the cloud is read with boto3."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from cloudherd.clouds.ec2 import Ec2Driver
from cloudherd.clouds.protocol import ErrorKind, VMState
from devenv.moto_client import MotoClient
from tests.integration.asked import failure
from tests.integration.ec2.asked import Connect, error_xml, request
from tests.integration.ec2_truth import FLAVOR, IMAGE, Truth

pytestmark = pytest.mark.integration


class TestLaunch:
    def test_name_and_tags_come_with_the_launch_itself(self, moto: MotoClient, truth: Truth, driver: Ec2Driver) -> None:
        asked = request()
        vm = driver.create_vm(asked)
        assert moto.calls() == {"RunInstances": 1}
        assert truth.tags(vm.id) == {**asked.tags, "Name": asked.name}
        assert vm.tags == truth.tags(vm.id)
        assert (vm.name, vm.flavor) == (asked.name, FLAVOR)
        assert truth.instances()[vm.id]["ImageId"] == IMAGE

    @pytest.mark.parametrize("data", [b"", b"\0\xff\r\n+ &=%20\xc3\xa9", b"#" * 16_384], ids=["none", "odd", "longest"])
    def test_user_data_arrives_byte_for_byte(self, truth: Truth, driver: Ec2Driver, data: bytes) -> None:
        vm = driver.create_vm(request(user_data=data))
        assert truth.user_data(vm.id) == data

    def test_longer_user_data_is_refused_before_any_call(self, moto: MotoClient, driver: Ec2Driver) -> None:
        error = failure(lambda: driver.create_vm(request(user_data=b"#" * 16_385)))
        assert error.kind is ErrorKind.INVALID
        assert error.message == "the user data has 16385 bytes, EC2 takes 16384; shorten the context"
        assert moto.calls() == {}

    def test_spot(self, truth: Truth, driver: Ec2Driver) -> None:
        spot = driver.create_vm(request(options={"spot": True, "spotMaxPrice": "0.02"}))
        plain = driver.create_vm(request(options={"spot": False}))
        seen = truth.instances()
        assert (seen[spot.id].get("InstanceLifecycle"), seen[plain.id].get("InstanceLifecycle")) == ("spot", None)

    def test_a_price_without_spot_is_named(self, driver: Ec2Driver) -> None:
        error = failure(lambda: driver.create_vm(request(options={"spotMaxPrice": 1})))
        assert error.kind is ErrorKind.INVALID
        assert error.message.startswith("machine.options.spotMaxPrice is for spot instances only")

    def test_key_pair_and_security_group(self, truth: Truth, driver: Ec2Driver) -> None:
        vm = driver.create_vm(request(security_groups=("default",), options={"keyName": "mine"}))
        seen = truth.instances()[vm.id]
        assert seen["KeyName"] == "mine"
        assert [group["GroupName"] for group in seen["SecurityGroups"]] == ["default"]

    @pytest.mark.parametrize("public", [False, True])
    def test_a_subnet_by_name_or_id_with_groups_by_name(
        self, moto: MotoClient, truth: Truth, driver: Ec2Driver, public: bool
    ) -> None:
        subnet = truth.subnet("physics*net")
        for network in (subnet, "physics*net"):
            asked = request(network=network, security_groups=("default",), public_address=public)
            vm = driver.create_vm(asked)
            seen = truth.instances()[vm.id]
            assert seen["SubnetId"] == subnet
            assert seen["NetworkInterfaces"][0]["Groups"][0]["GroupName"] == "default"
        assert moto.calls()["DescribeSecurityGroups"] == 1

    @pytest.mark.parametrize("network", ["nowhere", "*", "subnet-00000000", "vpc-1"])
    def test_a_subnet_that_is_not_there_is_named(self, truth: Truth, driver: Ec2Driver, network: str) -> None:
        error = failure(lambda: driver.create_vm(request(network=network)))
        assert error.kind is ErrorKind.INVALID
        assert error.message == f"subnet {network}: there must be one in this region, but none is"
        assert truth.live() == set()

    def test_an_image_by_name_is_one_of_the_accounts_own(self, truth: Truth, driver: Ec2Driver) -> None:
        own = truth.image("debian-12")
        vm = driver.create_vm(request(image="debian-12"))
        assert truth.instances()[vm.id]["ImageId"] == own
        (public,) = truth.ec2.describe_images(ImageIds=[IMAGE])["Images"]
        error = failure(lambda: driver.create_vm(request(image=public["Name"])))
        assert error.kind is ErrorKind.NOT_FOUND

    def test_what_a_name_stands_for_is_asked_once_and_again_after_a_refusal(
        self, moto: MotoClient, truth: Truth, driver: Ec2Driver
    ) -> None:
        truth.image("debian-12")
        for _ in range(3):
            driver.create_vm(request(image="debian-12"))
        assert moto.calls()["DescribeImages"] == 1
        moto.knobs(answers=[{"status": 400, "body": error_xml("InvalidAMIID.NotFound")}])
        assert failure(lambda: driver.create_vm(request(image="debian-12"))).kind is ErrorKind.NOT_FOUND
        driver.create_vm(request(image="debian-12"))
        assert moto.calls()["DescribeImages"] == 2


class TestToken:
    def test_the_same_request_again_is_the_same_vm(self, truth: Truth, connect: Connect) -> None:
        asked = request()
        assert len({connect().create_vm(asked).id for _ in range(3)}) == 1
        assert len(truth.live()) == 1

    def test_ten_at_once_are_one_vm(self, truth: Truth, connect: Connect) -> None:
        asked, together = request(), Barrier(10)

        def create(_: int) -> str:
            driver = connect()
            together.wait()
            return driver.create_vm(asked).id

        with ThreadPoolExecutor(10) as pool:
            made = set(pool.map(create, range(10)))
        assert truth.live() == made
        assert len(made) == 1

    def test_after_a_lost_reply_the_outcome_is_unknown_and_the_token_finds_the_vm(
        self, moto: MotoClient, truth: Truth, driver: Ec2Driver
    ) -> None:
        asked = request()
        moto.knobs(lose=1)
        error = failure(lambda: driver.create_vm(asked))
        assert (error.kind, error.code) == (ErrorKind.UNKNOWN, "ConnectionBroken")
        assert truth.live() == {driver.create_vm(asked).id}

    def test_the_driver_never_sends_a_launch_twice_by_itself(
        self, moto: MotoClient, driver: Ec2Driver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LIBCLOUD_RETRY_FAILED_HTTP_REQUESTS", "1")
        moto.knobs(lose=1)
        failure(lambda: driver.create_vm(request()))
        assert moto.calls() == {"RunInstances": 1}

    def test_a_launch_that_the_cloud_is_too_slow_for_is_unknown(
        self, moto: MotoClient, truth: Truth, connect: Connect
    ) -> None:
        asked = request()
        moto.knobs(delay=0.6)
        error = failure(lambda: connect({"timeoutSeconds": 0.2}).create_vm(asked))
        assert (error.kind, error.code) == (ErrorKind.UNKNOWN, "NoAnswerInTime")
        moto.knobs(delay=0)
        vm = connect().create_vm(asked)
        assert truth.live() == {vm.id}

    def test_another_request_under_the_same_token_is_refused(self, truth: Truth, driver: Ec2Driver) -> None:
        asked = request()
        vm = driver.create_vm(asked)
        error = failure(lambda: driver.create_vm(replace(asked, user_data=b"other")))
        assert (error.kind, error.code) == (ErrorKind.INVALID, "IdempotentParameterMismatch")
        assert truth.live() == {vm.id}

    def test_the_token_of_an_ended_vm_gives_that_vm_and_no_other(self, truth: Truth, driver: Ec2Driver) -> None:
        asked = request()
        vm = driver.create_vm(asked)
        driver.destroy_vm(vm.id)
        again = driver.create_vm(asked)
        assert (again.id, again.state) == (vm.id, VMState.DELETED)
        assert truth.live() == set()


class TestEnd:
    def test_only_the_vm_that_was_named_ends(self, truth: Truth, driver: Ec2Driver) -> None:
        kept, ended = driver.create_vm(request()), driver.create_vm(request())
        driver.destroy_vm(ended.id)
        assert truth.live() == {kept.id}

    def test_ending_twice_or_what_never_was_is_no_error(self, driver: Ec2Driver) -> None:
        vm = driver.create_vm(request())
        driver.destroy_vm(vm.id)
        driver.destroy_vm(vm.id)
        driver.destroy_vm("i-0123456789abcdef0")

    def test_nova_not_finding_it_is_no_error(self, moto: MotoClient, driver: Ec2Driver) -> None:
        body = error_xml("NotFound", "Instance 5a1f42c2 could not be found.")
        moto.knobs(answers=[{"status": 404, "body": body}])
        driver.destroy_vm("i-0123456789abcdef0")

    def test_a_vm_protected_from_its_end_is_an_error(self, truth: Truth, driver: Ec2Driver) -> None:
        vm = driver.create_vm(request())
        truth.ec2.modify_instance_attribute(InstanceId=vm.id, DisableApiTermination={"Value": True})
        error = failure(lambda: driver.destroy_vm(vm.id))
        assert (error.kind, error.code) == (ErrorKind.INVALID, "OperationNotPermitted")
