"""What the state of its VM means for an Instance. Pure but for the memory of when an address was first missed."""

from __future__ import annotations

from cloudherd.agent.actions import NOTHING, Action, Lost, Nothing, Report
from cloudherd.agent.memory import Track
from cloudherd.agent.view import View
from cloudherd.api import Instance
from cloudherd.api.instance import Addresses
from cloudherd.clouds.protocol import VM, VMState

ADDRESSES = 16


def report_of(record: Instance, vm: VM, track: Track, view: View) -> Action:
    match vm.state:
        case VMState.RUNNING:
            return _running(record, vm, track, view)
        case VMState.PENDING:
            if record.status.phase in ("Ready", "Running"):
                return NOTHING  # it is being restarted
            return Report(False, "Launching", "the cloud is starting the VM", phase="Launching")
        case VMState.STOPPED:
            if record.spec.power_state != "Running":
                return NOTHING
            return Lost("VMStopped", _words(vm, "is stopped at the cloud"))
        case VMState.ERROR:
            return Lost("VMError", _words(vm, "is in an error state at the cloud"))
        case VMState.DELETING | VMState.DELETED:
            return Lost("VMVanished", _words(vm, "was deleted at the cloud"))
        case VMState.UNKNOWN:
            return NOTHING if record.status.provider_id else Report(False, "Launching", "the cloud does not say yet")


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


def _words(vm: VM, state: str) -> str:
    return f"{vm.id} {state}: {vm.detail}" if vm.detail else f"{vm.id} {state}"
