"""EC2's API as others than AWS speak it: what OpenStack's ec2-api was seen to answer, played by moto's server."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from cloudherd.clouds.conformance import CloudUnderTest, ProviderConformance
from cloudherd.clouds.ec2 import Ec2, Ec2Driver
from cloudherd.clouds.protocol import Connection, ErrorKind, LaunchRequest, VMState
from devenv.moto_client import MotoClient
from tests.integration.asked import failure, seen
from tests.integration.ec2.asked import KEYS
from tests.integration.ec2.test_conformance import cloud_under_test
from tests.integration.ec2_truth import FLAVOR, IMAGE, Truth
from tests.integration.waiting import eventually

pytestmark = pytest.mark.integration

OLD = {"signatureVersion": 2, "tagsAtLaunch": False}
PATIENCE = 60.0


Connect = Callable[..., Ec2Driver]


@pytest.fixture
def connect(moto: MotoClient) -> Connect:
    def connected(**options: Any) -> Ec2Driver:
        return Ec2().connect(Connection("physics.old", "us-east-1", moto.url, KEYS, options))

    return connected


def request(token: str = "ch-1") -> LaunchRequest:
    return LaunchRequest(token, "batch-worker-0", FLAVOR, IMAGE, {"cloudherd-id": "6f0c", "owner": "Zoë"})


def error(status: int, code: str, message: str) -> dict[str, Any]:
    words = f"<Code>{code}</Code><Message>{message}</Message>"
    return {"status": status, "body": f"<Response><Errors><Error>{words}</Error></Errors></Response>"}


def tags_refused(status: int, code: str) -> dict[str, Any]:
    return {"action": "CreateTags", **error(status, code, "no such value")}


class TestAnOldServiceConforms(ProviderConformance):
    @pytest.fixture
    def cloud(self, server: MotoClient) -> CloudUnderTest:
        cloud = cloud_under_test(server, **OLD)
        server.knobs(forget_terminated=True, old_api=True)
        cloud.elsewhere = None  # version 2 does not sign the region, so that all are one
        return cloud


class TestTagsAfterTheLaunch:
    def test_are_put_on_by_a_call_of_their_own(self, moto: MotoClient, truth: Truth, connect: Connect) -> None:
        vm = connect(**OLD).create_vm(request())
        assert moto.calls() == {"RunInstances": 1, "CreateTags": 1}
        assert truth.tags(vm.id) == {"cloudherd-id": "6f0c", "owner": "Zoë", "Name": "batch-worker-0"}
        assert (vm.name, vm.tags) == ("batch-worker-0", truth.tags(vm.id))

    def test_that_fail_leave_a_vm_which_the_same_token_leads_to(
        self, moto: MotoClient, truth: Truth, connect: Connect
    ) -> None:
        moto.knobs(answers=[{"action": "CreateTags", "status": 500, "body": "oops"}])
        assert failure(lambda: connect(**OLD).create_vm(request())).kind is ErrorKind.UNKNOWN
        vm = connect(**OLD).create_vm(request())
        assert truth.live() == {vm.id}
        assert truth.tags(vm.id)["cloudherd-id"] == "6f0c"

    @pytest.mark.parametrize(
        ("status", "code", "kind"),
        [
            (400, "InvalidParameterValue", ErrorKind.INVALID),
            (500, "TypeError", ErrorKind.INVALID),
            (403, "UnauthorizedOperation", ErrorKind.DENIED),
        ],
    )
    def test_that_are_refused_for_good_leave_no_vm(
        self, moto: MotoClient, truth: Truth, connect: Connect, status: int, code: str, kind: ErrorKind
    ) -> None:
        moto.knobs(answers=[tags_refused(status, code)])
        told = failure(lambda: connect(**OLD).create_vm(request()))
        assert (told.kind, told.code) == (kind, code)
        assert told.message.startswith("the cloud refuses the VM's tags, so the VM was ended again")
        assert told.message.endswith(": no such value")
        assert len(truth.instances()) == 1
        assert truth.live() == set()

    def test_that_are_refused_for_good_leave_the_launch_open_where_the_vm_cannot_be_ended(
        self, moto: MotoClient, truth: Truth, connect: Connect
    ) -> None:
        stays = {"action": "TerminateInstances", "status": 503, "body": "Service Unavailable"}
        moto.knobs(answers=[tags_refused(400, "InvalidParameterValue"), stays])
        told = failure(lambda: connect(**OLD).create_vm(request()))
        (left,) = truth.live()
        assert told.kind is ErrorKind.UNKNOWN
        assert told.message.startswith(f"the cloud refuses the tags of the VM {left}, and did not end it")
        assert connect(**OLD).create_vm(request()).id == left

    def test_of_a_vm_that_is_not_known_yet_may_be_put_on_later(
        self, moto: MotoClient, truth: Truth, connect: Connect
    ) -> None:
        moto.knobs(answers=[tags_refused(400, "InvalidInstanceID.NotFound")])
        assert failure(lambda: connect(**OLD).create_vm(request())).kind is ErrorKind.UNKNOWN
        assert truth.live() == {connect(**OLD).create_vm(request()).id}

    def test_that_are_missing_leave_the_token_to_tell_whose_a_vm_is(self, moto: MotoClient, connect: Connect) -> None:
        moto.knobs(answers=[tags_refused(500, "InternalError")])
        failure(lambda: connect(**OLD).create_vm(request("ch-7")))
        connect(**OLD).create_vm(request("ch-8"))
        vms = connect(**OLD).list_vms().vms
        assert {vm.token for vm in vms} == {"ch-7", ""}
        assert [seen(connect(**OLD), vm.id).token for vm in vms] == [vm.token for vm in vms]
        assert {vm.token for vm in connect().list_vms().vms} == {""}

    def test_are_not_put_on_a_vm_that_has_ended(self, moto: MotoClient, connect: Connect) -> None:
        driver = connect(**OLD)
        driver.destroy_vm(driver.create_vm(request()).id)
        assert driver.create_vm(request()).state is VMState.DELETED
        assert moto.calls()["CreateTags"] == 1

    def test_are_declared(self) -> None:
        account = Connection("physics.old", "us-east-1", credentials=KEYS, options=OLD)
        assert not Ec2().capabilities_of(account).tags_at_creation


class TestTokensWithoutALock:
    """They are looked for, and a moment later launched with: two calls within that moment make two VMs."""

    def test_two_at_once_make_two_vms_and_a_later_one_none(
        self, moto: MotoClient, truth: Truth, connect: Connect
    ) -> None:
        moto.knobs(unlocked_tokens=PATIENCE)
        with ThreadPoolExecutor(2) as pool:
            made = {vm.id for vm in pool.map(lambda _: connect(**OLD).create_vm(request()), range(2))}
        assert len(made) == 2
        assert truth.live() == made
        assert connect(**OLD).create_vm(request()).id in made
        assert truth.live() == made

    def test_one_that_is_under_way_when_it_is_sent_again_leaves_a_vm_that_its_token_tells(
        self, moto: MotoClient, truth: Truth, connect: Connect
    ) -> None:
        moto.knobs(unlocked_tokens=PATIENCE)
        given_up = failure(lambda: connect(**OLD, timeoutSeconds=1).create_vm(request()))
        assert (given_up.kind, given_up.code) == (ErrorKind.UNKNOWN, "NoAnswerInTime")
        own = connect(**OLD).create_vm(request())
        eventually(lambda: len(truth.live()) == 2)
        assert {vm.id: vm.token for vm in connect(**OLD).list_vms().vms} == {
            vm_id: "" if vm_id == own.id else request().token for vm_id in truth.live()
        }


class TestPagesByOffset:
    PAGE = (
        "<DescribeInstancesResponse><reservationSet/><nextToken>"
        f"{b64encode(b'5').decode()}</nextToken></DescribeInstancesResponse>"
    )

    def test_are_not_trusted_and_everything_is_asked_for_at_once(
        self, moto: MotoClient, truth: Truth, connect: Connect
    ) -> None:
        made = set(truth.launch(12))
        driver = connect(pageSize=5)
        moto.knobs(answers=[{"action": "DescribeInstances", "status": 200, "body": self.PAGE}])
        assert {vm.id for vm in driver.list_vms().vms} == made
        before = moto.calls()["DescribeInstances"]
        driver.list_vms()
        assert moto.calls()["DescribeInstances"] == before + 1

    def test_that_cannot_be_avoided_make_no_listing(self, moto: MotoClient, connect: Connect) -> None:
        moto.knobs(answers=[{"action": "DescribeInstances", "status": 200, "body": self.PAGE, "times": 2}])
        told = failure(connect().list_vms)
        assert (told.kind, told.code) == (ErrorKind.UNREACHABLE, "OffsetPages")


class TestSizes:
    def test_that_the_service_cannot_describe_are_told_by_the_account(self, moto: MotoClient, connect: Connect) -> None:
        moto.knobs(answers=[error(400, "InvalidRequest", "The action DescribeInstanceTypes is not valid")])
        driver = connect(sizes={"m1.tiny": {"cpus": 1, "memory": "512Mi"}})
        (size,) = (one for one in driver.sizes(("m1.tiny",)) if one.name == "m1.tiny")
        assert (size.cpus, size.memory) == (1, 2**29)

    def test_as_eucalyptus_has_them_by_name_and_with_a_disk(self, moto: MotoClient, connect: Connect) -> None:
        unbound = {
            "status": 400,
            "body": "Failure: 400 Bad Request\nFailed to bind the following fields:\nFilter.1.Name",
        }
        size = "<name>m1.small</name><cpu>1</cpu><disk>5</disk><memory>512</memory><availability/>"
        sets = f"<instanceTypeDetails><item>{size}</item></instanceTypeDetails>"
        body = (
            f'<DescribeInstanceTypesResponse xmlns="http://msgs.eucalyptus.com">{sets}</DescribeInstanceTypesResponse>'
        )
        moto.knobs(answers=[unbound, {"status": 200, "body": body}])
        found = {one.name: one for one in connect().sizes(("m1.small", "m1.large"))}
        assert (found["m1.small"].memory, found["m1.small"].disk) == (2**29, 5 * 2**30)
        assert "m1.large" not in found
        assert moto.calls() == {"DescribeInstanceTypes": 2}

    def test_are_an_outage_where_neither_way_of_asking_is_answered(self, moto: MotoClient, connect: Connect) -> None:
        moto.knobs(answers=[{"status": 400, "body": "Keystone is down", "times": 2}])
        assert failure(lambda: connect().sizes(("m1.small",))).kind is ErrorKind.UNREACHABLE

    def test_that_make_no_sense_are_refused(self, connect: Connect) -> None:
        told = failure(lambda: connect(sizes={"m1.tiny": {"cpus": 1, "memory": "much"}}))
        assert told.message.startswith("spec.options: sizes.m1.tiny.memory")


class TestImages:
    @pytest.mark.parametrize("image", ["emi-0b951139", "emi-0B951139"])
    def test_of_eucalyptus_are_known_by_their_ids(self, moto: MotoClient, connect: Connect, image: str) -> None:
        failure(lambda: connect().create_vm(replace(request(), image=image)))
        assert moto.calls() == {"RunInstances": 1}


class TestWordsOfItsOwn:
    def test_an_unknown_key_is_refused_with_404(self, moto: MotoClient, connect: Connect) -> None:
        moto.knobs(answers=[error(404, "AuthFailure", "NOT FOUND")])
        assert failure(connect().list_vms).kind is ErrorKind.DENIED

    @pytest.mark.parametrize("code", ["InvalidInstanceID.NotFound", "NotFound"])
    def test_a_vm_that_ended_is_none(self, moto: MotoClient, connect: Connect, code: str) -> None:
        moto.knobs(answers=[error(404, code, "Instance 5a1f42c2-0000 could not be found.")])
        assert connect().get_vm("i-0a1b2c3d") is None

    def test_a_type_error_of_the_service_leaves_a_launch_open(self, moto: MotoClient, connect: Connect) -> None:
        moto.knobs(answers=[error(500, "TypeError", "Unknown error occurred.")])
        assert failure(lambda: connect().create_vm(request())).kind is ErrorKind.UNKNOWN
