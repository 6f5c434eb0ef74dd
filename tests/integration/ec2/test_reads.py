"""What the driver reads of EC2: listings, sizes and images; on moto's server. The truth is read with boto3."""

from __future__ import annotations

import pytest

from cloudherd.agent.catalogue import catalogue
from cloudherd.clouds.ec2 import Ec2Driver
from cloudherd.clouds.ec2_prices import prices
from cloudherd.clouds.protocol import ErrorKind, VMState
from devenv.moto_client import MotoClient
from tests.integration.asked import failure
from tests.integration.ec2.asked import Connect, error_xml, request
from tests.integration.ec2_truth import FLAVOR, IMAGE, Truth

pytestmark = pytest.mark.integration


class TestListing:
    def test_every_page_is_read(self, moto: MotoClient, truth: Truth, connect: Connect) -> None:
        made = set(truth.launch(25))
        listing = connect({"pageSize": 5}).list_vms()
        assert {vm.id for vm in listing.vms} == made
        assert listing.complete
        assert moto.calls()["DescribeInstances"] == 5

    def test_a_listing_of_which_a_page_is_missing_is_an_error(
        self, moto: MotoClient, truth: Truth, connect: Connect
    ) -> None:
        truth.launch(12)
        driver = connect({"pageSize": 5})
        moto.knobs(answers=[{"action": "DescribeInstances", "after": 2, "status": 500, "body": "oops"}])
        assert failure(driver.list_vms).kind is ErrorKind.UNREACHABLE
        assert len(driver.list_vms().vms) == 12

    def test_pages_that_never_end_are_an_error(self, moto: MotoClient, driver: Ec2Driver) -> None:
        page = "<DescribeInstancesResponse><reservationSet/><nextToken>again</nextToken></DescribeInstancesResponse>"
        moto.knobs(answers=[{"status": 200, "body": page, "times": 1000}])
        assert failure(driver.list_vms).code == "PagesRepeat"

    @pytest.mark.parametrize("body", ["", "OK", "<ListAllMyBucketsResult/>", "<DescribeInstancesResponse/>", "<a>"])
    def test_a_success_that_is_no_listing_is_never_an_empty_one(
        self, moto: MotoClient, driver: Ec2Driver, body: str
    ) -> None:
        moto.knobs(answers=[{"status": 200, "body": body}])
        assert failure(driver.list_vms).kind is ErrorKind.UNREACHABLE

    def test_the_scope_is_owner_and_region_in_an_empty_region_too(
        self, moto: MotoClient, connect: Connect, driver: Ec2Driver
    ) -> None:
        assert driver.list_vms().scope == "123456789012.us-east-1"
        driver.create_vm(request())
        assert driver.list_vms().scope == connect().list_vms().scope == "123456789012.us-east-1"
        assert connect(region="eu-west-1").list_vms().scope == "123456789012.eu-west-1"

    def test_the_owner_is_asked_for_once(self, moto: MotoClient, driver: Ec2Driver) -> None:
        for _ in range(3):
            driver.list_vms()
        assert moto.calls() == {"DescribeInstances": 3, "DescribeSecurityGroups": 1}

    def test_regions_are_clouds_of_their_own(self, connect: Connect, driver: Ec2Driver) -> None:
        vm = driver.create_vm(request())
        assert connect(region="eu-west-1").list_vms().vms == ()
        assert [each.id for each in driver.list_vms().vms] == [vm.id]

    def test_other_peoples_vms_are_listed_without_their_tags(self, truth: Truth, driver: Ec2Driver) -> None:
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "theirs"}]}]
        (foreign,) = truth.launch(TagSpecifications=tags)
        (vm,) = driver.list_vms().vms
        assert (vm.id, vm.name, vm.tags) == (foreign, "theirs", {})

    def test_terminated_vms_linger_and_are_deleted_ones(self, truth: Truth, driver: Ec2Driver) -> None:
        vm = driver.create_vm(request())
        driver.destroy_vm(vm.id)
        (seen,) = driver.list_vms().vms
        assert (seen.id, seen.state) == (vm.id, VMState.DELETED)
        assert seen.detail == "Client.UserInitiatedShutdown: User initiated shutdown"
        assert seen.tags["cloudherd-account"] == "physics.aws"

    def test_a_vm_stopped_behind_our_back_is_stopped(self, truth: Truth, driver: Ec2Driver) -> None:
        vm = driver.create_vm(request())
        truth.ec2.stop_instances(InstanceIds=[vm.id])
        (seen,) = driver.list_vms().vms
        assert seen.state is VMState.STOPPED
        assert "User initiated" in seen.detail

    def test_by_its_id_a_vm_looks_as_in_a_listing(self, driver: Ec2Driver) -> None:
        vm = driver.create_vm(request())
        assert (driver.get_vm(vm.id),) == driver.list_vms().vms

    def test_an_id_that_does_not_exist_is_none(self, driver: Ec2Driver) -> None:
        assert driver.get_vm("i-0123456789abcdef0") is None

    def test_a_new_vm_may_be_missing_for_a_while(self, moto: MotoClient, truth: Truth, driver: Ec2Driver) -> None:
        moto.knobs(hide_new=True)
        vm = driver.create_vm(request())
        assert driver.get_vm(vm.id) is None
        assert driver.list_vms().vms == ()
        assert truth.live() == {vm.id}
        moto.knobs(hide_new=False)
        assert driver.get_vm(vm.id) is not None

    def test_where_terminated_vms_are_forgotten_at_once_they_are_none(
        self, moto: MotoClient, driver: Ec2Driver
    ) -> None:
        moto.knobs(forget_terminated=True)
        vm = driver.create_vm(request())
        driver.destroy_vm(vm.id)
        assert driver.get_vm(vm.id) is None
        assert driver.list_vms().vms == ()
        driver.destroy_vm(vm.id)


