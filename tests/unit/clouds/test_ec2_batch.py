"""Several VMs of one RunInstances, each with an identity of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloudherd.clouds.ec2_batch import MOST, own_tags, together
from cloudherd.clouds.protocol import LaunchRequest

SHARED = {"cloudherd-account": "physics.aws", "cloudherd-namespace": "physics", "owner": "Zoë & co"}


def request(number: int, name: str = "batch-worker") -> LaunchRequest:
    own = {"cloudherd-name": f"{name}-{number}", "cloudherd-id": f"{number:08x}"}
    return LaunchRequest(f"token-{number}", f"{name}-{number}-{number:08x}", "t3.small", "ami-1", {**SHARED, **own})


@pytest.mark.parametrize("name", ["w", "batch-worker", "a" * 57])
def test_every_vm_finds_its_own_identity_among_those_of_all(name: str) -> None:
    requests = [request(number, name) for number in range(MOST)]
    tags = together(requests).tags
    assert [own_tags(tags, str(index)) for index in range(MOST)] == [one.tags for one in requests]


def test_tags_are_as_ec2_takes_them() -> None:
    tags = together([request(number, "a" * 57) for number in range(MOST)]).tags
    assert len(tags) - len(SHARED) <= 6
    assert all(len(value) <= 256 for value in tags.values())
    assert tags.keys() & {"cloudherd-name", "cloudherd-id"} == set()


@pytest.mark.parametrize("index", ["2", "-1", "", "one"])
def test_a_vm_of_another_number_has_no_identity(index: str) -> None:
    tags = together([request(0), request(1)]).tags
    assert own_tags(tags, index) == tags


def test_broken_tags_are_no_identity() -> None:
    assert own_tags({"cloudherd-batch-1": "name"}, "0") == {"cloudherd-batch-1": "name"}
    assert own_tags({"cloudherd-batch-1": "a/b/c"}, "0") == {"cloudherd-batch-1": "a/b/c"}


def test_the_tags_of_a_vm_that_came_alone_are_as_they_are() -> None:
    tags = request(0).tags
    assert own_tags(tags, "0") is tags


def test_the_token_is_that_of_these_vms_in_this_order() -> None:
    a, b, c = map(request, range(3))
    assert together([a, b]).token == together([a, b]).token
    tokens = {together(list(each)).token for each in ([a, b], [b, a], [a, b, c], [a, c])}
    assert len(tokens) == 4
    assert all(len(token) <= 64 for token in tokens)


@pytest.mark.parametrize(
    ("names", "common"),
    [
        (("batch-worker-3-aa", "batch-worker-4-bb"), "batch-worker"),
        (("batch-worker-3-aa", "batch-worker-30-bb"), "batch-worker"),
        (("a-1", "b-1"), "a-1"),
    ],
)
def test_they_are_called_what_their_names_have_in_common(names: tuple[str, ...], common: str) -> None:
    assert together([replace(request(0), name=name) for name in names]).name == common
