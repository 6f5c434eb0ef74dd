"""The provider openstack on answers that real services do not give at will."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cloudherd.clouds.errors import not_from
from cloudherd.clouds.openstack import MAX_USER_DATA
from cloudherd.clouds.protocol import ErrorKind, LaunchRequest, Verb, VMState
from devenv.controlplane.assets import free_port
from tests.integration.asked import failure
from tests.unit.clouds.openstack_stub import KEYS, Asked, Reply, Stub, running_stub, server

HTML = b"<!DOCTYPE html><html><body>" + b"<p>maintenance</p>" * 30_000 + b"</body></html>"
UNAUTHORIZED = (401, {"error": {"code": 401, "title": "Unauthorized", "message": "requires authentication"}})
FLAVORS = {"flavors": [{"id": "1", "name": "m1.tiny", "vcpus": 1, "ram": 512}]}
IMAGE = "5a1f42c2-0000-4000-8000-000000000001"


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running_stub() as running:
        yield running


def request(**changes: Any) -> LaunchRequest:
    made = {"token": "t", "name": "n-1", "flavor": "m1.tiny", "image": IMAGE, "tags": {"cloudherd-id": "1"}}
    return LaunchRequest(**{**made, "user_data": b"password: s3cret-s3cret", **changes})


def launching(post: Callable[[Asked], Reply]) -> Callable[[Asked], Reply]:
    def nova(asked: Asked) -> Reply:
        return post(asked) if asked.method == "POST" else (200, FLAVORS)

    return nova


class TestToken:
    def test_one_is_asked_for_by_the_first_call_and_used_for_all(self, stub: Stub) -> None:
        driver = stub.driver()
        assert stub.asked == [], "connecting calls nothing"
        for _ in range(3):
            driver.list_vms()
        assert stub.calls() == {"POST /v3/auth/tokens": 1, "GET /v2.1/servers/detail": 3}
        assert {each.headers["x-auth-token"] for each in stub.asked[1:]} == {"token-1"}

    @pytest.mark.parametrize("ending", ["", "/", "/v3", "/v3/"])
    def test_the_endpoint_may_name_the_version_or_not(self, stub: Stub, ending: str) -> None:
        stub.driver(endpoint=stub.url + ending).list_vms()
        assert stub.tokens == 1

    def test_of_an_application_credential_no_more_is_sent_than_itself(self, stub: Stub) -> None:
        stub.driver().list_vms()
        key = {"id": "app-1", "secret": "hunter2-hunter2"}
        identity = {"methods": ["application_credential"], "application_credential": key}
        assert stub.asked[0].json == {"auth": {"identity": identity}}

    def test_a_user_names_project_and_domains(self, stub: Stub) -> None:
        keys = {"username": "zoe", "password": "p\n", "projectName": "physics", "userDomainName": "ldap"}
        stub.driver(credentials=keys).list_vms()
        auth = stub.asked[0].json["auth"]
        assert auth["identity"]["password"]["user"] == {"name": "zoe", "domain": {"name": "ldap"}, "password": "p"}
        assert auth["scope"] == {"project": {"name": "physics", "domain": {"name": "Default"}}}

    def test_one_that_ended_early_is_renewed_once(self, stub: Stub) -> None:
        driver = stub.driver()
        driver.list_vms()
        stub.nova = lambda asked: UNAUTHORIZED if asked.headers["x-auth-token"] == "token-1" else (200, {"servers": []})
        assert driver.list_vms().complete
        assert stub.tokens == 2

    def test_a_launch_that_was_refused_for_its_token_is_sent_again(self, stub: Stub) -> None:
        made = {"server": {"id": "s-1"}}
        stub.nova = launching(lambda asked: UNAUTHORIZED if asked.headers["x-auth-token"] == "token-1" else (202, made))
        assert stub.driver().create_vm(request()).id == "s-1"
        assert stub.calls()["POST /v2.1/servers"] == 2

    def test_where_a_new_one_is_refused_too_the_credentials_are_denied(self, stub: Stub) -> None:
        stub.nova = lambda _: UNAUTHORIZED
        error = failure(stub.driver().list_vms)
        assert (error.kind, error.code) == (ErrorKind.DENIED, "Unauthorized")
        assert stub.tokens == 2

    def test_keystones_own_refusal_is_told_without_the_secret(self, stub: Stub) -> None:
        words = {
            "error": {"code": 401, "title": "Unauthorized", "message": f"no {KEYS['applicationCredentialSecret']}"}
        }
        stub.keystone = lambda _: (401, words)
        error = failure(stub.driver().list_vms)
        assert (error.kind, error.message) == (ErrorKind.DENIED, "no …")

    def test_no_keystone_there_is_said_in_a_sentence(self, stub: Stub) -> None:
        stub.keystone = lambda _: (404, {"error": {"code": 404, "title": "Not Found", "message": "no"}})
        error = failure(stub.driver().list_vms)
        assert (error.kind, error.message) == (
            ErrorKind.UNREACHABLE,
            "no keystone of version 3 answers at spec.endpoint",
        )

    @pytest.mark.parametrize("reply", [{}, {"token": {}}, {"token": {"expires_at": "2999-01-01T00:00:00Z"}}, b"OK"])
    def test_an_answer_that_is_no_token_is_not_understood(self, stub: Stub, reply: Any) -> None:
        stub.keystone = lambda _: (201, reply)
        error = failure(stub.driver().list_vms)
        assert (error.kind, error.code) == (ErrorKind.UNREACHABLE, "NotUnderstood")

    def test_a_region_that_has_no_nova_is_named_with_those_that_have(self, stub: Stub) -> None:
        error = failure(stub.driver(region="Mars").list_vms)
        assert error.kind is ErrorKind.INVALID
        assert error.message == (
            "spec.region: the cloud has no compute service in Mars; regions that have one: RegionOne"
        )


class TestListing:
    def test_pages_are_followed_by_their_marker_and_never_to_another_host(self, stub: Stub) -> None:
        def nova(asked: Asked) -> Reply:
            if "marker=s-1" in asked.path:
                return 200, {"servers": [server(2)]}
            link = {"rel": "next", "href": "http://elsewhere.invalid/servers/detail?marker=s-1"}
            return 200, {"servers": [server(1)], "servers_links": [link]}

        stub.nova = nova
        listing = stub.driver().list_vms()
        assert ([vm.id for vm in listing.vms], listing.complete) == (["s-1", "s-2"], True)
        assert listing.scope == "p-1.RegionOne"

    def test_pages_that_never_end_are_an_error(self, stub: Stub) -> None:
        link = {"rel": "next", "href": "http://h/?marker=s-1"}
        stub.nova = lambda _: (200, {"servers": [server(1)], "servers_links": [link]})
        assert failure(stub.driver().list_vms).code == "PagesRepeat"

    def test_a_page_that_ends_in_a_server_without_a_host_makes_doubt_until_two_listings_agree(self, stub: Stub) -> None:
        """Nova forgets the rest of those without a host where that one gets its host in between."""
        link = {"rel": "next", "href": "http://h/?marker=s-1"}
        rests = iter([[], [2], [2, 3], [2, 3], [2], [2, 3], [2], [2, 3]])

        def nova(asked: Asked) -> Reply:
            if "marker" in asked.path:
                return 200, {"servers": [server(number) for number in next(rests)]}
            return 200, {"servers": [server(1, status="BUILD")], "servers_links": [link]}

        stub.nova = nova
        driver = stub.driver()
        first, second = driver.list_vms(), driver.list_vms()
        assert (len(first.vms), first.complete) == (3, True)
        assert second.complete is False, "they never agreed"

    def test_a_link_that_leads_nowhere_is_an_error_and_not_the_end(self, stub: Stub) -> None:
        link = {"rel": "next", "href": "http://h/?page=2"}
        stub.nova = lambda _: (200, {"servers": [server(1)], "servers_links": [link]})
        assert failure(stub.driver().list_vms).code == "NotUnderstood"

    def test_a_cell_that_does_not_answer_makes_a_listing_incomplete(self, stub: Stub) -> None:
        unknown = {"id": "s-2", "status": "UNKNOWN", "tenant_id": "p-1"}
        stub.nova = lambda _: (200, {"servers": [server(1), unknown]})
        listing = stub.driver().list_vms()
        assert ([vm.id for vm in listing.vms], listing.complete) == (["s-1"], False)

    def test_a_server_in_such_a_cell_is_not_said_to_be_gone(self, stub: Stub) -> None:
        stub.nova = lambda _: (200, {"server": {"id": "s-2", "status": "UNKNOWN"}})
        assert failure(lambda: stub.driver().get_vm("s-2")).kind is ErrorKind.UNREACHABLE

    def test_an_older_nova_is_spoken_to_without_a_version(self, stub: Stub) -> None:
        said = {"computeFault": {"code": 406, "message": "Version 2.69 is not supported by the API."}}
        stub.nova = lambda asked: (406, said) if "openstack-api-version" in asked.headers else (200, {"servers": []})
        driver = stub.driver()
        driver.list_vms()
        driver.list_vms()
        assert stub.calls()["GET /v2.1/servers/detail"] == 3

    def test_a_server_that_found_no_host_says_that_there_was_no_room(self, stub: Stub) -> None:
        fault = {"code": 500, "message": "No valid host was found. "}
        stub.nova = lambda _: (200, {"servers": [server(1, status="ERROR", fault=fault), server(2, status="ERROR")]})
        first, second = stub.driver().list_vms().vms
        assert (first.state, first.detail, first.no_room) == (VMState.ERROR, "No valid host was found.", True)
        assert (second.state, second.no_room) == (VMState.ERROR, False)

    @pytest.mark.parametrize("reply", [HTML, b"", b"null", {}, {"servers": {}}, {"servers": ["s"]}])
    def test_a_success_that_is_no_listing_is_never_an_empty_one(self, stub: Stub, reply: Any) -> None:
        stub.nova = lambda _: (200, reply)
        assert failure(stub.driver().list_vms).code == "NotUnderstood"


class TestFailures:
    @pytest.mark.parametrize("status", [200, 400, 403, 404, 500, 502, 503])
    def test_half_a_megabyte_of_html_is_one_short_sentence(self, stub: Stub, status: int) -> None:
        stub.nova = lambda _: (status, HTML)
        for call in (stub.driver().list_vms, lambda: stub.driver().get_vm("s-1"), stub.driver().limits):
            error = failure(call)
            assert error.kind is ErrorKind.UNREACHABLE
            assert error.message == not_from("OpenStack")

    def test_a_redirect_is_not_followed(self, stub: Stub) -> None:
        stub.nova = lambda _: (302, b"<a/>")
        assert failure(stub.driver().list_vms).kind is ErrorKind.UNREACHABLE

    def test_where_nobody_listens_nothing_was_sent(self) -> None:
        error = failure(lambda: Stub(url=f"http://127.0.0.1:{free_port()}").driver().create_vm(request()))
        assert (error.kind, error.code, error.never_sent) == (ErrorKind.UNREACHABLE, "ConnectionRefused", True)

    def test_where_nobody_answers_the_wait_ends(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            driver = Stub(url=url).driver(options={"timeoutSeconds": 0.2})
            assert failure(driver.list_vms).code == "NoAnswerInTime"


class TestLaunch:
    def test_is_one_post_and_no_look(self, stub: Stub) -> None:
        stub.nova = launching(lambda _: (202, {"server": {"id": "s-1", "adminPass": "x"}}))
        driver = stub.driver()
        vm = driver.create_vm(request())
        assert (vm.id, vm.name, vm.state, vm.tags) == ("s-1", "n-1", VMState.PENDING, {"cloudherd-id": "1"})
        driver.create_vm(request())
        assert stub.calls() == {
            "POST /v3/auth/tokens": 1,
            "GET /v2.1/flavors/detail": 1,
            "POST /v2.1/servers": 2,
        }

    @pytest.mark.parametrize(
        "reply", [(500, {"computeFault": {"message": "?", "code": 500}}), (202, b"OK"), (504, HTML)]
    )
    def test_whose_answer_says_nothing_may_have_happened(self, stub: Stub, reply: Reply) -> None:
        stub.nova = launching(lambda _: reply)
        error = failure(lambda: stub.driver().create_vm(request()))
        assert (error.kind, error.never_sent) == (ErrorKind.UNKNOWN, False)
        assert stub.calls()["POST /v2.1/servers"] == 1

    def test_for_which_no_token_was_to_be_had_did_not(self, stub: Stub) -> None:
        stub.keystone = lambda _: (503, HTML)
        error = failure(lambda: stub.driver().create_vm(request()))
        assert (error.kind, error.never_sent) == (ErrorKind.UNREACHABLE, True)

    def test_for_which_no_new_token_was_to_be_had_did_not(self, stub: Stub) -> None:
        def post(_: Asked) -> Reply:
            stub.keystone = lambda _: (503, HTML)
            return UNAUTHORIZED

        stub.nova = launching(post)
        error = failure(lambda: stub.driver().create_vm(request()))
        assert (error.kind, error.never_sent) == (ErrorKind.UNREACHABLE, True)

    def test_whose_names_could_not_be_looked_up_did_not(self, stub: Stub) -> None:
        stub.nova = lambda _: (500, HTML)
        error = failure(lambda: stub.driver().create_vm(request()))
        assert (error.kind, error.never_sent) == (ErrorKind.UNREACHABLE, True)

    def test_a_refusal_repeats_nothing_of_the_user_data(self, stub: Stub) -> None:
        def post(asked: Asked) -> Reply:
            data = asked.json["server"]["user_data"]
            words = f"Invalid input for field/attribute user_data. Value: {data}. '{data}' is too long"
            return 400, {"badRequest": {"code": 400, "message": words}}

        stub.nova = launching(post)
        error = failure(lambda: stub.driver().create_vm(request()))
        assert (error.kind, error.code) == (ErrorKind.INVALID, "badRequest")
        assert error.message == "Invalid input for field/attribute user_data. '…' is too long"

    def test_longer_user_data_than_nova_takes_are_refused_without_a_call(self, stub: Stub) -> None:
        error = failure(lambda: stub.driver().create_vm(request(user_data=b"#" * (MAX_USER_DATA + 1))))
        assert error.message == "the user data has 49150 bytes, nova takes 49149; shorten the context"
        assert stub.asked == []

    def test_a_public_address_is_refused_and_the_way_out_told(self, stub: Stub) -> None:
        error = failure(lambda: stub.driver().create_vm(request(public_address=True)))
        assert error.kind is ErrorKind.INVALID
        assert error.message.endswith("leave it out, and name a network whose addresses are public")


class TestPower:
    def test_verbs_are_novas_actions_and_their_answers_have_no_body(self, stub: Stub) -> None:
        stub.nova = lambda _: (202, b"")
        driver = stub.driver()
        for verb in Verb:
            driver.power("s-1", verb)
        actions = [each.json for each in stub.asked[1:]]
        assert [name for each in actions for name in each] == ["os-stop", "os-stop", "os-start", "suspend", "resume"]

    def test_one_that_the_state_does_not_allow_is_busy(self, stub: Stub) -> None:
        words = "Cannot 'stop' instance s-1 while it is in vm_state stopped"
        stub.nova = lambda _: (409, {"conflictingRequest": {"code": 409, "message": words}})
        assert failure(lambda: stub.driver().power("s-1", Verb.STOP)).kind is ErrorKind.BUSY


class TestNames:
    @pytest.mark.parametrize(
        ("images", "sentence"),
        [
            ([], "the project has no active image debian"),
            (["saving"], "the project has no active image debian"),
            (
                ["active", "active"],
                "image debian: there must be one in this region, but 2 have that name: give one of the IDs i-0, i-1",
            ),
        ],
    )
    def test_an_image_that_is_not_one_is_refused(self, stub: Stub, images: list[str], sentence: str) -> None:
        found = [{"id": f"i-{at}", "name": "debian", "status": status} for at, status in enumerate(images)]
        stub.nova = lambda asked: (200, FLAVORS if "flavors" in asked.path else {"images": found})
        assert failure(lambda: stub.driver().create_vm(request(image="debian"))).message == sentence

    def test_a_flavors_id_goes_before_anothers_name(self, stub: Stub) -> None:
        flavors = [
            {"id": "a", "name": "b", "vcpus": 1, "ram": 1},
            {"id": "b", "name": "c", "vcpus": 1, "ram": 1},
        ]
        asked: list[Any] = []

        def post(one: Asked) -> Reply:
            asked.append(one.json["server"]["flavorRef"])
            return 202, {"server": {"id": "s-1"}}

        stub.nova = lambda one: post(one) if one.method == "POST" else (200, {"flavors": flavors})
        for flavor in ("a", "b", "c"):
            stub.driver().create_vm(request(flavor=flavor))
        assert asked == ["a", "b", "b"]

    def test_a_flavor_that_is_not_there_is_not_found(self, stub: Stub) -> None:
        stub.nova = lambda _: (200, FLAVORS)
        error = failure(lambda: stub.driver().create_vm(request(flavor="huge")))
        assert (error.kind, error.message) == (ErrorKind.NOT_FOUND, "the project has no flavor huge")

    def test_names_are_looked_up_again_after_a_refusal_and_only_then(self, stub: Stub) -> None:
        stub.nova = launching(lambda _: (400, {"badRequest": {"code": 400, "message": "no"}}))
        driver = stub.driver()
        for _ in range(2):
            failure(lambda: driver.create_vm(request()))
        assert stub.calls()["GET /v2.1/flavors/detail"] == 2
