"""What the state of its VM means for an Instance. Pure but for the memory of when an address was first missed."""

from __future__ import annotations

from dataclasses import replace

from cloudherd.agent.actions import NOTHING, Action, Lost, Nothing, Report
from cloudherd.agent.memory import Track
from cloudherd.agent.power import power, unsupported
from cloudherd.agent.view import View
from cloudherd.api import Instance
from cloudherd.api.conditions import find
from cloudherd.api.instance import CLOUD_FULL, Addresses
from cloudherd.clouds.protocol import VM, VMState

ADDRESSES = 16


LOSSES = {
    VMState.STOPPED: ("VMStopped", "is stopped at the cloud"),
    VMState.SUSPENDED: ("VMStopped", "is suspended at the cloud"),
    VMState.ERROR: ("VMError", "is in an error state at the cloud"),
    VMState.DELETING: ("VMVanished", "was deleted at the cloud"),
    VMState.DELETED: ("VMVanished", "was deleted at the cloud"),
}


def report_of(record: Instance, vm: VM, track: Track, view: View) -> Action:
    asked = power(record, vm, track, view)
    outcome = asked if asked is not None else _looked_at(record, vm, track, view)
    if not isinstance(outcome, Report):
        return outcome
    lacking = unsupported(record, vm, track, view)
    if not (lacking or find(record.status.conditions, "Unsupported")):
        return outcome
    return replace(outcome, unsupported=lacking)


def _looked_at(record: Instance, vm: VM, track: Track, view: View) -> Action:
    if vm.state is VMState.RUNNING:
        return _running(record, vm, track, view)
    if vm.no_room and record.status.phase not in ("Ready", "Running"):
        return Lost(CLOUD_FULL, f"{vm.id} found no place at the cloud: {vm.detail}")
    if vm.state in LOSSES:
        reason, what = LOSSES[vm.state]
        return Lost(reason, f"{vm.id} {what}: {vm.detail}" if vm.detail else f"{vm.id} {what}")
    if vm.state is VMState.PENDING and record.status.phase not in ("Ready", "Running"):
        return Report(False, "Launching", "the cloud is starting the VM", phase="Launching")
    return NOTHING  # it is being restarted, or the cloud does not say


def _running(record: Instance, vm: VM, track: Track, view: View) -> Action:
    if vm.private or vm.public:
        track.without_address = None
        addresses = Addresses(private=list(vm.private[:ADDRESSES]), public=list(vm.public[:ADDRESSES]))
        return Report(True, "ServiceReady", phase="Ready", addresses=addresses)
    if record.status.phase == "Ready":
        return NOTHING  # it had one; clouds forget them for a moment
    if track.without_address is None:
        track.without_address = view.monotonic
    until = track.without_address + view.settings.address_wait
    if view.monotonic < until and record.status.provider_id:
        return Nothing(until=until)
    if view.monotonic < until:
        return Report(False, "Launching", "the VM runs and waits for an address", phase="Launching", until=until)
    return Report(False, "WaitingForAddress", "the VM runs but has no address yet", phase="Running")
