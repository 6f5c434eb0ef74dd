"""What the watcher of `make kills` calls a violation."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.e2e.front import Ec2Call, Front
from tests.faults.story import Story
from tests.integration.ec2_truth import Truth
from tests.kills.watch import Watch


class Region:
    """EC2 as boto3 lists it."""

    def __init__(self) -> None:
        self.living: list[str] = []
        self.ec2 = self

    def get_paginator(self, _: str) -> Region:
        return self

    def paginate(self, **_: Any) -> list[Any]:
        return [{"Reservations": [{"Instances": [{"InstanceId": vm_id} for vm_id in self.living]}]}]


@pytest.fixture
def region() -> Region:
    return Region()


@pytest.fixture
def watch(region: Region) -> Watch:
    ceilings = {"worker": 2, "master east": 1, "east": 9}
    return Watch(Front("http://127.0.0.1:1"), [cast(Truth, region)], Story(lambda: 0.0), ceilings)


def made(vm_id: str, name: str, identity: str, account: str = "east") -> Ec2Call:
    tags = {"cloudherd-account": f"physics.{account}", "cloudherd-id": identity, "cloudherd-name": name}
    fields: dict[str, str] = {}
    for number, (key, value) in enumerate(tags.items(), start=1):
        fields |= {f"TagSpecification.1.Tag.{number}.Key": key, f"TagSpecification.1.Tag.{number}.Value": value}
    return Ec2Call(0.0, "RunInstances", 200, (vm_id,), "", fields)


def ended(vm_id: str) -> Ec2Call:
    return Ec2Call(0.0, "TerminateInstances", 200, (vm_id,), "", {})


def hear(watch: Watch, *calls: Ec2Call) -> list[str]:
    for call in calls:
        watch.heard(call)
    return watch.violations


def test_one_vm_above_the_ceiling_for_one_moment_is_enough(watch: Watch) -> None:
    assert hear(watch, made("i-0", "batch-worker-0", "a"), made("i-1", "batch-worker-1", "b")) == []
    assert "3 VMs of worker" in hear(watch, made("i-2", "batch-worker-2", "c"), ended("i-2"))[0]
    assert watch.highest == 3


def test_a_replacement_within_the_ceiling_is_none(watch: Watch) -> None:
    calls = (made("i-0", "batch-worker-0", "a"), made("i-1", "batch-worker-1", "b"), ended("i-0"))
    assert hear(watch, *calls, made("i-2", "batch-worker-0", "c")) == []


def test_a_second_master_beside_the_first_or_one_where_none_belongs(watch: Watch) -> None:
    hear(watch, made("i-0", "batch-master-0", "a"), made("i-1", "batch-master-1", "b"))
    assert "2 VMs of master east" in watch.violations[0]
    assert "master west" in hear(watch, made("i-2", "batch-master-2", "c", account="west"))[-1]


def test_a_second_vm_of_one_instance_also_after_the_first_has_ended(watch: Watch) -> None:
    hear(watch, made("i-0", "batch-worker-0", "a"), ended("i-0"), made("i-1", "batch-worker-0", "a"))
    assert watch.violations == ["i-1 is another VM of batch-worker-0, which has had i-0"]


def test_an_answer_given_again_is_no_second_vm(watch: Watch) -> None:
    again = made("i-0", "batch-worker-0", "a")
    assert hear(watch, again, again) == []
    assert len(watch.living) == 1


def test_a_vm_that_no_call_made_or_ended(watch: Watch, region: Region) -> None:
    hear(watch, made("i-0", "batch-worker-0", "a"))
    region.living = ["i-0"]
    assert watch.look() == {"i-0"}
    assert watch.violations == []
    region.living = ["i-9"]
    watch.look()
    assert "EC2 holds ['i-9']" in watch.violations[0]
