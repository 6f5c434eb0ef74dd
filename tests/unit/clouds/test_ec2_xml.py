from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from cloudherd.clouds.ec2_xml import NotUnderstoodError, answer, items, parse, to_size, to_vm
from cloudherd.clouds.protocol import MESSAGE_LIMIT, Size, VMState

AWS = "http://ec2.amazonaws.com/doc/2016-11-15/"


def instance(inner: str = "", state: str = "running") -> ET.Element:
    return ET.fromstring(
        f"<item><instanceId>i-1</instanceId><instanceState><code>1</code><name>{state}</name></instanceState>{inner}</item>"
    )


def tags(**pairs: str) -> str:
    each = "".join(
        f"<item><key>{key.replace('_', '-')}</key><value>{value}</value></item>" for key, value in pairs.items()
    )
    return f"<tagSet>{each}</tagSet>"


@pytest.mark.parametrize("namespace", [AWS, AWS.rstrip("/"), "http://msgs.eucalyptus.com/3.3.0", ""])
def test_an_answer_is_read_in_whatever_namespace(namespace: str) -> None:
    root = answer(f'<XResponse xmlns="{namespace}"><set><item/></set></XResponse>'.encode(), "X")
    assert len(items(root, "set")) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"<DescribeInstancesResponse><reservationSet>",
        b"<ListAllMyBucketsResult/>",
        b"<html><body/></html>",
        b"<!DOCTYPE html><DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>",
    ],
)
def test_what_is_not_the_answer_is_not_read_as_an_empty_one(body: bytes) -> None:
    with pytest.raises(NotUnderstoodError):
        items(answer(body, "DescribeInstances"), "reservationSet")


def test_an_answer_without_its_set_is_not_read_as_an_empty_one() -> None:
    root = answer(
        b"<DescribeInstancesResponse><requestId>r</requestId></DescribeInstancesResponse>", "DescribeInstances"
    )
    with pytest.raises(NotUnderstoodError):
        items(root, "reservationSet")


def test_an_empty_set_is_empty() -> None:
    assert items(parse(b"<r><set/></r>"), "set") == []


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("pending", VMState.PENDING),
        ("running", VMState.RUNNING),
        ("stopping", VMState.UNKNOWN),
        ("stopped", VMState.STOPPED),
        ("shutting-down", VMState.DELETING),
        ("terminated", VMState.DELETED),
        ("error", VMState.ERROR),
        ("rescued", VMState.UNKNOWN),
        ("", VMState.UNKNOWN),
    ],
)
def test_states(name: str, state: VMState) -> None:
    assert to_vm(instance(state=name)).state is state


def test_a_vm_with_all_that_we_look_at() -> None:
    vm = to_vm(
        instance(
            tags(Name="batch-worker-0", cloudherd_id="6f0c", owner="Zoë")
            + "<privateIpAddress>10.1.0.17</privateIpAddress><ipAddress>192.0.2.1</ipAddress>"
            + "<instanceType>t3.small</instanceType><stateReason><message/></stateReason>"
        )
    )
    assert (vm.id, vm.name, vm.flavor, vm.private, vm.public) == (
        "i-1",
        "batch-worker-0",
        "t3.small",
        ("10.1.0.17",),
        ("192.0.2.1",),
    )
    assert vm.tags == {"Name": "batch-worker-0", "cloudherd-id": "6f0c", "owner": "Zoë"}
    assert vm.detail == ""


def test_other_peoples_tags_are_not_carried() -> None:
    vm = to_vm(instance(tags(Name="theirs", owner="Zoë")))
    assert (vm.name, vm.tags) == ("theirs", {})


def test_the_clouds_words_on_a_state_are_passed_on_and_bounded() -> None:
    reason = (
        "<reason>User initiated</reason><stateReason><message>Server.SpotInstanceTermination</message></stateReason>"
    )
    assert to_vm(instance(reason, "terminated")).detail == "Server.SpotInstanceTermination"
    assert to_vm(instance("<reason>User initiated</reason>", "stopped")).detail == "User initiated"
    assert to_vm(instance("", "rescued")).detail == "rescued"
    assert len(to_vm(instance(f"<reason>{'why ' * 500}</reason>", "stopped")).detail) == MESSAGE_LIMIT


def test_an_instance_without_an_id_is_not_understood() -> None:
    with pytest.raises(NotUnderstoodError):
        to_vm(ET.fromstring("<item><instanceState><name>running</name></instanceState></item>"))


def test_a_size_counts_bytes() -> None:
    item = "<vCpuInfo><defaultVCpus>2</defaultVCpus></vCpuInfo><memoryInfo><sizeInMiB>2048</sizeInMiB></memoryInfo>"
    size = to_size(ET.fromstring(f"<item><instanceType>t3.small</instanceType>{item}</item>"))
    assert (size.id, size.cpus, size.memory) == ("t3.small", 2, 2 * 2**30)


def test_a_size_as_eucalyptus_tells_it() -> None:
    size = to_size(ET.fromstring("<item><name>m1.small</name><cpu>1</cpu><disk>5</disk><memory>512</memory></item>"))
    assert size == Size("m1.small", "m1.small", 1, 2**29, 5 * 2**30)


def test_a_size_without_figures_is_not_understood() -> None:
    with pytest.raises(NotUnderstoodError):
        to_size(ET.fromstring("<item><instanceType>t3.small</instanceType></item>"))
