"""The provider opennebula against the tests' own front-end, over real HTTP. The truth is read in the server."""

from __future__ import annotations

import logging
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from cloudherd.clouds.opennebula import MAX_USER_DATA, OpenNebulaDriver
from cloudherd.clouds.opennebula import OpenNebula as Provider
from cloudherd.clouds.protocol import CloudError, ErrorKind, Verb, VMState
from tests.fakes.httpserver import Fault, Reply
from tests.fakes.opennebula import OpenNebula
from tests.fakes.opennebula_machine import BOOT_FAILURE, SHUTDOWN_POWEROFF, several
from tests.integration.asked import everything_said, failure, seen
from tests.integration.at_opennebula import ALICE, connected, request, running
from tests.integration.waiting import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
def server() -> Iterator[OpenNebula]:
    with OpenNebula() as server:
        yield server


OF_THIS_NAME = "of this name are shown to the account; write the ID of one of them in place of the name"
Connect = Callable[..., OpenNebulaDriver]


@pytest.fixture
def connect(server: OpenNebula) -> Connect:
    return partial(connected, server)


@pytest.fixture
def driver(connect: Connect) -> OpenNebulaDriver:
    return connect()


class TestListing:
    def test_one_short_call_holds_tags_flavor_state_and_address(
        self, server: OpenNebula, driver: OpenNebulaDriver
    ) -> None:
        asked = request()
        vm = driver.create_vm(asked)
        eventually(lambda: driver.list_vms().vms[0].state is VMState.RUNNING)
        server.calls.clear()
        (listed,) = driver.list_vms().vms
        assert server.calls == {"vmpool.info": 1}
        assert (listed.id, listed.name, listed.flavor, listed.tags) == (vm.id, asked.name, "small", asked.tags)
        assert len(listed.private) == 1
        assert listed == driver.get_vm(vm.id)

    def test_the_scope_is_the_user_by_id_and_name_and_what_the_region_says(self, connect: Connect) -> None:
        assert connect().list_vms().scope == "opennebula.3-alice"
        assert connect(region="campus/north").list_vms().scope == "campus%2Fnorth.3-alice"

    def test_other_users_vms_are_not_ours_to_count(self, server: OpenNebula, driver: OpenNebulaDriver) -> None:
        server.one_template_instantiate(server.users[1], 100, "bobs", False, "<TEMPLATE/>", False)
        assert driver.list_vms().vms == ()

    def test_done_vms_are_in_no_listing_and_deleted_by_their_id(self, driver: OpenNebulaDriver) -> None:
        vm = running(driver)
        driver.destroy_vm(vm.id)
        eventually(lambda: driver.list_vms().vms == ())
        assert seen(driver, vm.id).state is VMState.DELETED

    def test_an_id_that_is_none_is_asked_nobody(self, server: OpenNebula, driver: OpenNebulaDriver) -> None:
        assert driver.get_vm("i-0123") is None
        driver.destroy_vm("i-0123")
        assert server.calls == {}

    def test_a_vm_put_to_rest_behind_our_back_is_stopped(self, server: OpenNebula, driver: OpenNebulaDriver) -> None:
        vm = running(driver)
        server.machines[int(vm.id)].forced = (8, 0)
        assert (seen(driver, vm.id).state, seen(driver, vm.id).detail) == (VMState.STOPPED, "POWEROFF")

    def test_a_failed_boot_is_an_error_in_oneds_words(self, server: OpenNebula, driver: OpenNebulaDriver) -> None:
        vm = running(driver)
        machine = server.machines[int(vm.id)]
        machine.forced = (3, BOOT_FAILURE)
        machine.user_template["ERROR"] = "Sat Nov 21 08:35:35 2026: DEPLOY: dummy2:name:dummy"
        found = seen(driver, vm.id)
        assert (found.state, found.detail) == (VMState.ERROR, "BOOT_FAILURE: DEPLOY: dummy2:name:dummy")

    def test_an_error_on_a_vm_that_runs_well_is_none(self, server: OpenNebula, driver: OpenNebulaDriver) -> None:
        vm = running(driver)
        server.machines[int(vm.id)].user_template["ERROR"] = "[deploy] Deploy action is not available for state RUNNING"
        assert (seen(driver, vm.id).state, seen(driver, vm.id).detail) == (VMState.RUNNING, "")

    @pytest.mark.parametrize("body", [b"", b"<html>" + b"x" * 500_000 + b"</html>", b"<methodResponse><params>"])
    def test_a_success_that_is_no_listing_is_never_an_empty_one(
        self, server: OpenNebula, driver: OpenNebulaDriver, body: bytes
    ) -> None:
        driver.list_vms()
        server.faults.append(Fault("reply", reply=Reply(200, body)))
        error = failure(driver.list_vms)
        assert (error.kind, error.code) == (ErrorKind.UNREACHABLE, "NotUnderstood")

    def test_an_answer_to_another_question_is_none(self, server: OpenNebula, driver: OpenNebulaDriver) -> None:
        driver.list_vms()
        for xml in ("<IMAGE_POOL/>", "<VM_POOL><VM><ID>1</ID></VM></VM_POOL>", "<html/>"):
            value = f"<value><string><![CDATA[{xml}]]></string></value><value><i4>0</i4></value>"
            data = f"<array><data><value><boolean>1</boolean></value>{value}</data></array>"
            body = f"<methodResponse><params><param><value>{data}</value></param></params></methodResponse>"
            server.faults.append(Fault("reply", reply=Reply(200, body.encode())))
            assert failure(driver.list_vms).code == "NotUnderstood"


