"""What OpenNebula's states mean, all that pyone knows of."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pyone import LCM_STATE, VM_STATE

from cloudherd.clouds.opennebula_read import is_unplaced, labels_of, to_vm
from cloudherd.clouds.protocol import VMState

NOW = 1_800_000_000


def item(state: int, lcm: int = 0, **user_template: str) -> SimpleNamespace:
    return SimpleNamespace(
        ID=7, NAME="n", STATE=state, LCM_STATE=lcm, TEMPLATE={"CPU": "1"}, USER_TEMPLATE=user_template, STIME=NOW - 1000
    )


def states() -> dict[str, VMState]:
    whole = {one.name: to_vm(item(one)).state for one in VM_STATE if one is not VM_STATE.ACTIVE}
    return whole | {f"ACTIVE/{one.name}": to_vm(item(VM_STATE.ACTIVE, one)).state for one in LCM_STATE}


def test_only_what_is_done_is_gone_and_every_failure_is_an_error() -> None:
    found = states()
    assert {name for name, state in found.items() if state is VMState.DELETED} == {"DONE"}
    failures = {name for name in found if "FAIL" in name}
    assert {name for name, state in found.items() if state is VMState.ERROR} == failures


def test_what_is_ending_is_told_from_what_goes_to_rest() -> None:
    found = states()
    ending = {name for name, state in found.items() if state is VMState.DELETING}
    assert ending == {"ACTIVE/SHUTDOWN", "ACTIVE/EPILOG", "ACTIVE/CANCEL", "ACTIVE/CLEANUP_DELETE"}
    resting = ("POWEROFF", "STOPPED", "UNDEPLOYED", "ACTIVE/SHUTDOWN_UNDEPLOY", "ACTIVE/SAVE_STOP")
    assert {found[name] for name in resting} == {VMState.STOPPED}
    assert {found["SUSPENDED"], found["ACTIVE/SAVE_SUSPEND"]} == {VMState.SUSPENDED}


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("PENDING", VMState.PENDING),
        ("HOLD", VMState.PENDING),
        ("ACTIVE/PROLOG", VMState.PENDING),
        ("ACTIVE/BOOT_POWEROFF", VMState.PENDING),
        ("ACTIVE/RUNNING", VMState.RUNNING),
        ("ACTIVE/MIGRATE", VMState.RUNNING),
        ("ACTIVE/HOTPLUG", VMState.RUNNING),
        ("ACTIVE/UNKNOWN", VMState.UNKNOWN),
        ("ACTIVE/SHUTDOWN_POWEROFF", VMState.UNKNOWN),
    ],
)
def test_what_comes_and_what_is_up(name: str, state: VMState) -> None:
    assert states()[name] is state


@pytest.mark.parametrize(("state", "lcm", "detail"), [(77, 0, "state 77"), (3, 777, "LCM state 777")])
def test_a_state_of_a_newer_opennebula_is_unknown(state: int, lcm: int, detail: str) -> None:
    vm = to_vm(item(state, lcm))
    assert (vm.state, vm.detail) == (VMState.UNKNOWN, detail)


def test_labels_of_people_are_no_tags_and_do_no_harm() -> None:
    tags = {"cloudherd-id": "1e5", "a,b=c": "Zoë, 50% = x"}
    own = item(VM_STATE.ACTIVE, LCM_STATE.RUNNING, LABELS=f"lab/blue,{labels_of(tags)}, urgent")
    assert tags.items() <= to_vm(own).tags.items()
    assert to_vm(item(VM_STATE.ACTIVE, LCM_STATE.RUNNING, LABELS="lab/blue,owner=me")).tags == {}


def test_public_and_private_addresses_and_ports_without_one() -> None:
    vm = item(VM_STATE.ACTIVE, LCM_STATE.RUNNING)
    vm.TEMPLATE["NIC"] = [{"IP": "10.0.0.1"}, {"NETWORK_ID": "3"}, {"IP": "192.0.3.1"}]
    assert (to_vm(vm).private, to_vm(vm).public) == (("10.0.0.1",), ("192.0.3.1",))
    assert to_vm(item(VM_STATE.PENDING)).private == ()


def test_a_message_without_a_date_is_told_as_it_is() -> None:
    old = "Cannot dispatch VM to any Host. Possible reasons: Not enough capacity"
    waiting = to_vm(item(VM_STATE.PENDING, SCHED_MESSAGE=old))
    assert (waiting.detail, waiting.no_room) == (old, True)


def test_only_a_vm_that_has_waited_long_for_a_host_without_a_word_is_to_be_asked_for() -> None:
    waiting = item(VM_STATE.PENDING)
    assert is_unplaced(waiting, NOW)
    assert not is_unplaced(item(VM_STATE.PENDING, SCHED_MESSAGE="Not enough CPU"), NOW)
    assert not is_unplaced(item(VM_STATE.HOLD), NOW)
    assert not is_unplaced(item(VM_STATE.ACTIVE, LCM_STATE.BOOT), NOW)
    assert not is_unplaced(waiting, NOW - 1000 + 29), "its scheduler may not have tried yet"
    assert is_unplaced(waiting, NOW - 5000), "its clock is ahead of ours"
