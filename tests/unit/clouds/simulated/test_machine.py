"""The life of a simulated VM follows from its times alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudherd.clouds.protocol import VMState
from cloudherd.clouds.simulated.machine import ADDRESSES, Machine, address, vm_id, vm_number

BORN = Machine(1, "w", "sim.small", "sim-debian-12", {}, "10.1.0.1", created=100, ready=110)


@pytest.mark.parametrize(
    ("machine", "at", "state"),
    [
        (BORN, 99, None),
        (BORN, 100, VMState.PENDING),
        (BORN, 110, VMState.RUNNING),
        (replace(BORN, stopped=120), 119, VMState.RUNNING),
        (replace(BORN, stopped=120), 120, VMState.STOPPED),
        (replace(BORN, failed=105), 112, VMState.ERROR),
        (replace(BORN, stopped=120, failed=125), 130, VMState.ERROR),
        (replace(BORN, failed=105, ending=120, gone=130), 125, VMState.DELETING),
        (replace(BORN, ending=120, gone=130), 130, None),
    ],
)
def test_what_happened_last_in_the_order_of_a_life_is_the_state(
    machine: Machine, at: float, state: VMState | None
) -> None:
    assert machine.state(at) == state


def test_a_vm_has_its_address_once_it_has_booted() -> None:
    pending, running = BORN.seen(109), BORN.seen(110)
    assert pending is not None
    assert running is not None
    assert pending.private == ()
    assert running.private == ("10.1.0.1",)


def test_a_vm_that_failed_before_it_had_booted_never_gets_an_address() -> None:
    failed = replace(BORN, failed=105, message="No valid host was found.").seen(200)
    assert failed is not None
    assert (failed.private, failed.detail) == ((), "No valid host was found.")


def test_a_vm_that_is_gone_is_still_on_record() -> None:
    gone = replace(BORN, ending=120, gone=120)
    assert gone.seen(121) is None
    assert gone.record(121).state is VMState.DELETED


@given(st.integers(1, 10**9))
def test_every_number_has_one_id(number: int) -> None:
    assert vm_number(vm_id(number)) == number


@pytest.mark.parametrize(
    "text", ["", "i-", "i-17", "i-0000017", "i-00001x", "i-０００００１", "x-000001", "i-" + "9" * 30]
)
def test_what_is_no_id_is_no_vms_number(text: str) -> None:
    assert vm_number(text) == 0


def test_a_cloud_has_as_many_addresses_as_it_says() -> None:
    assert len({address("physics.home", index) for index in range(ADDRESSES)}) == ADDRESSES


def test_accounts_have_networks_of_their_own() -> None:
    networks = {address(f"physics.{name}", 0).rsplit(".", 2)[0] for name in ("home", "away", "cern")}
    assert len(networks) == 3
