"""The provider libcloud, on a driver in memory: what it makes of what drivers take, tell and raise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import requests
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
    options = {"driver": driver, **changes.pop("options", {})}
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


@pytest.mark.parametrize(
    ("driver", "words"),
    [
        ("ec2", "it speaks an API that we speak better: write spec.provider: ec2 and spec.endpoint"),
        ("exoscale", "it speaks an API that we speak better: write spec.provider: cloudstack and spec.endpoint"),
        ("nobody", "libcloud has no driver of this name"),
        ("dummy", "libcloud's driver puts no tags on a VM, which could not be known again as ours"),
        ("vultr", "libcloud's driver puts no tags on a VM, which could not be known again as ours"),
    ],
)
def test_a_driver_that_cannot_be_used_is_told_before_any_call(driver: str, words: str) -> None:
    error = failure(lambda: Libcloud().capabilities_of(connection("key", driver)))
    assert error.kind is ErrorKind.INVALID
    assert error.message.startswith(f"spec.options.driver: {driver}: {words}")


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


def test_verbs_are_those_that_the_driver_has_itself() -> None:
    def verbs(driver: str) -> set[str]:
        options = {"driver": driver, "tagsArgument": "ex_tags"}
        return set(Libcloud().capabilities_of(connection("key", driver, options=options)).verbs)

    assert verbs("flat") == verbs("azure_arm") == {"stop", "start"}
    assert verbs("abiquo") == set()


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


def test_after_a_lost_answer_the_vm_bears_its_identity(sky: Sky, driver: LibcloudDriver) -> None:
    sky.after, sky.troubles["create_node"] = True, requests.ReadTimeout()
    assert failure(lambda: driver.create_vm(request())).kind is ErrorKind.UNKNOWN
    assert [vm.tags for vm in driver.list_vms().vms] == [{"cloudherd-id": "1"}]


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
