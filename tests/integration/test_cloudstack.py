"""The provider cloudstack against the tests' own management server, over real HTTP. The truth is read in the server."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from cloudherd.clouds.cloudstack import MAX_USER_DATA, CloudStackDriver
from cloudherd.clouds.cloudstack import CloudStack as Provider
from cloudherd.clouds.protocol import VM, Connection, ErrorKind, Verb, VMState
from tests.fakes.cloudstack import CloudStack, uuid
from tests.fakes.httpserver import Fault, Reply
from tests.integration.asked import everything_said, failure, launch, seen
from tests.integration.waiting import eventually

pytestmark = pytest.mark.integration

ALICE = {"apiKey": "alices-key", "secretKey": "alices-secret"}
SMALL = uuid("small")
request = partial(launch, "physics.stack", ("who~[*]", "Zoë & co + 1"), flavor="Small Instance", image="debian-12")


@pytest.fixture
def server() -> Iterator[CloudStack]:
    with CloudStack() as server:
        yield server


Connect = Callable[..., CloudStackDriver]


@pytest.fixture
def connect(server: CloudStack) -> Connect:
    def connected(
        options: dict[str, Any] | None = None, provider: Provider | None = None, **changes: Any
    ) -> CloudStackDriver:
        settings = {"account": "physics.stack", "endpoint": f"{server.url}/client/api", "credentials": ALICE}
        return (provider or Provider()).connect(Connection(options=options or {}, **{**settings, **changes}))

    return connected


@pytest.fixture
def driver(connect: Connect) -> CloudStackDriver:
    return connect()


def quick(connect: Connect, many: int) -> list[str]:
    """VMs whose jobs nobody waits for."""
    driver = connect({"jobSeconds": 0})
    return [driver.create_vm(request(tags={"cloudherd-id": "1"})).id for _ in range(many)]


def running(driver: CloudStackDriver) -> VM:
    vm = driver.create_vm(request())
    eventually(lambda: seen(driver, vm.id).state is VMState.RUNNING)
    return vm


class TestListing:
    def test_every_page_is_read_and_one_page_is_one_call(self, server: CloudStack, connect: Connect) -> None:
        made = set(quick(connect, 7))
        assert {vm.id for vm in connect({"pageSize": 3}).list_vms().vms} == made
        assert server.calls["listVirtualMachines"] == 3
        connect().list_vms()
        assert server.calls["listVirtualMachines"] == 4

    def test_a_vm_that_goes_between_two_pages_hides_none(self, server: CloudStack, connect: Connect) -> None:
        made = quick(connect, 7)
        server.after_page.append(server.machines.pop)  # the newest is on the first page
        assert {vm.id for vm in connect({"pageSize": 3}).list_vms().vms} == set(made[:-1])

    def test_a_listing_that_never_holds_still_is_an_error(self, server: CloudStack, connect: Connect) -> None:
        quick(connect, 12)
        server.after_page += [server.machines.pop] * 9
        error = failure(connect({"pageSize": 3}).list_vms)
        assert (error.kind, error.code) == (ErrorKind.UNREACHABLE, "ListingChanges")

    def test_a_new_vm_is_on_its_way_also_before_its_job_has_begun(self, server: CloudStack, connect: Connect) -> None:
        (vm_id,) = quick(connect, 1)
        server.machines[0].made_at += 1000
        assert server.machines[0].state(0) == "Stopped"
        assert seen(connect(), vm_id).state is VMState.PENDING

    @pytest.mark.parametrize(
        ("told", "state", "detail"),
        [
            ("Stopped", VMState.STOPPED, "Stopped"),
            ("Stopping", VMState.UNKNOWN, "Stopping"),
            ("Migrating", VMState.RUNNING, ""),
            ("Expunging", VMState.DELETED, ""),
            ("Error", VMState.ERROR, "Error"),
            ("Dreaming", VMState.UNKNOWN, "Dreaming"),
        ],
    )
    def test_states(self, server: CloudStack, driver: CloudStackDriver, told: str, state: VMState, detail: str) -> None:
        vm = driver.create_vm(request())
        server.machines[0].forced = told
        assert (seen(driver, vm.id).state, seen(driver, vm.id).detail) == (state, detail)

    def test_the_scope_is_the_account_or_the_project(self, driver: CloudStackDriver, connect: Connect) -> None:
        assert driver.list_vms().scope == uuid("alice")
        project = connect({"project": uuid("cern")})
        assert project.list_vms().scope == uuid("cern")
        vm = project.create_vm(request())
        assert [each.id for each in project.list_vms().vms] == [vm.id]
        assert driver.list_vms().vms == ()

    @pytest.mark.parametrize(
        "body",
        [b"", b"<html>" + b"x" * 500_000, b"[]", b"{}", b'{"listvirtualmachinesresponse": 1}', b'{"other": {}}',
         b'{"listvirtualmachinesresponse": {"count": 1, "virtualmachine": [{}]}}',
         b'{"listvirtualmachinesresponse": {"count": 1, "virtualmachine": [{"id": "a"}]}}'],
    )  # fmt: skip
    def test_a_success_that_is_no_listing_is_never_an_empty_one(
        self, server: CloudStack, driver: CloudStackDriver, body: bytes
    ) -> None:
        driver.list_vms()
        server.faults.append(Fault("reply", times=3, reply=Reply(200, body)))
        error = failure(driver.list_vms)
        assert (error.kind, error.code) == (ErrorKind.UNREACHABLE, "NotUnderstood")


class TestLaunch:
    def test_identity_is_there_from_the_first_moment_and_users_tags_right_after(
        self, server: CloudStack, driver: CloudStackDriver
    ) -> None:
        asked = request()
        vm = driver.create_vm(asked)
        assert server.machines[0].fields["displayname"] == (
            f"cloudherd:account=physics.stack&id={asked.tags['cloudherd-id']}"
        )
        assert server.machines[0].tags == {"who~[*]": "Zoë & co + 1"}
        assert seen(driver, vm.id).tags == vm.tags == asked.tags

    def test_a_lost_answer_leaves_a_vm_that_bears_its_identity(
        self, server: CloudStack, driver: CloudStackDriver
    ) -> None:
        asked = request()
        server.faults.append(Fault("lose", "deployVirtualMachine"))
        error = failure(lambda: driver.create_vm(asked))
        assert (error.kind, error.code) == (ErrorKind.UNKNOWN, "ConnectionBroken")
        assert server.calls["deployVirtualMachine"] == 1
        (found,) = driver.list_vms().vms
        assert found.tags["cloudherd-id"] == asked.tags["cloudherd-id"]

    def test_names_are_asked_for_once(self, server: CloudStack, driver: CloudStackDriver) -> None:
        asked: dict[str, Any] = {"network": "campus", "security_groups": ("default",)}
        driver.create_vm(request(**asked))
        fields = server.machines[0].fields
        assert (fields["networkids"], fields["securitygroupids"]) == (uuid("net"), uuid("default"))
        server.calls.clear()
        driver.create_vm(request(**asked, options={"keyName": "mine"}))
        assert server.machines[1].fields["keypair"] == "mine"
        assert set(server.calls) == {"deployVirtualMachine", "createTags", "queryAsyncJobResult"}

    def test_without_tags_of_users_and_patience_a_launch_is_one_call(
        self, server: CloudStack, connect: Connect
    ) -> None:
        driver = connect({"jobSeconds": 0})
        tags = {"cloudherd-id": "1"}
        driver.create_vm(request(tags=tags))
        server.calls.clear()
        driver.create_vm(request(tags=tags))
        assert server.calls == {"deployVirtualMachine": 1}

    @pytest.mark.parametrize(
        ("changes", "kind", "message"),
        [
            ({"flavor": "Huge"}, ErrorKind.NOT_FOUND, "service offering Huge: the cloud shows none of this name"),
            ({"image": "suse"}, ErrorKind.NOT_FOUND, "template suse: the cloud shows none of this name"),
            ({"image": "other"}, ErrorKind.INVALID, "template other: several have this name; give one of the IDs"),
            ({"network": "moon"}, ErrorKind.INVALID, "network moon: the cloud shows none of this name"),
            ({"public_address": True}, ErrorKind.INVALID, "spec.network.publicAddress: CloudStack gives VMs the"),
            ({"user_data": b"#" * (MAX_USER_DATA + 1)}, ErrorKind.INVALID, "the user data has 24577 bytes"),
            ({"options": {"spot": True}}, ErrorKind.INVALID, "machine.options: spot is not known"),
            ({"tags": {"cloudherd-name": "n" * 250}}, ErrorKind.INVALID, "CloudStack's display name has no room"),
            ({"flavor": uuid("gone")}, ErrorKind.NOT_FOUND, "Unable to execute API command due to invalid value."),
        ],
    )
    def test_what_can_never_succeed_is_told_in_a_sentence(
        self, server: CloudStack, driver: CloudStackDriver, changes: dict[str, Any], kind: ErrorKind, message: str
    ) -> None:
        server.templates.append({"id": uuid("twin"), "name": "other"})
        error = failure(lambda: driver.create_vm(request(**changes)))
        assert error.kind is kind
        assert error.message.startswith(message)
        assert server.machines == []

    def test_a_zone_must_be_named_where_there_are_several(self, server: CloudStack, connect: Connect) -> None:
        server.zones.append({"id": uuid("south"), "name": "south"})
        error = failure(lambda: connect().create_vm(request()))
        assert error.message == "spec.region: left out, but it must name one of the zones north, south"
        for region in ("south", uuid("south")):
            connect(region=region).create_vm(request())
        assert {machine.fields["zoneid"] for machine in server.machines} == {uuid("south")}

    def test_tags_that_are_refused_end_the_launch(self, server: CloudStack, driver: CloudStackDriver) -> None:
        server.tag_fails = (431, "tag key is too long")
        error = failure(lambda: driver.create_vm(request()))
        assert (error.kind, error.message) == (ErrorKind.INVALID, "tag key is too long")
        eventually(lambda: not server.living())


class TestRoom:
    def test_a_limit_fills_the_account(self, server: CloudStack, driver: CloudStackDriver) -> None:
        server.users[0].limits["vmlimit"] = 1
        driver.create_vm(request())
        error = failure(lambda: driver.create_vm(request()))
        assert (error.kind, error.code, error.flavor_only) == (ErrorKind.FULL, "CloudStack535", False)

    def test_a_limit_of_cores_fills_only_what_is_too_large(self, server: CloudStack, driver: CloudStackDriver) -> None:
        server.users[0].limits["cpulimit"] = 4
        error = failure(lambda: driver.create_vm(request(flavor="Large Instance")))
        assert (error.kind, error.flavor_only) == (ErrorKind.FULL, True)
        driver.create_vm(request())

    def test_a_job_that_finds_no_host_is_a_full_cloud_and_leaves_nothing(
        self, server: CloudStack, driver: CloudStackDriver
    ) -> None:
        server.host_cpus = 4
        error = failure(lambda: driver.create_vm(request(flavor="Large Instance")))
        assert (error.kind, error.code, error.flavor_only) == (ErrorKind.FULL, "CloudStack533", True)
        assert error.message.startswith("Unable to create a deployment for VM")
        eventually(lambda: not server.living())
        driver.create_vm(request())

    def test_a_job_that_finds_no_host_after_our_patience_is_asked_once_and_told_with_the_vm(
        self, server: CloudStack, connect: Connect
    ) -> None:
        """By any of the account's threads, each of which has a driver of its own."""
        server.host_cpus = 4
        provider = Provider()
        vm = connect({"jobSeconds": 0}, provider=provider).create_vm(
            request(flavor="Large Instance", tags={"cloudherd-id": "1"})
        )
        assert (vm.state, vm.no_room) == (VMState.PENDING, False)
        another = connect(provider=provider)
        eventually(lambda: seen(another, vm.id).state is VMState.ERROR)
        (failed,) = another.list_vms().vms
        assert (failed.no_room, failed.detail) == (True, "Unable to create a deployment for VM[User|i-2-1-VM]")
        server.calls.clear()
        assert [*another.list_vms().vms, *connect(provider=provider).list_vms().vms] == [failed, failed]
        assert server.calls["queryAsyncJobResult"] == 0

    def test_one_in_error_is_on_its_way_until_its_job_says_why(self, server: CloudStack, connect: Connect) -> None:
        driver = connect({"jobSeconds": 0})
        vm = driver.create_vm(request(tags={"cloudherd-id": "1"}))
        server.machines[0].forced = "Error"
        (job_id,) = server.jobs
        server.jobs[job_id] = lambda _: (0, {})
        assert seen(driver, vm.id).state is VMState.PENDING
        server.faults.append(Fault("drop", "queryAsyncJobResult"))
        assert seen(driver, vm.id).state is VMState.PENDING
        server.jobs[job_id] = lambda _: (2, {"jobresult": {"errorcode": 530, "errortext": "hunter2-hunter2"}})
        failed = seen(driver, vm.id)
        assert (failed.state, failed.no_room, failed.detail) == (VMState.ERROR, False, "Error")

    def test_after_a_restart_nobody_knows_why_one_is_in_error(self, server: CloudStack, connect: Connect) -> None:
        server.host_cpus = 4
        vm = connect({"jobSeconds": 0}).create_vm(request(flavor="Large Instance", tags={"cloudherd-id": "1"}))
        restarted = connect()
        eventually(lambda: seen(restarted, vm.id).state is VMState.ERROR)
        assert (seen(restarted, vm.id).no_room, seen(restarted, vm.id).detail) == (False, "Error")
        assert server.calls["queryAsyncJobResult"] == 0

    def test_a_job_that_cannot_be_asked_goes_on(self, server: CloudStack, driver: CloudStackDriver) -> None:
        server.faults.append(Fault("drop", "queryAsyncJobResult", times=9))
        vm = driver.create_vm(request())
        eventually(lambda: seen(driver, vm.id).state is VMState.RUNNING)

    def test_limits_and_sizes(self, server: CloudStack, driver: CloudStackDriver, connect: Connect) -> None:
        server.users[0].limits |= {"vmlimit": 20, "memorylimit": 40960}
        limits = driver.limits()
        assert (limits.instances, limits.cpus, limits.memory) == (20, None, 40 * 2**30)
        assert connect({"project": uuid("cern")}).limits().instances == 7
        assert {size.name: (size.cpus, size.memory) for size in driver.sizes()} == {
            "Small Instance": (1, 2**29),
            "Large Instance": (8, 16 * 2**30),
        }


