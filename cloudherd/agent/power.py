"""What spec.powerState and spec.deletionGrace ask for: which verb is due, and what the cloud cannot do. Pure.

The intent is written to the Instance before anything is asked of the cloud, so that a VM which rests is never taken for
one that was stopped behind our back. What cannot be done is told in words, for the condition Unsupported; the VM is
then left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cloudherd.agent.actions import NOTHING, Action, Nothing, Power, Report
from cloudherd.agent.memory import WAKING, Track
from cloudherd.agent.view import View
from cloudherd.api import Instance
from cloudherd.api.conditions import find
from cloudherd.api.instance import PowerState
from cloudherd.api.quantity import parse_duration
from cloudherd.clouds.protocol import VM, Verb, VMState

_TARGETS: dict[PowerState, VMState] = {"Stopped": VMState.STOPPED, "Suspended": VMState.SUSPENDED}
_DOWN: dict[PowerState, tuple[Verb, ...]] = {"Stopped": (Verb.SHUT_DOWN, Verb.STOP), "Suspended": (Verb.SUSPEND,)}
_UP = {VMState.STOPPED: Verb.START, VMState.SUSPENDED: Verb.RESUME}
_GOING_DOWN: dict[PowerState, str] = {"Stopped": "Stopping", "Suspended": "Suspending"}
_STARTING = "Starting"
_ASKED_FOR = frozenset({*_TARGETS, *_GOING_DOWN.values(), _STARTING})
"""The reasons of Ready while a VM rests, goes to rest or comes back because that was asked for."""


def rests(record: Instance) -> bool:
    """Whether its status says that its VM rests, as was asked for."""
    verdict = find(record.status.conditions, "Ready")
    return record.status.phase == "Stopped" and verdict is not None and verdict.reason in _TARGETS


def power(record: Instance, vm: VM, track: Track, view: View) -> Action | None:
    """What is due for spec.powerState. None: the VM is to be looked at as any other."""
    wanted = record.spec.power_state
    if wanted == "Running":
        return _up(record, vm, track, view) if vm.state in _UP and _was_asked(record, track) else None
    if vm.state is _TARGETS[wanted]:
        return Report(False, wanted, f"it is {vm.state}, as spec.powerState asks", phase="Stopped")
    if vm.state is VMState.RUNNING or (wanted == "Stopped" and _goes_down(vm, track)):
        return _down(record, wanted, vm, track, view)
    return _up(record, vm, track, view) if vm.state in _UP else None


def _goes_down(vm: VM, track: Track) -> bool:
    """Whether it was told to shut down, and is neither up nor at rest."""
    return vm.state is VMState.UNKNOWN and Verb.SHUT_DOWN in track.power.told


def _was_asked(record: Instance, track: Track) -> bool:
    """Whether the VM rests because that was asked for."""
    verdict = find(record.status.conditions, "Ready")
    return (verdict is not None and verdict.reason in _ASKED_FOR) or bool(track.power.told.keys() - WAKING)


def _down(record: Instance, wanted: PowerState, vm: VM, track: Track, view: View) -> Action | None:
    verbs = _able(_DOWN[wanted], track, view)
    if not verbs:
        return None
    going = _GOING_DOWN[wanted]
    if not _says(record, going):
        return Report(False, going, f"spec.powerState asks for it to be {_TARGETS[wanted]}", phase="Stopped")
    first = track.power.told.get(verbs[0])
    deaf = first is not None and view.monotonic >= first.since + view.settings.shut_down_patience
    if _goes_down(vm, track) and not deaf:
        return NOTHING
    return _ask(verbs[-1] if deaf else verbs[0], vm, track, view)


def _up(record: Instance, vm: VM, track: Track, view: View) -> Action:
    verb = _UP[vm.state]
    if not _able((verb,), track, view):
        return Report(False, "Stopped", f"it is {vm.state}", phase="Stopped")
    if not _says(record, _STARTING):
        return Report(False, _STARTING, "spec.powerState asks for it to run", phase="Launching")
    return _ask(verb, vm, track, view)


def _says(record: Instance, reason: str) -> bool:
    verdict = find(record.status.conditions, "Ready")
    return verdict is not None and verdict.reason == reason


def _ask(verb: Verb, vm: VM, track: Track, view: View) -> Action:
    """Once, and again after a while, for a cloud may forget."""
    told = track.power.told.get(verb)
    due = told.at + view.settings.destroy_again if told else view.monotonic
    return Power(vm.id, verb) if view.monotonic >= due else Nothing(until=due)


def _able(verbs: Iterable[Verb], track: Track, view: View) -> list[Verb]:
    return [verb for verb in verbs if verb in view.capabilities.verbs and verb not in track.power.cannot]


def has_grace(record: Instance) -> bool:
    return parse_duration(record.spec.deletion_grace) > 0


def farewell(record: Instance, vm: VM, track: Track, view: View) -> Action | None:
    """What spec.deletionGrace asks for before the VM is ended. None: it is to be ended now."""
    if not has_grace(record) or not (vm.state is VMState.RUNNING or _goes_down(vm, track)):
        return None
    if not _able((Verb.SHUT_DOWN,), track, view):
        words = _cannot("spec.deletionGrace: it is ended at once", (Verb.SHUT_DOWN,), track, view)
        told = find(record.status.conditions, "Unsupported")
        if told is not None and told.message == words:
            return None
        return Report(False, "Terminating", "it is being ended", phase="Terminating", unsupported=words)
    if track.power.grace_from is None:
        track.power = replace(track.power, grace_from=view.monotonic)
    until = (track.power.grace_from or 0.0) + parse_duration(record.spec.deletion_grace)
    if view.monotonic >= until:
        return None
    if not _says(record, "ShuttingDown"):
        message = f"it may take {record.spec.deletion_grace} to shut down before it is ended (spec.deletionGrace)"
        return Report(False, "ShuttingDown", message, phase="Terminating", until=until)
    return NOTHING if Verb.SHUT_DOWN in track.power.told else Power(vm.id, Verb.SHUT_DOWN)


def unsupported(record: Instance, vm: VM, track: Track, view: View) -> str:
    """What of spec.powerState the cloud cannot do; empty where there is nothing."""
    wanted = record.spec.power_state
    if vm.state in _UP and (wanted == "Running" or vm.state is not _TARGETS[wanted]):
        verbs: tuple[Verb, ...] = (_UP[vm.state],)
    elif wanted != "Running" and vm.state is VMState.RUNNING:
        verbs = _DOWN[wanted]
    else:
        return ""
    if _able(verbs, track, view):
        return ""
    return _cannot(f"spec.powerState {wanted}: it stays {vm.state}", verbs, track, view)


def _cannot(what: str, verbs: tuple[Verb, ...], track: Track, view: View) -> str:
    refused = next((track.power.cannot[verb] for verb in verbs if verb in track.power.cannot), "")
    why = f"the cloud refuses that: {refused}" if refused else f"the provider {view.provider} cannot {verbs[0]} VMs"
    return f"{what}, since {why}"
