"""One Instance as a plan sees it: read once, since plans look at each of ten thousand many times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cloudherd.api import Condition, Instance, ObjectKey
from cloudherd.api.instance import Phase


@dataclass(slots=True, eq=False)
class Vm:
    """`ready` is what the Ready condition says; `up` holds for Unknown too, after having been ready: an account that
    cannot be reached says nothing against its VMs. `ending`: its place will come back, since it is being deleted, or
    failed and will be.
    """

    instance: Instance
    uid: str
    name: str
    slot: int
    service: str
    account: ObjectKey
    phase: Phase
    verdict: Condition | None
    recipe: int
    revision: str
    deleting: bool
    ready: bool
    up: bool
    ending: bool


def vms_of(instances: Iterable[Instance], known: Mapping[int, Vm] | None = None) -> list[Vm]:
    """By slot. `known` are those of an earlier plan by the id of their Instance, which is another object once it has
    changed.
    """
    known = known or {}
    found = []
    for instance in instances:
        vm = known.get(id(instance))
        found.append(vm if vm is not None and vm.instance is instance else vm_of(instance))
    return sorted(found, key=lambda vm: (vm.slot, vm.name))


def vm_of(instance: Instance) -> Vm:
    meta, spec, status = instance.metadata, instance.spec, instance.status
    verdict = None
    for condition in status.conditions:
        if condition.type == "Ready":
            verdict = condition
    phase, deleting = status.phase, meta.deletion_timestamp is not None
    return Vm(
        instance,
        meta.uid,
        meta.name,
        slot_in(meta.name),
        spec.service_name,
        ObjectKey(spec.account_ref.namespace, spec.account_ref.name),
        phase,
        verdict,
        spec.recipe,
        spec.revision,
        deleting,
        ready=not deleting and verdict is not None and verdict.status == "True",
        up=not deleting and phase == "Ready",
        ending=deleting or phase == "Failed",
    )


def slot_in(name: str) -> int:
    """The slot's number; a name that was not ours to give sorts last."""
    number = name.rpartition("-")[2]
    return int(number) if number.isdecimal() else 10**9