class TestPower:
    def test_a_vm_on_its_way_is_busy(self, server: CloudStack, driver: CloudStackDriver) -> None:
        vm = running(driver)
        server.machines[0].passing = ("Stopping", float("inf"))
        for verb in (Verb.SHUT_DOWN, Verb.STOP, Verb.START):
            error = failure(partial(driver.power, vm.id, verb))
            assert (error.kind, error.code) == (ErrorKind.BUSY, "CloudStack536")

    def test_a_start_of_what_runs_changes_nothing(self, server: CloudStack, driver: CloudStackDriver) -> None:
        vm = running(driver)
        driver.power(vm.id, Verb.START)
        assert seen(driver, vm.id).state is VMState.RUNNING

    def test_a_vm_that_is_gone_is_not_found(self, driver: CloudStackDriver) -> None:
        assert failure(lambda: driver.power(uuid("gone"), Verb.STOP)).kind is ErrorKind.NOT_FOUND


class TestEnd:
    def test_a_destroyed_vm_lingers_and_is_a_deleted_one(self, server: CloudStack, driver: CloudStackDriver) -> None:
        vm = driver.create_vm(request())
        driver.destroy_vm(vm.id)
        eventually(lambda: seen(driver, vm.id).state is VMState.DELETED)

    def test_with_expunge_it_is_gone_where_the_cloud_allows_that(self, server: CloudStack, connect: Connect) -> None:
        driver = connect({"expunge": True})
        vm = driver.create_vm(request())
        error = failure(lambda: driver.destroy_vm(vm.id))
        assert (error.kind, error.code) == (ErrorKind.INVALID, "CloudStack531")
        server.expunge_allowed = True
        driver.destroy_vm(vm.id)
        assert driver.get_vm(vm.id) is None


