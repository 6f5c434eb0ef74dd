from __future__ import annotations

import json

import pytest

from cloudherd.clouds.errors import not_from
from cloudherd.clouds.openstack_errors import lacked_room, refusal
from cloudherd.clouds.protocol import MESSAGE_LIMIT, ErrorKind

FULL, THROTTLED, DENIED, BUSY = ErrorKind.FULL, ErrorKind.THROTTLED, ErrorKind.DENIED, ErrorKind.BUSY
INVALID, NOT_FOUND, UNREACHABLE = ErrorKind.INVALID, ErrorKind.NOT_FOUND, ErrorKind.UNREACHABLE


def nova(status: int, code: str, message: str) -> bytes:
    return json.dumps({code: {"code": status, "message": message}}).encode()


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (403, "forbidden", "Quota exceeded for instances: Requested 1, but already used 3 of 3 instances", FULL),
        (403, "forbidden", "Quota exceeded for cores: Requested 4, but already used 18 of 20 cores", FULL),
        (403, "forbidden", "Maximum number of ports exceeded", FULL),
        (413, "overLimit", "Quota exceeded for instances: Requested 1, but already used 3 of 3 instances", FULL),
        (400, "badRequest", "No more IP addresses available on network 5a1f.", FULL),
        (403, "forbidden", "Policy doesn't allow os_compute_api:servers:create to be performed.", DENIED),
        (401, "error", "The request you have made requires authentication.", DENIED),
        (413, "overLimit", "This request was rate-limited.", THROTTLED),
        (429, "tooManyRequests", "This request was rate-limited.", THROTTLED),
        (400, "badRequest", "Can not find requested image", NOT_FOUND),
        (400, "badRequest", "Image 5a1f42c2-0000-4000-8000-000000000001 could not be found.", NOT_FOUND),
        (400, "badRequest", "Flavor huge could not be found.", NOT_FOUND),
        (400, "badRequest", "Network 5a1f could not be found.", INVALID),
        (400, "badRequest", "Invalid key_name provided.", INVALID),
        (400, "badRequest", "The requested availability zone is not available", INVALID),
        (409, "conflictingRequest", "Multiple possible networks found, use a Network ID to be more specific.", INVALID),
        (409, "conflictingRequest", "Cannot 'delete' instance 5a1f while it is in task_state migrating", BUSY),
        (409, "conflictingRequest", "Instance 5a1f is locked", BUSY),
        (404, "itemNotFound", "Instance 5a1f could not be found.", NOT_FOUND),
        (500, "computeFault", "Unexpected API Error.", UNREACHABLE),
        (503, "serviceUnavailable", "Quota exceeded, or so it seems", UNREACHABLE),
    ],
)
def test_what_nova_answers(status: int, code: str, message: str, kind: ErrorKind) -> None:
    error = refusal(status, nova(status, code, message))
    assert (error.kind, error.code, error.message) == (kind, "Error" if code == "error" else code, message)


def test_the_other_services_have_forms_of_their_own() -> None:
    keystone = b'{"error": {"code": 401, "title": "Unauthorized", "message": "no"}}'
    neutron = b'{"NeutronError": {"type": "NetworkNotFound", "message": "Network x could not be found.", "detail": ""}}'
    glance = (
        b'{"message": "No image found with ID x<br /><br />\\n\\n\\n", "code": "404 Not Found", "title": "Not Found"}'
    )
    assert refusal(401, keystone).code == "Unauthorized"
    assert refusal(404, neutron).code == "NetworkNotFound"
    found = refusal(404, glance)
    assert (found.kind, found.code, found.message) == (NOT_FOUND, "NotFound", "No image found with ID x")


@pytest.mark.parametrize(
    ("what", "only"),
    [("instances", False), ("cores", True), ("ram", True), ("cores, ram", True), ("instances, cores", False)],
)
def test_where_cores_are_short_a_smaller_flavor_may_still_fit(what: str, only: bool) -> None:
    words = f"Quota exceeded for {what}: Requested 8, but already used 16 of 20 {what}"
    assert refusal(403, nova(403, "forbidden", words)).flavor_only is only


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, UNREACHABLE), (401, DENIED), (403, UNREACHABLE), (404, UNREACHABLE), (429, THROTTLED), (503, UNREACHABLE)],
)
@pytest.mark.parametrize(
    "body", [b"", b"Authentication required", b"<html>" + b"x" * 500_000, b"[]", b'{"a": 1}', b"\xff", b"[" * 100_000]
)
def test_an_answer_that_is_not_openstacks_says_nothing_and_shows_nothing(
    status: int, kind: ErrorKind, body: bytes
) -> None:
    error = refusal(status, body)
    assert (error.kind, error.code) == (kind, f"HTTP{status}")
    assert error.message in {"", not_from("OpenStack")}


def test_what_nova_repeats_of_the_request_is_left_out() -> None:
    words = "Invalid input for field/attribute metadata. Value: {'a b': 'c. d'}. Additional properties are not allowed"
    message = refusal(400, nova(400, "badRequest", words)).message
    assert message == "Invalid input for field/attribute metadata. Additional properties are not allowed"
    assert len(refusal(400, nova(400, "badRequest", "many words " * 1000)).message) == MESSAGE_LIMIT
    assert refusal(400, nova(400, "badRequest", "no hunter2-hunter2"), ["hunter2-hunter2"]).message == "no …"


@pytest.mark.parametrize(
    ("fault", "room"),
    [
        ("No valid host was found. There are not enough hosts available.", False),
        ("Quota exceeded for instances: Requested 1, but already used 2 of 2 instances", False),
        ("Build of instance x aborted: No more IP addresses available on network y.", False),
        ("Exceeded maximum number of retries. Exhausted all hosts available for retrying build failures", True),
        ("Image x is unacceptable", True),
        ("", True),
    ],
)
def test_faults_that_tell_of_a_lack_of_room(fault: str, room: bool) -> None:
    assert lacked_room({"code": 500, "message": fault}) is not room
