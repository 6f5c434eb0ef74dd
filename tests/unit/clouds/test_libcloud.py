"""The provider libcloud, on a driver in memory: what it makes of what drivers take, tell and raise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import requests
import trustme
from libcloud.common.exceptions import BaseHTTPError, RateLimitReachedError
from libcloud.common.types import InvalidCredsError, MalformedResponseError
from libcloud.compute.types import NodeState

from cloudherd.clouds.conformance import CloudUnderTest, ProviderConformance
from cloudherd.clouds.libcloud_any import Libcloud, LibcloudDriver
from cloudherd.clouds.protocol import Connection, ErrorKind, LaunchRequest, VMState
from tests.fakes.libcloud_driver import SKIES, Sky, register
from tests.integration.asked import failure

register()
_keys = count()


def connection(key: str, driver: str = "flat", **changes: Any) -> Connection:
    options = {"driver": driver, "listsAll": True, **changes.pop("options", {})}
    return Connection("physics.flat", credentials={"key": key}, options=options, **changes)


class TestConformance(ProviderConformance):
    @pytest.fixture
    def cloud(self) -> Iterator[CloudUnderTest]:
        keys = [f"key-{next(_keys)}" for _ in range(3)]
        for key in keys:
            SKIES[key] = Sky()
        mine, other, broken = keys

        def foreign() -> str:
            driver = Libcloud().connect(connection(mine))._driver
            return str(driver.create_node("theirs", driver.list_sizes()[0], driver.list_images()[0]).id)

        def lose_next_reply() -> None:
            SKIES[mine].after = True
            SKIES[mine].troubles["create_node"] = requests.ReadTimeout("too late")

        def trouble(key: str, error: Exception) -> Connection:
            SKIES[key].always = error
            return connection(key)

        yield CloudUnderTest(
            provider=Libcloud(),
            connection=connection(mine),
            flavor="small",
            image="debian-12",
            absent_flavor="huge",
            absent_image="suse",
            absent_vm="n-999",
            user_data=lambda vm_id: SKIES[mine].user_data[vm_id].encode(),
            add_foreign=foreign,
            elsewhere=connection(other),
            refused=lambda: trouble(broken, InvalidCredsError()),
            dead=lambda: trouble(broken, requests.ConnectionError("no route")),
            fill=lambda: SKIES[mine].troubles.update(create_node=BaseHTTPError(403, "Quota exceeded for s3cret")),
            lose_next_reply=lose_next_reply,
        )
        for key in keys:
            del SKIES[key]


@pytest.fixture
def sky() -> Iterator[Sky]:
    SKIES["key"] = Sky()
    yield SKIES["key"]
    del SKIES["key"]


@pytest.fixture
def driver(sky: Sky) -> LibcloudDriver:
    return Libcloud().connect(connection("key"))


def request(**changes: Any) -> LaunchRequest:
    made = LaunchRequest("ch-1", "batch-worker-0", "small", "debian-12", {"cloudherd-id": "1"}, b"#cloud-config\n{}\n")
    return replace(made, **changes)


def test_a_driver_without_a_connection_is_led_to_no_endpoint(sky: Sky) -> None:
    error = failure(lambda: Libcloud().connect(connection("key", endpoint="http://127.0.0.1:1")))
    assert error.message == (
        "spec.options.driver: flat: libcloud's driver can be led to no endpoint; leave spec.endpoint out"
    )


def test_a_driver_without_a_connection_takes_no_cas(sky: Sky) -> None:
    keys = {"key": "key", "caBundle": trustme.CA().cert_pem.bytes().decode()}
    error = failure(lambda: Libcloud().connect(replace(connection("key"), credentials=keys)))
    assert error.message == (
        "spec.options.driver: flat: libcloud's driver takes no CAs; leave caBundle out of the Secret"
    )


def test_arguments_that_a_driver_does_not_take_are_told_without_their_values(sky: Sky) -> None:
    error = failure(lambda: Libcloud().connect(connection("key", options={"arguments": {"colour": "s3cret"}})))
    assert error.message.startswith("spec.options.driver: flat: libcloud's driver does not take these settings (TypeE")
    assert "s3cret" not in error.message


def test_a_driver_without_user_data_declares_it(sky: Sky) -> None:
    bare = connection("key", "bare")
    assert Libcloud().capabilities_of(bare).max_user_data == 0
    assert Libcloud().capabilities_of(connection("key")).max_user_data == 16384
    driver = Libcloud().connect(bare)
    assert failure(lambda: driver.create_vm(request())).code == "UserDataTooLong"
    assert driver.create_vm(request(user_data=b"")).state is VMState.RUNNING


def test_the_accounts_own_arguments_and_its_location_are_passed_on(sky: Sky) -> None:
    options = {"createArguments": {"ex_network": "campus"}}
    Libcloud().connect(connection("key", region="north", options=options)).create_vm(request())
    extra = sky.nodes[0].extra
    assert (extra["network"], extra["location"].id) == ("campus", "l1")
    wrong = Libcloud().connect(connection("key", region="moon"))
    assert failure(lambda: wrong.create_vm(request())).message == "location moon: the cloud shows none of this name"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"image": "twin"}, "NotOne"),
        ({"network": "campus"}, "NoNetworks"),
        ({"public_address": True}, "NoNetworks"),
        ({"user_data": b"\xff\xfe"}, "UserDataNotText"),
        ({"options": {"spot": True}}, "InvalidSettings"),
    ],
)
def test_what_cannot_be_is_refused_before_it_is_sent(
    sky: Sky, driver: LibcloudDriver, changes: dict[str, Any], code: str
) -> None:
    error = failure(lambda: driver.create_vm(request(**changes)))
    assert (error.kind, error.code) == (ErrorKind.INVALID, code)
    assert sky.nodes == []


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (BaseHTTPError(403, "Quota exceeded"), ErrorKind.FULL),
        (BaseHTTPError(422, "You have reached your droplet limit: limit exceeded"), ErrorKind.FULL),
        (BaseHTTPError(503, "Insufficient capacity in this zone"), ErrorKind.FULL),
        (BaseHTTPError(403, "no"), ErrorKind.DENIED),
        (BaseHTTPError(400, "no"), ErrorKind.INVALID),
        (BaseHTTPError(404, "no"), ErrorKind.NOT_FOUND),
        (BaseHTTPError(500, "s3cret"), ErrorKind.UNKNOWN),
        (RateLimitReachedError(), ErrorKind.THROTTLED),
        (MalformedResponseError("s3cret", "s3cret", None), ErrorKind.UNKNOWN),
        (requests.ReadTimeout("s3cret"), ErrorKind.UNKNOWN),
        (Exception("s3cret"), ErrorKind.UNKNOWN),
        (KeyError("s3cret"), ErrorKind.UNKNOWN),
    ],
)
def test_what_drivers_raise_is_told_in_our_words(
    sky: Sky, driver: LibcloudDriver, raised: Exception, kind: ErrorKind
) -> None:
    sky.troubles["create_node"] = raised
    error = failure(lambda: driver.create_vm(request()))
    assert error.kind is kind
    assert "s3cret" not in f"{error}{error.__context__}{error.__cause__}"


def test_a_vm_that_never_shows_its_tags_is_ended_and_none_is_launched_again(sky: Sky, driver: LibcloudDriver) -> None:
    sky.tags_shown = "never"
    error = failure(lambda: driver.create_vm(request()))
    assert (error.kind, error.code) == (ErrorKind.INVALID, "TagsNotKept")
    assert error.message == "libcloud's driver flat made the VM n-1, which does not show its tags, and was ended"
    assert failure(lambda: driver.create_vm(request())).code == "TagsNotKept"
    assert [node.state for node in sky.nodes] == [NodeState.TERMINATED]


def test_a_vm_that_shows_its_tags_only_in_a_listing_is_ours(sky: Sky, driver: LibcloudDriver) -> None:
    sky.tags_shown = "later"
    assert driver.create_vm(request()).tags == {"cloudherd-id": "1"}
    assert [node.state for node in sky.nodes] == [NodeState.RUNNING]


def test_a_vm_without_tags_that_cannot_be_looked_at_is_ended_and_its_outcome_unknown(
    sky: Sky, driver: LibcloudDriver
) -> None:
    sky.tags_shown = "later"
    sky.troubles["list_nodes"] = requests.ReadTimeout("s3cret")
    assert failure(lambda: driver.create_vm(request())).kind is ErrorKind.UNKNOWN
    assert [node.state for node in sky.nodes] == [NodeState.TERMINATED]
    assert driver.create_vm(request()).state is VMState.RUNNING


def test_a_vm_without_tags_that_cannot_be_ended_is_named(sky: Sky, driver: LibcloudDriver) -> None:
    sky.tags_shown = "never"
    sky.troubles["destroy_node"] = BaseHTTPError(500, "s3cret")
    error = failure(lambda: driver.create_vm(request()))
    assert error.message.endswith(
        "made the VM n-1, which does not show its tags, and cannot be ended (HTTP500): end it by hand"
    )


def test_the_end_of_a_vm_that_went_meanwhile_is_no_error(sky: Sky, driver: LibcloudDriver) -> None:
    vm = driver.create_vm(request())
    sky.troubles["destroy_node"] = BaseHTTPError(404, "no")
    driver.destroy_vm(vm.id)


def test_after_a_lost_answer_the_vm_bears_its_identity(sky: Sky, driver: LibcloudDriver) -> None:
    sky.after, sky.troubles["create_node"] = True, requests.ReadTimeout()
    assert failure(lambda: driver.create_vm(request())).kind is ErrorKind.UNKNOWN
    assert [vm.tags for vm in driver.list_vms().vms] == [{"cloudherd-id": "1"}]


def test_a_vm_that_came_to_two_pages_is_listed_once(sky: Sky, driver: LibcloudDriver) -> None:
    vm = driver.create_vm(request())
    sky.nodes *= 2
    assert [one.id for one in driver.list_vms().vms] == [vm.id]


def test_states_that_are_not_common_are_unknown(sky: Sky, driver: LibcloudDriver) -> None:
    vm = driver.create_vm(request())
    for told, state in ((NodeState.PAUSED, VMState.STOPPED), (NodeState.NORMAL, VMState.UNKNOWN)):
        sky.nodes[0].state = told
        seen = driver.get_vm(vm.id)
        assert seen is not None
        assert seen.state is state


def test_the_scope_is_of_the_keys_unless_it_is_given(sky: Sky) -> None:
    SKIES["other"] = Sky()
    scopes = [Libcloud().connect(connection(key)).list_vms().scope for key in ("key", "other")]
    kept = {
        Libcloud().connect(connection(key, options={"scope": "campus"})).list_vms().scope for key in ("key", "other")
    }
    del SKIES["other"]
    assert scopes[0] != scopes[1]
    assert kept == {"campus"}
    assert "key" not in scopes[0]