class TestLaunch:
    def test_it_costs_two_calls_once_the_names_are_known(self, server: OpenNebula, driver: OpenNebulaDriver) -> None:
        driver.create_vm(request())
        server.calls.clear()
        driver.create_vm(request())
        assert server.calls == {"template.info": 1, "template.instantiate": 1}

    def test_ids_do_as_well_as_names(self, server: OpenNebula, driver: OpenNebulaDriver) -> None:
        vm = driver.create_vm(request(flavor="100", image="7", network="1", security_groups=("0",)))
        assert server.calls == {"template.info": 1, "template.instantiate": 1}
        assert (driver.list_vms().vms[0].id, driver.list_vms().vms[0].flavor) == (vm.id, "100")

    def test_what_the_template_says_of_disks_networks_and_context_stays(
        self, server: OpenNebula, driver: OpenNebulaDriver
    ) -> None:
        asked = request()
        template = server.machines[int(driver.create_vm(asked).id)].template
        assert several(template, "DISK") == [{"IMAGE_ID": "7", "DEV_PREFIX": "vd"}, {"SIZE": "512"}]
        assert [nic["NETWORK_ID"] for nic in several(template, "NIC")] == ["1"]
        (context,) = several(template, "CONTEXT")
        assert (context["NETWORK"], context["SET_HOSTNAME"]) == ("YES", asked.name)
        assert "SSH_PUBLIC_KEY" in context

    def test_a_network_and_security_groups_by_name(self, server: OpenNebula, driver: OpenNebulaDriver) -> None:
        server.networks[5] = "public"
        vm = driver.create_vm(request(network="public", security_groups=("default",)))
        (nic,) = several(server.machines[int(vm.id)].template, "NIC")
        assert (nic["NETWORK_ID"], nic["SECURITY_GROUPS"]) == ("5", "0")

    def test_user_data_that_oned_would_expand_or_refuse_arrive_byte_for_byte(
        self, server: OpenNebula, driver: OpenNebulaDriver
    ) -> None:
        data = b'#!/bin/sh\necho $HOME ${X} $(date) $$ "q" \\ ]]> \xf0\x9f\x90\x91\0\xff\n'
        assert server.user_data(driver.create_vm(request(user_data=data)).id) == data

    @pytest.mark.parametrize(
        ("changes", "kind", "message"),
        [
            ({"image": "twice"}, ErrorKind.INVALID, f"image twice: 2 {OF_THIS_NAME}: 8 of oneadmin, 9 of bob"),
            ({"image": "suse"}, ErrorKind.NOT_FOUND, "image suse: this OpenNebula shows none of this name"),
            ({"flavor": "huge"}, ErrorKind.NOT_FOUND, "template huge: this OpenNebula shows none of this name"),
            ({"network": "moon"}, ErrorKind.INVALID, "network moon: this OpenNebula shows none of this name"),
            ({"public_address": True}, ErrorKind.INVALID, "spec.network.publicAddress: OpenNebula gives addresses by"),
            ({"user_data": b"#" * (MAX_USER_DATA + 1)}, ErrorKind.INVALID, "the user data has 1000001 bytes, at most"),
            ({"options": {"spot": True}}, ErrorKind.INVALID, "machine.options: spot is not known"),
            ({"network": "99"}, ErrorKind.INVALID, "Virtual network with ID: 99 does not exist"),
        ],
    )  # fmt: skip
    def test_what_can_never_succeed_is_told_in_a_sentence(
        self, server: OpenNebula, driver: OpenNebulaDriver, changes: dict[str, Any], kind: ErrorKind, message: str
    ) -> None:
        error = failure(lambda: driver.create_vm(request(**changes)))
        assert error.kind is kind
        assert error.message.startswith(message)
        assert server.machines == {}

    def test_of_many_of_one_name_five_are_told_and_how_many_more(
        self, server: OpenNebula, driver: OpenNebulaDriver
    ) -> None:
        server.images |= dict.fromkeys(range(20, 26), "often")
        error = failure(lambda: driver.create_vm(request(image="often")))
        assert error.message.endswith("24 of oneadmin and 1 more")

    def test_a_new_image_of_a_known_name_is_found_after_a_refusal(self, server: OpenNebula, connect: Connect) -> None:
        driver = connect()
        driver.create_vm(request())
        server.images = {20: "debian-12"}
        assert failure(lambda: driver.create_vm(request())).kind is ErrorKind.NOT_FOUND
        driver.create_vm(request())

    def test_there_is_no_token_and_the_same_request_twice_makes_two(self, driver: OpenNebulaDriver) -> None:
        assert not Provider.capabilities.idempotency_token
        asked = request()
        assert driver.create_vm(asked).id != driver.create_vm(asked).id

    def test_an_answer_that_is_lost_leaves_open_what_happened(
        self, server: OpenNebula, driver: OpenNebulaDriver
    ) -> None:
        asked = request()
        server.faults.append(Fault("lose", "template.instantiate"))
        error = failure(lambda: driver.create_vm(asked))
        assert (error.kind, error.code) == (ErrorKind.UNKNOWN, "ConnectionBroken")
        assert server.calls["template.instantiate"] == 1
        assert [vm.tags for vm in driver.list_vms().vms] == [asked.tags]


