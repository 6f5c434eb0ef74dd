"""The provider libcloud with its DigitalOcean driver, over real HTTP: what the conformance suite does not ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cloudherd.clouds.libcloud_any import Libcloud, LibcloudDriver
from cloudherd.clouds.protocol import Connection, ErrorKind, LaunchRequest
from tests.fakes.digitalocean import DigitalOcean
from tests.fakes.httpserver import Fault, Reply
from tests.integration.asked import failure

pytestmark = pytest.mark.integration

CREATE = "POST /v2/droplets"
TAGS = {"cloudherd-id": "1", "owner": "Zoë / ATLAS"}
REQUEST = LaunchRequest("ch-1", "batch-worker-0", "s-1vcpu-1gb", "debian-12-x64", TAGS, b"#cloud-config\n{}\n")


@pytest.fixture
def ocean() -> Iterator[DigitalOcean]:
    with DigitalOcean() as ocean:
        yield ocean


def driver(ocean: DigitalOcean, **options: Any) -> LibcloudDriver:
    settings = {"driver": "digitalocean", **options}
    connection = Connection("physics.ocean", "fra1", ocean.url, credentials={"key": "alices-token"}, options=settings)
    return Libcloud().connect(connection)


def test_tags_are_strings_that_the_cloud_takes_and_does_not_change(ocean: DigitalOcean) -> None:
    ocean.teams["alices-token"].tags["cloudherd-id:1"] = "Cloudherd-ID:1"  # somebody wrote it so before
    vm = driver(ocean).create_vm(REQUEST)
    assert vm.tags == TAGS
    assert ocean.droplets[0].tags[:2] == ["Cloudherd-ID:1", "owner:_5ao_c3_ab_20_2f_20_41_54_4c_41_53"]


def test_a_tag_that_is_too_long_is_refused_before_it_is_sent(ocean: DigitalOcean) -> None:
    request = LaunchRequest("ch-1", "a", "s-1vcpu-1gb", "debian-12-x64", {"cloudherd-id": "1", "owner": "É" * 50})
    error = failure(lambda: driver(ocean).create_vm(request))
    assert (error.kind, error.code) == (ErrorKind.INVALID, "TagTooLong")
    assert ocean.calls[CREATE] == 0


def test_one_vm_is_asked_for_by_its_id(ocean: DigitalOcean) -> None:
    asked = driver(ocean)
    vm = asked.create_vm(REQUEST)
    ocean.page_limit = 1
    ocean.add("alices-token", "theirs")
    assert asked.get_vm(vm.id) is not None
    asked.destroy_vm(vm.id)
    assert asked.get_vm(vm.id) is None
    assert ocean.calls["GET /v2/droplets"] == 0
    assert [one.name for one in ocean.droplets] == ["theirs"]


def test_images_are_known_by_slug_and_by_id(ocean: DigitalOcean) -> None:
    asked = driver(ocean)
    assert [image.id for image in asked.images(("debian-12-x64", "12"))] == ["11", "12"]
    assert asked.images(("12 x64",)) == []


def test_more_arguments_join_what_the_tags_go_into(ocean: DigitalOcean) -> None:
    driver(ocean, createArguments={"ex_create_attr.ssh_keys": [7, "a:b"]}).create_vm(REQUEST)
    assert ocean.droplets[0].asked["ssh_keys"] == [7, "a:b"]
    assert len(ocean.droplets[0].tags) == 3


def test_a_redirect_carries_no_user_data_away(ocean: DigitalOcean) -> None:
    away = Reply(307, b"", headers={"Location": f"{ocean.url}/v2/elsewhere"})
    ocean.faults.append(Fault("reply", CREATE, reply=away))
    assert failure(lambda: driver(ocean).create_vm(REQUEST)).kind in {ErrorKind.UNKNOWN, ErrorKind.INVALID}
    assert ocean.calls["POST /v2/elsewhere"] == 0


def test_a_launch_that_nobody_answers_in_time_has_an_unknown_outcome(ocean: DigitalOcean) -> None:
    asked = driver(ocean, timeoutSeconds=1)
    asked.sizes()
    ocean.faults.append(Fault("hang", CREATE))
    error = failure(lambda: asked.create_vm(REQUEST))
    assert (error.kind, error.code) == (ErrorKind.UNKNOWN, "NoAnswerInTime")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(429, b'{"id":"too_many_requests","message":"s3cret"}', "application/json"), ErrorKind.THROTTLED),
        (Reply(422, b'{"id":"unprocessable_entity","message":"s3cret"}', "application/json"), ErrorKind.INVALID),
        (Reply(500, b'{"id":"server_error","message":"s3cret"}', "application/json"), ErrorKind.UNKNOWN),
        (Reply(502, b"<html>s3cret</html>", "text/html"), ErrorKind.UNKNOWN),
        (Reply(202, b"<html>s3cret</html>", "text/html"), ErrorKind.UNKNOWN),
        (Reply(202, b'{"droplets": "s3cret"}', "application/json"), ErrorKind.UNKNOWN),
    ],
)
def test_what_the_cloud_answers_to_a_launch_is_told_in_our_words(
    ocean: DigitalOcean, reply: Reply, kind: ErrorKind
) -> None:
    ocean.faults.append(Fault("reply", CREATE, reply=reply))
    error = failure(lambda: driver(ocean).create_vm(REQUEST))
    assert error.kind is kind
    assert "s3cret" not in f"{error}{error.__context__}"
    assert ocean.calls[CREATE] == 1, "a creation is never sent again by itself"