class TestAccount:
    def test_sizes_that_are_wanted_are_asked_of_the_cloud(self, moto: MotoClient, driver: Ec2Driver) -> None:
        found = {size.id: size for size in driver.sizes((FLAVOR, "zz.huge"))}
        assert (found[FLAVOR].cpus, found[FLAVOR].memory) == (2, 2 * 2**30)
        assert "zz.huge" not in found
        assert moto.calls() == {"DescribeInstanceTypes": 1}

    def test_those_that_are_wanted_have_their_regions_price(self, connect: Connect) -> None:
        wanted = ("a1.large", "c5.large")
        here, there = (
            {size.id: size.price for size in connect(region=one).sizes(wanted)} for one in ("us-east-1", "eu-west-1")
        )
        assert 0 < (here["a1.large"] or 0) < (here["c5.large"] or 0)
        assert here["c5.large"] != there["c5.large"]

    def test_a_private_clouds_region_has_no_prices(self) -> None:
        assert prices("RegionOne") == {}

    def test_a_size_that_the_region_lacks_is_not_known_though_libcloud_knows_it(
        self, moto: MotoClient, driver: Ec2Driver
    ) -> None:
        none = "<DescribeInstanceTypesResponse><instanceTypeSet/></DescribeInstanceTypesResponse>"
        moto.knobs(answers=[{"action": "DescribeInstanceTypes", "status": 200, "body": none}])
        assert FLAVOR not in {size.id for size in driver.sizes((FLAVOR,))}

    def test_where_they_cannot_be_asked_for_libclouds_are_given(self, moto: MotoClient, driver: Ec2Driver) -> None:
        for code in ("InvalidRequest", "UnauthorizedOperation"):
            moto.knobs(answers=[{"status": 400, "body": error_xml(code)}])
            found = {size.id: size for size in driver.sizes((FLAVOR, "m1.tiny"))}
            assert (found[FLAVOR].cpus, found[FLAVOR].memory) == (2, 2 * 2**30)
            assert "m1.tiny" not in found
        moto.knobs(answers=[{"status": 500, "body": "oops"}])
        assert failure(lambda: driver.sizes((FLAVOR,))).kind is ErrorKind.UNREACHABLE

    def test_all_others_are_libclouds_and_cost_no_call(self, moto: MotoClient, driver: Ec2Driver) -> None:
        assert "m5.large" in {size.id for size in driver.sizes()}
        assert moto.calls() == {}

    def test_of_the_wanted_images_those_that_exist(self, moto: MotoClient, truth: Truth, driver: Ec2Driver) -> None:
        own = truth.image("debian-12")
        truth.image("debian-1?")
        found = {image.id: image.name for image in driver.images((IMAGE, "debian-12", "ami-00000000", "suse"))}
        assert set(found) == {IMAGE, own}
        assert found[own] == "debian-12"
        assert moto.calls() == {"DescribeImages": 2}
        assert driver.images(()) == []

    def test_of_several_images_of_one_name_all_are_told_and_a_launch_needs_an_id(
        self, truth: Truth, driver: Ec2Driver
    ) -> None:
        twins = sorted(truth.image("twice") for _ in range(2))
        found = catalogue(driver.images(("twice", twins[0])), ())
        assert (found.shared, set(found.known)) == ({"twice": tuple(twins)}, set(twins))
        error = failure(lambda: driver.create_vm(request(image="twice")))
        choice = f"give one of the IDs {twins[0]}, {twins[1]}"
        sentence = f"image twice: there must be one in this region, but several are: {choice}"
        assert (error.kind, error.code, error.message) == (ErrorKind.INVALID, "NotOne", sentence)
        assert driver.create_vm(request(image=twins[1])).state is VMState.PENDING
        truth.ec2.deregister_image(ImageId=twins[1])
        assert set(catalogue(driver.images(("twice",)), ()).known) == {"twice", twins[0]}
        assert driver.create_vm(request(image="twice")).state is VMState.PENDING

    def test_an_image_of_somebody_else_s_shares_no_name_with_the_account_s(
        self, truth: Truth, driver: Ec2Driver
    ) -> None:
        (theirs,) = driver.images((IMAGE,))
        own = truth.image(theirs.name)
        found = catalogue(driver.images((theirs.name, IMAGE)), ())
        assert (found.shared, found.known[theirs.name].id, found.known[IMAGE].id) == ({}, own, IMAGE)

    def test_where_images_cannot_be_asked_for_an_id_is_believed_and_a_name_is_not(
        self, moto: MotoClient, driver: Ec2Driver
    ) -> None:
        for code in ("InvalidAction", "UnauthorizedOperation"):
            moto.knobs(answers=[{"action": "DescribeImages", "status": 400, "body": error_xml(code)}])
            assert [image.id for image in driver.images((IMAGE,))] == [IMAGE]
            moto.knobs(answers=[{"action": "DescribeImages", "status": 400, "body": error_xml(code)}])
            assert failure(lambda: driver.images(("debian-12",))).code == code
        moto.knobs(answers=[{"status": 500, "body": "oops"}])
        assert failure(lambda: driver.images((IMAGE,))).kind is ErrorKind.UNREACHABLE

    def test_the_account_of_the_examples_works(self, moto: MotoClient, connect: Connect) -> None:
        moto.knobs(keys=None)
        driver = connect(credentials={"accessKey": "testing", "secretKey": "testing"})
        assert [image.id for image in driver.images(("ami-12c6146b",))] == ["ami-12c6146b"]
        assert driver.create_vm(request(security_groups=("default",))).state is VMState.PENDING

    def test_two_regions_have_the_same_images(self, connect: Connect) -> None:
        assert [image.id for image in connect(region="eu-west-1").images((IMAGE,))] == [IMAGE]