class TestPower:
    def test_on_its_way_down_it_can_only_be_switched_off(self, server: OpenNebula, driver: OpenNebulaDriver) -> None:
        vm = running(driver)
        machine = server.machines[int(vm.id)]
        machine.passing = (SHUTDOWN_POWEROFF, float("inf"))
        assert (seen(driver, vm.id).state, seen(driver, vm.id).detail) == (VMState.UNKNOWN, "SHUTDOWN_POWEROFF")
        for verb in (Verb.SHUT_DOWN, Verb.START, Verb.SUSPEND):
            assert failure(partial(driver.power, vm.id, verb)).kind is ErrorKind.BUSY
        driver.power(vm.id, Verb.STOP)
        eventually(lambda: seen(driver, vm.id).state is VMState.STOPPED)


class TestEnd:
    def test_what_boots_cannot_be_ended_yet(self, server: OpenNebula, driver: OpenNebulaDriver) -> None:
        vm = driver.create_vm(request())
        server.machines[int(vm.id)].forced = (3, 2)
        error = failure(lambda: driver.destroy_vm(vm.id))
        assert (error.kind, error.code) == (ErrorKind.BUSY, "WrongState")
        assert error.message.endswith("wrong state BOOT.")

    def test_a_running_one_is_on_its_way_out_and_then_deleted(
        self, server: OpenNebula, driver: OpenNebulaDriver
    ) -> None:
        vm = running(driver)
        driver.destroy_vm(vm.id)
        server.machines[int(vm.id)].done_at = float("inf")
        eventually(lambda: seen(driver, vm.id).detail == "EPILOG")
        assert seen(driver, vm.id).state is VMState.DELETING
        server.machines[int(vm.id)].done_at = 0
        assert seen(driver, vm.id).state is VMState.DELETED

    def test_one_whose_end_fails_runs_on_and_can_be_asked_again(
        self, server: OpenNebula, driver: OpenNebulaDriver
    ) -> None:
        vm = running(driver)
        for ends in (False, True):
            server.ends = ends
            driver.destroy_vm(vm.id)
            assert (seen(driver, vm.id).state is VMState.RUNNING) is not ends

    def test_another_users_vm_or_a_locked_one_is_told_and_denies_nothing_else(
        self, server: OpenNebula, driver: OpenNebulaDriver
    ) -> None:
        theirs = server.one_template_instantiate(server.users[1], 100, "bobs", False, "<TEMPLATE/>", False)
        error = failure(lambda: driver.destroy_vm(str(theirs)))
        assert (error.kind, error.code) == (ErrorKind.INVALID, "NotAuthorized")


