"""What the provider opennebula makes of quotas and of hosts that are full, at the tests' own front-end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudherd.clouds.opennebula import OpenNebulaDriver
from cloudherd.clouds.protocol import ErrorKind, Limits, VMState
from tests.fakes.httpserver import Fault
from tests.fakes.opennebula import OpenNebula
from tests.integration.asked import failure, seen
from tests.integration.at_opennebula import connected, request, running
from tests.integration.waiting import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
def server() -> Iterator[OpenNebula]:
    with OpenNebula() as server:
        yield server


@pytest.fixture
def driver(server: OpenNebula) -> OpenNebulaDriver:
    return connected(server)


@pytest.mark.parametrize("whose", ["user", "group"])
def test_a_full_quota_fills_the_account(server: OpenNebula, driver: OpenNebulaDriver, whose: str) -> None:
    (server.users[0].quota if whose == "user" else server.group_quota)["VMS"] = 1
    driver.create_vm(request())
    error = failure(lambda: driver.create_vm(request()))
    assert (error.kind, error.code, error.flavor_only) == (ErrorKind.FULL, "QuotaExceeded", False)
    assert "reached for VMS quota in VM." in error.message
    assert len(server.living()) == 1


def test_a_quota_of_cores_fills_only_what_is_too_large(server: OpenNebula, driver: OpenNebulaDriver) -> None:
    server.users[0].quota["CPU"] = 2
    server.add_template("large", CPU="4", MEMORY="2048")
    error = failure(lambda: driver.create_vm(request(flavor="large")))
    assert (error.kind, error.flavor_only) == (ErrorKind.FULL, True)
    driver.create_vm(request())


def test_no_address_left_fills_the_account_until_one_is_free(server: OpenNebula, driver: OpenNebulaDriver) -> None:
    server.leases = 1
    vm = running(driver)
    error = failure(lambda: driver.create_vm(request()))
    assert (error.kind, error.code, error.flavor_only) == (ErrorKind.FULL, "NoFreeAddress", False)
    driver.destroy_vm(vm.id)
    eventually(lambda: not server.living())
    driver.create_vm(request())


def test_a_vm_without_a_host_waits_and_says_so_in_words_that_do_not_change(
    server: OpenNebula, driver: OpenNebulaDriver
) -> None:
    server.host_cpus = 1
    running(driver)
    second = driver.create_vm(request())
    eventually(lambda: seen(driver, second.id).no_room)
    waiting = seen(driver, second.id)
    assert (waiting.state, waiting.detail) == (VMState.PENDING, "[HOST] Not enough CPU on hosts: 0,1,2")
    assert waiting in driver.list_vms().vms
    server.host_cpus = 2
    eventually(lambda: seen(driver, second.id).state is VMState.RUNNING)
    assert not seen(driver, second.id).no_room


def test_before_6_4_one_that_waits_long_is_asked_for_since_no_listing_says_why() -> None:
    with OpenNebula(version=(5, 8)) as old:
        old.host_cpus = 1
        driver = connected(old)
        running(driver)
        second = driver.create_vm(request())
        eventually(lambda: seen(driver, second.id).no_room)
        assert [vm.no_room for vm in driver.list_vms().vms] == [False, False], "it has not waited for long"
        old.machines[int(second.id)].made_at -= 30
        old.calls.clear()
        waiting, other = driver.list_vms().vms
        assert old.calls == {"vmpool.info": 1, "vm.info": 1}
        assert (waiting.id, waiting.state, waiting.no_room) == (second.id, VMState.PENDING, True)
        assert waiting.detail.startswith("Cannot dispatch VM to any Host.")
        assert (waiting, other.no_room) == (seen(driver, second.id), False)


def test_of_those_that_wait_a_few_are_asked_for_and_only_our_own() -> None:
    with OpenNebula(version=(5, 8), ahead=-3600) as old:
        old.host_cpus = 0
        driver = connected(old)
        theirs = old.one_template_instantiate(old.users[0], 100, "theirs", False, "<TEMPLATE/>", False)
        made = [driver.create_vm(request()).id for _ in range(7)]
        eventually(lambda: seen(driver, made[-1]).no_room)
        driver.list_vms()
        old.calls.clear()
        assert {vm.id for vm in driver.list_vms().vms if vm.no_room} == set(made[:5])
        assert old.calls == {"vmpool.info": 1, "vm.info": 5}
        for vm_id in (str(theirs), *made[:5]):
            driver.destroy_vm(vm_id)
        assert {vm.id for vm in driver.list_vms().vms if vm.no_room} == set(made[5:])


def test_a_listing_is_whole_also_where_one_that_waits_cannot_be_asked_for() -> None:
    with OpenNebula(version=(5, 8), ahead=-3600) as old:
        old.host_cpus = 0
        driver = connected(old)
        made = [driver.create_vm(request()).id for _ in range(3)]
        driver.list_vms()
        old.faults.append(Fault("drop", "vm.info"))
        old.calls.clear()
        assert {vm.id for vm in driver.list_vms().vms} == set(made)
        assert old.calls["vm.info"] == 1


def test_limits_are_the_users_own_and_what_others_leave_of_the_groups(
    server: OpenNebula, driver: OpenNebulaDriver
) -> None:
    server.users[0].quota |= {"VMS": 8, "MEMORY": 4096}
    server.group_quota |= {"VMS": 5, "CPU": -1}
    driver.create_vm(request())
    for name in ("one", "two"):
        server.one_template_instantiate(server.users[1], 100, name, False, "<TEMPLATE/>", False)
    assert driver.limits() == Limits(instances=3, memory=4 * 2**30)


def test_limits_are_those_of_all_users_where_one_has_none_of_his_own(
    server: OpenNebula, driver: OpenNebulaDriver
) -> None:
    server.shows_groups = False
    server.default_quota |= {"VMS": 6, "CPU": 4}
    assert driver.limits().instances == 6
    driver.create_vm(request())
    server.users[0].quota["CPU"] = -2
    assert (driver.limits().instances, driver.limits().cpus) == (6, None)


def test_templates_that_say_how_large_they_are_are_the_sizes(server: OpenNebula, driver: OpenNebulaDriver) -> None:
    server.add_template("half", CPU="0.5", MEMORY="512")
    server.add_template("vague", CPU="1")
    found = {size.name: (size.id, size.cpus, size.memory) for size in driver.sizes()}
    assert found == {"small": ("100", 1, 2 * 2**30), "half": ("101", 0.5, 2**29)}
