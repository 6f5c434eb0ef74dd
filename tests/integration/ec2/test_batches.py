"""One RunInstances for several Instances, on moto's server. What is true at the cloud is read with boto3."""

from __future__ import annotations

import pytest

from cloudherd.clouds.ec2 import Ec2, Ec2Driver
from cloudherd.clouds.protocol import VM, CloudError, Connection, ErrorKind, LaunchRequest
from devenv.moto_client import MotoClient
from tests.integration.asked import failure
from tests.integration.ec2.asked import Connect, error_xml, request
from tests.integration.ec2_truth import FLAVOR, Truth

pytestmark = pytest.mark.integration

SHARED = {"cloudherd-account": "physics.aws", "owner": "Zoë & co"}


def alike(number: int, **fields: object) -> list[LaunchRequest]:
    return [
        request(tags={**SHARED, "cloudherd-name": f"batch-worker-{each}", "cloudherd-id": f"id-{each}"}, **fields)
        for each in range(number)
    ]


def own(vm: VM | None) -> tuple[str, str]:
    assert vm is not None
    return vm.tags["cloudherd-name"], vm.tags["cloudherd-id"]


def test_one_call_makes_them_all_and_each_bears_its_own_identity(moto: MotoClient, driver: Ec2Driver) -> None:
    asked = alike(16)
    made = driver.create_vms(asked)
    assert moto.calls() == {"RunInstances": 1}
    assert [own(vm) for vm in made] == [(one.tags["cloudherd-name"], one.tags["cloudherd-id"]) for one in asked]
    listed = {vm.id: vm for vm in driver.list_vms().vms}
    for vm, one in zip(made, asked, strict=True):
        assert vm is not None
        assert one.tags.items() <= listed[vm.id].tags.items()
        looked = driver.get_vm(vm.id)
        assert looked is not None
        assert one.tags.items() <= looked.tags.items()


def test_user_data_and_network_are_everybodys(truth: Truth, driver: Ec2Driver) -> None:
    subnet = truth.subnet("physics-net")
    made = driver.create_vms(alike(3, user_data=b"\0\xff#!", network="physics-net"))
    for vm in made:
        assert vm is not None
        assert truth.user_data(vm.id) == b"\0\xff#!"
        assert truth.instances()[vm.id]["SubnetId"] == subnet


def test_the_same_call_again_makes_nothing(truth: Truth, connect: Connect) -> None:
    asked = alike(3)
    first, again = connect().create_vms(asked), connect().create_vms(asked)
    assert [vm and vm.id for vm in first] == [vm and vm.id for vm in again]
    assert len(truth.live()) == 3


def test_one_alone_goes_by_its_own_token(truth: Truth, driver: Ec2Driver) -> None:
    (asked,) = alike(1)
    (vm,) = driver.create_vms([asked])
    assert vm is not None
    assert truth.live() == {vm.id, driver.create_vm(asked).id}


def test_of_a_lost_answer_nothing_is_seen(moto: MotoClient, truth: Truth, driver: Ec2Driver) -> None:
    moto.knobs(lose=1)
    made = driver.create_vms(alike(3))
    assert moto.calls() == {"RunInstances": 2}
    assert truth.live() == {vm.id for vm in made if vm}
    assert len(truth.live()) == 3


@pytest.mark.parametrize("second", ["lost", "full", "throttled"])
def test_after_two_times_without_an_answer_the_outcome_is_unknown(
    moto: MotoClient, truth: Truth, driver: Ec2Driver, second: str
) -> None:
    if second == "lost":
        moto.knobs(lose=2)
    else:
        code = "InsufficientInstanceCapacity" if second == "full" else "RequestLimitExceeded"
        lost = {"action": "RunInstances", "status": 502, "body": "Bad Gateway", "carry_out": True}
        moto.knobs(answers=[lost, {"action": "RunInstances", "status": 500, "body": error_xml(code)}])
    assert failure(lambda: driver.create_vms(alike(3))).kind is ErrorKind.UNKNOWN
    assert len(truth.live()) == 3


def test_where_there_is_capacity_for_some_they_are_made(moto: MotoClient, truth: Truth, driver: Ec2Driver) -> None:
    moto.knobs(capacity={FLAVOR: 2})
    made = driver.create_vms(alike(5))
    assert [own(vm)[0] for vm in made[:2]] == ["batch-worker-0", "batch-worker-1"]
    assert made[2:] == [None] * 3
    assert len(truth.live()) == 2
    error = failure(lambda: driver.create_vms(alike(5)))
    assert (error.kind, error.code, error.flavor_only) == (ErrorKind.FULL, "InsufficientInstanceCapacity", True)


def test_a_limit_refuses_all_of_a_call(moto: MotoClient, truth: Truth, driver: Ec2Driver) -> None:
    moto.knobs(limit=2)
    error = failure(lambda: driver.create_vms(alike(3)))
    assert (error.kind, error.code, error.flavor_only) == (ErrorKind.FULL, "InstanceLimitExceeded", False)
    assert truth.live() == set()


@pytest.mark.parametrize("index", ["7", "", "-1"])
def test_an_answer_with_another_vm_in_it_is_not_believed(
    moto: MotoClient, truth: Truth, driver: Ec2Driver, index: str
) -> None:
    item = (
        f"<item><instanceId>i-0123456789abcdef0</instanceId><amiLaunchIndex>{index}</amiLaunchIndex>"
        "<instanceState><name>pending</name></instanceState></item>"
    )
    body = f"<RunInstancesResponse><instancesSet>{item}</instancesSet></RunInstancesResponse>"
    moto.knobs(answers=[{"action": "RunInstances", "status": 200, "body": body}] * 2)
    error = failure(lambda: driver.create_vms(alike(2)))
    assert (error.kind, error.code) == (ErrorKind.UNKNOWN, "NotUnderstood")


def test_what_fails_before_the_launch_was_never_sent(moto: MotoClient, driver: Ec2Driver) -> None:
    moto.knobs(answers=[{"action": "DescribeSubnets", "status": 500, "body": "Internal Server Error"}])
    error = failure(lambda: driver.create_vms(alike(2, network="physics-net")))
    assert error.never_sent
    assert "RunInstances" not in moto.calls()


class TestTheAccountsOption:
    def account(self, **options: object) -> Connection:
        return Connection("physics.aws", "us-east-1", options=options)

    def test_without_it_every_launch_has_its_own_call_and_token(self) -> None:
        capabilities = Ec2().capabilities_of(self.account())
        assert (capabilities.batch, capabilities.idempotency_token) == (1, True)

    def test_with_it_launches_are_claimed_as_where_there_are_no_tokens(self) -> None:
        capabilities = Ec2().capabilities_of(self.account(batch=8))
        assert (capabilities.batch, capabilities.idempotency_token) == (8, False)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"batch": 17}, "spec.options: batch: input should be less than or equal to 16"),
            ({"batch": 0}, "spec.options: batch: input should be greater than or equal to 1"),
            ({"batch": 4, "tagsAtLaunch": False}, "spec.options.batch needs tags at the launch"),
        ],
    )
    def test_what_makes_no_sense_is_said(self, options: dict[str, object], words: str) -> None:
        with pytest.raises(CloudError) as caught:
            Ec2().capabilities_of(self.account(**options))
        assert caught.value.kind is ErrorKind.INVALID
        assert words in caught.value.message