class TestFailures:
    def test_a_missing_right_denies_launches(self, server: OpenNebula, driver: OpenNebulaDriver) -> None:
        server.rights = False
        assert failure(lambda: driver.create_vm(request())).kind is ErrorKind.DENIED

    def test_a_front_end_that_never_answers_costs_no_more_than_the_time_out(
        self, server: OpenNebula, connect: Connect
    ) -> None:
        server.faults.append(Fault("hang", times=2))
        driver = connect({"timeoutSeconds": 0.2})
        began = time.monotonic()
        error = failure(driver.list_vms)
        assert (error.kind, error.code) == (ErrorKind.UNREACHABLE, "NoAnswerInTime")
        assert failure(driver.limits).code == "NoAnswerInTime"
        assert time.monotonic() - began < 10

    def test_a_path_that_is_not_the_apis_or_leads_elsewhere_is_unreachable(
        self, server: OpenNebula, connect: Connect
    ) -> None:
        error = failure(connect(endpoint=f"{server.url}/sunstone").list_vms)
        assert (error.kind, error.code) == (ErrorKind.UNREACHABLE, "HTTP404")
        server.faults.append(Fault("reply", reply=Reply(307, b"")))
        assert failure(connect().list_vms).code == "HTTP307"
        assert failure(lambda: connect(endpoint="")).message.startswith("spec.endpoint is required")

    def test_a_method_that_an_old_version_lacks_is_a_refusal(
        self, server: OpenNebula, driver: OpenNebulaDriver
    ) -> None:
        with pytest.raises(CloudError) as caught:
            driver._api.read("vm.teleport", "VM", 1)
        assert caught.value.kind is ErrorKind.INVALID
        assert "-506" in caught.value.message

    def test_nothing_secret_is_logged_or_said_whatever_goes_wrong(
        self, server: OpenNebula, connect: Connect, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        data = b"#cloud-config\npassword: hunter2-hunter2\n"
        secrets = [ALICE["password"], "password: hunter2-hunter2", b64encode(data).decode()]
        errors = []
        for fault in (
            Fault("lose", "template.instantiate"),
            Fault("reply", "template.instantiate", reply=Reply(200, " ".join(secrets).encode())),
            Fault("reply", "template.instantiate", reply=Reply(500, " ".join(secrets).encode())),
            Fault("reply", "template.instantiate", reply=_refusal(" ".join(["bad template:", *secrets]))),
            Fault("hang", "template.instantiate"),
        ):
            server.faults.append(fault)
            driver = connect({"timeoutSeconds": 0.3})
            errors.append(failure(partial(driver.create_vm, request(user_data=data))))
        everything = everything_said(errors, caplog)
        assert "bad template:" in everything
        assert [secret for secret in secrets if secret in everything] == []


def _refusal(words: str) -> Reply:
    values = f"<value><boolean>0</boolean></value><value><string>{words}</string></value><value><i4>16384</i4></value>"
    data = f"<value><array><data>{values}</data></array></value>"
    body = f"<methodResponse><params><param>{data}</param></params></methodResponse>"
    return Reply(200, body.encode(), "text/xml")