class TestFailures:
    @pytest.mark.parametrize(
        ("code", "kind"),
        [(401, ErrorKind.DENIED), (429, ErrorKind.THROTTLED), (432, ErrorKind.INVALID), (530, ErrorKind.UNREACHABLE),
         (531, ErrorKind.DENIED), (536, ErrorKind.BUSY), (599, ErrorKind.UNREACHABLE)],
    )  # fmt: skip
    def test_error_codes(self, server: CloudStack, driver: CloudStackDriver, code: int, kind: ErrorKind) -> None:
        body = b'{"errorresponse": {"errorcode": %d, "errortext": "no"}}' % code
        server.faults.append(Fault("reply", reply=Reply(code, body)))
        assert failure(driver.list_vms).kind is kind

    def test_a_server_that_never_answers_costs_no_more_than_the_time_out(
        self, server: CloudStack, connect: Connect
    ) -> None:
        server.faults.append(Fault("hang"))
        assert failure(connect({"timeoutSeconds": 0.2}).list_vms).code == "NoAnswerInTime"

    def test_a_path_that_is_not_the_apis_or_leads_elsewhere_is_unreachable(
        self, server: CloudStack, connect: Connect
    ) -> None:
        assert failure(connect(endpoint=f"{server.url}/client").list_vms).code == "HTTP404"
        server.faults.append(Fault("reply", reply=Reply(307, b"")))
        assert failure(connect().list_vms).code == "HTTP307"
        assert failure(lambda: connect(endpoint="")).message.startswith("spec.endpoint is required")

    def test_nothing_secret_is_logged_or_said_whatever_goes_wrong(
        self, server: CloudStack, connect: Connect, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        data = b"#cloud-config\npassword: hunter2-hunter2\n"
        secrets = [*ALICE.values(), "password: hunter2-hunter2", b64encode(data).decode()]
        words = " ".join(["bad:", *secrets])
        refused = f'{{"errorresponse": {{"errorcode": 431, "errortext": "{words}"}}}}'.encode()
        errors = []
        for fault in (
            Fault("lose", "deployVirtualMachine"),
            Fault("reply", "deployVirtualMachine", reply=Reply(500, words.encode())),
            Fault("reply", "deployVirtualMachine", reply=Reply(431, refused)),
            Fault("hang", "deployVirtualMachine"),
        ):
            server.faults.append(fault)
            errors.append(failure(lambda: connect({"timeoutSeconds": 0.3}).create_vm(request(user_data=data))))
        everything = everything_said(errors, caplog)
        assert "bad:" in everything
        assert [secret for secret in secrets if secret in everything] == []
