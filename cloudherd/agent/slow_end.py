"""What an Instance says of a VM whose end takes the cloud longer than a poll. Pure.

A cloud that has begun to end a VM is asked no more, so one that never comes to an end is told: since when, in which
state, and who can help. Once it is told nothing changes but the cloud's own state, also for an agent that has just been
started.
"""

from __future__ import annotations

from cloudherd.agent.actions import Action, Nothing, Report
from cloudherd.agent.memory import Track
from cloudherd.agent.view import View
from cloudherd.api import Instance
from cloudherd.api.conditions import find
from cloudherd.api.meta import timestamp
from cloudherd.clouds.protocol import VM

REASON = "EndsSlowly"


def slow_end(record: Instance, ending: list[VM], track: Track, view: View, until: float | None) -> Action:
    """`ending` are its VMs that are on their way out by the cloud's own word; `until`: when others are asked again."""
    if record.lacked_room:
        return Nothing(until=until)  # why stays to be read until it is gone
    for vm in ending:
        told = _told(record, vm)
        if not told and view.monotonic >= track.ending_at[vm.id] + view.settings.ending_patience:
            told = _sentence(vm, track.ending_at[vm.id], view)
        if told:
            return Report(False, REASON, told, phase="Terminating", tell=True, until=until)
    if record.status.phase != "Terminating":
        return Report(False, "Terminating", "the cloud is ending the VM", phase="Terminating", until=until)
    return Nothing(until=until)


def _told(record: Instance, vm: VM) -> str:
    """What its status says of that VM in that state already."""
    ready = find(record.status.conditions, "Ready")
    same = ready is not None and ready.reason == REASON and f"{_place(vm)} since" in ready.message
    return ready.message if ready is not None and same else ""


def _place(vm: VM) -> str:
    return f"VM {vm.id}, whose state there is {vm.detail}," if vm.detail else f"VM {vm.id}"


def _sentence(vm: VM, since: float, view: View) -> str:
    """It may have begun before we first saw it."""
    begun = timestamp(view.now - (view.monotonic - since))
    help_ = f": {view.capabilities.stuck_end}" if view.capabilities.stuck_end else ""
    return f"the cloud has been ending the {_place(vm)} since {begun} at the latest{help_}"
