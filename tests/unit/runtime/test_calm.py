"""What is passed over at a poll is only what is in every respect as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cloudherd.agent.seen import Seen
from cloudherd.clouds.protocol import VM, VMState
from cloudherd.runtime.calm import Calm
from cloudherd.runtime.store import parse
from tests.unit.runtime.test_store import instance

SCOPE = "physics.home"
VMS = VM("i-1", "batch-worker-0", VMState.RUNNING, {"cloudherd-id": "6f0c"}, ("10.0.0.1",))


def record(version: int = 1) -> Any:
    return parse("instances", {**instance(version), "status": {"providerID": f"simulated://{SCOPE}/i-1"}})


def seen(vm: VM | None, scope: str = SCOPE) -> Seen:
    return Seen(scope, 0.0, {} if vm is None else {vm.id: vm})


def test_a_vm_that_is_listed_as_before_is_passed_over_however_often() -> None:
    calm, one = Calm(), record()
    calm.add(one, seen(VMS), SCOPE)
    assert all(calm.holds(one, seen(replace(VMS)), SCOPE) for _ in range(3))


@pytest.mark.parametrize(
    "now",
    [
        (None, SCOPE),
        (seen(None), SCOPE),
        (seen(replace(VMS, state=VMState.ERROR)), SCOPE),
        (seen(replace(VMS, tags={})), SCOPE),
        (seen(replace(VMS, private=("10.0.0.2",))), SCOPE),
        (seen(VMS, "physics.other"), SCOPE),
        (seen(VMS), "physics.other"),
    ],
)
def test_whatever_is_not_as_before_is_looked_into(now: tuple[Seen | None, str]) -> None:
    calm, one = Calm(), record()
    calm.add(one, seen(VMS), SCOPE)
    assert not calm.holds(one, *now)


def test_an_instance_that_has_changed_or_was_forgotten_is_looked_into() -> None:
    calm, one = Calm(), record()
    calm.add(one, seen(VMS), SCOPE)
    assert not calm.holds(record(2), seen(VMS), SCOPE)
    calm.forget(one.uid)
    assert not calm.holds(one, seen(VMS), SCOPE)
