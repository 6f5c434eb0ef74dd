"""One Instance, the last listing and what we remember of it: what is to be done. Pure.

Absent is never the same as not seen: a VM counts as gone only when a complete listing lacks it and the cloud, asked
for it by its own ID after that, says that it does not exist; one that was never sighted also has the cloud's visibility
window.
"""

from __future__ import annotations

from dataclasses import replace

from cloudherd.agent.actions import NOTHING, Action, Destroy, Launch, LookUp, Lost, Nothing, Release, Report
from cloudherd.agent.identity import bears_identity, identity_in, identity_of, is_ours, provider_id
from cloudherd.agent.memory import Track, never_launched, never_will_be
from cloudherd.agent.power import farewell, has_grace
from cloudherd.agent.seen import GONE, Seen
from cloudherd.agent.slow_end import slow_end
from cloudherd.agent.standing import report_of
from cloudherd.agent.view import FINALIZER, View, elsewhere, vm_id_of
from cloudherd.api import Instance
from cloudherd.clouds.protocol import VM, VMState


def decide(record: Instance, track: Track, view: View) -> Action:
    if record.deleting and record.annotation("abandon") == "true" and FINALIZER in record.metadata.finalizers:
        left = f" {record.status.provider_id} is left to itself" if record.status.provider_id else ""
        return Release(tell=f"Let go without its VM, as the annotation cloudherd.dev/abandon asks.{left}")
    track.notice(record, view.monotonic)
    if view.monotonic < track.not_before:
        return Nothing(until=track.not_before)
    if record.deleting:
        return _ending(record, track, view) if FINALIZER in record.metadata.finalizers else NOTHING
    if record.status.phase == "Failed" or view.seen is None:
        return NOTHING
    if elsewhere(record, view):
        return _repointed(view.seen, view)
    vm_id = vm_id_of(record, track)
    return _standing(record, track, view, view.seen, vm_id) if vm_id else _starting(record, track, view, view.seen)


def _repointed(seen: Seen, view: View) -> Action:
    return Report(
        "Unknown",
        "AccountRepointed",
        f"the account's credentials now lead to {seen.scope}, where this VM is not: "
        f"point them back to {view.scope or 'where it was launched'}",
    )


# -- with a VM


def _standing(record: Instance, track: Track, view: View, seen: Seen, vm_id: str) -> Action:
    vm = seen.by_id.get(vm_id)
    if vm is None:
        if not _speaks_of(seen, track, view):
            return Nothing(until=_speaks_from(track, view))
        look = track.looks.get(vm_id)
        if look is None or (look.vm is not None and look.at < seen.begun):
            return LookUp(vm_id)
        if look.vm is None:
            return Lost("VMVanished", f"{record.status.provider_id or vm_id} does not exist at the cloud any more")
        vm = look.vm  # the listing hides it
    track.sighted = True
    if vm.state is not GONE and not _is_its(record, vm, view):
        return _conflict(vm, track, view)
    if not record.status.provider_id:
        return adopted(record, vm, track, view, seen.scope)
    return report_of(record, vm, track, view)


def _speaks_of(seen: Seen, track: Track, view: View) -> bool:
    """Whether the VM's absence from this listing means anything."""
    return seen.begun >= _speaks_from(track, view)


def _speaks_from(track: Track, view: View) -> float:
    since = track.young_since()
    return since if track.sighted else since + view.capabilities.visibility_seconds


def _is_its(record: Instance, vm: VM, view: View) -> bool:
    """Whether a VM bears all of this Instance's identity."""
    return is_ours(vm.tags, view.installation, record.account) and identity_in(vm.tags) == identity_of(record)


def _conflict(vm: VM, track: Track, view: View) -> Action:
    """A VM without whole tags may still be getting them; one that names another owner never was ours."""
    patience = track.young_since() + view.capabilities.visibility_seconds
    if not bears_identity(vm.tags) and view.monotonic < patience:
        return Nothing(until=patience)
    return Lost("IdentityConflict", f"the VM {vm.id} does not bear this Instance's identity tags, so it is not touched")


# -- without a VM yet


def _starting(record: Instance, track: Track, view: View, seen: Seen) -> Action:
    found = seen.of(record)
    if found:
        return adopted(record, found[0], track, view, seen.scope)
    if view.hold:
        return NOTHING
    predecessors = seen.predecessors(record)
    if predecessors:
        return Report(
            False, "PredecessorRuns", f"the VM {predecessors[0].id} still bears this name under another id", tell=True
        )
    return _launch(record, track, view, seen)


def _launch(record: Instance, track: Track, view: View, seen: Seen) -> Action:
    """After an attempt of unknown outcome: with a token once a later listing lacks the VM, without one only when none
    can come any more. Without one, a record that was there before us may have been restored: like a VM that seems
    gone, its VM must be missing from a second listing after the visibility window.
    """
    unsettled = track.unsettled_since(record)
    if view.capabilities.idempotency_token:
        due = unsettled is None or seen.begun > unsettled
        return Launch(claim=view.shares(record)) if due else NOTHING
    settled = -1.0
    if unsettled is not None:
        settled = unsettled + _late(view)
    elif track.inherited:
        track.missing_since = seen.begun if track.missing_since is None else track.missing_since
        settled = track.missing_since + view.capabilities.visibility_seconds
    return Launch(claim=True) if seen.begun >= settled else Nothing(until=settled)


def _late(view: View) -> float:
    return max(view.capabilities.visibility_seconds, view.settings.late_creation)


def adopted(record: Instance, vm: VM, track: Track, view: View, scope: str) -> Report:
    """The first report on a VM, from a listing or from the answer to its creation."""
    named = provider_id(view.provider, scope, vm.id)
    launched = True if track.unsettled_since(record) is not None else None
    outcome = report_of(record, vm, track, view)
    if isinstance(outcome, Lost):  # it never was up, so no brake is asked
        return Report(False, outcome.reason, outcome.message, "Failed", provider_id=named, launched=launched, tell=True)
    if not isinstance(outcome, Report):
        outcome = Report(False, "Launching", f"the VM is {vm.state.value}")
    return replace(outcome, phase=outcome.phase or "Launching", provider_id=named, launched=launched)


# -- on its way out


def _ending(record: Instance, track: Track, view: View) -> Action:
    vm_id = vm_id_of(record, track)
    untold = track.inherited and not view.capabilities.tags_at_creation  # the sweep would not find what it missed
    never = never_will_be if untold or view.shares(record) else never_launched
    if not vm_id and never(record) and track.unknown_at is None:
        return Release()
    if view.seen is None:
        return NOTHING
    if elsewhere(record, view):
        return _repointed(view.seen, view)
    seen = view.seen
    known = {vm.id: vm for vm in (*seen.of(record), *seen.untagged(record, view.installation))}
    if known and not vm_id:
        vm_id = track.vm_id = next(iter(known))
    vm = _shown(vm_id, seen, track)
    if vm is not None and vm.state is not GONE and vm_id not in known:
        if _is_its(record, vm, view):
            known[vm_id] = vm
        elif bears_identity(vm.tags):
            vm_id = ""  # another owner's; ours, if there is one, bears our tags
        else:
            return Report(
                False,
                "IdentityConflict",
                f"the VM {vm_id} has lost its identity tags, so it is not touched: put them back, or end it by hand, "
                'or let this record go with the annotation cloudherd.dev/abandon: "true"',
            )
    gently = _farewell(record, track, view, known)
    if gently is not None:
        return gently
    return _destroy(record, track, view, known) if known else _confirm(record, track, view, vm_id)


def _farewell(record: Instance, track: Track, view: View, known: dict[str, VM]) -> Action | None:
    """The grace is that of one VM; of several of one identity there should be none."""
    if len(known) != 1 or track.asked:
        return None
    (vm,) = known.values()
    return farewell(record, vm, track, view)


def _shown(vm_id: str, seen: Seen, track: Track) -> VM | None:
    """A VM as the listing shows it, or as the cloud did when it was asked after that."""
    look = track.looks.get(vm_id)
    return seen.by_id.get(vm_id) or (look.vm if look and look.at >= seen.begun else None)


def _destroy(record: Instance, track: Track, view: View, known: dict[str, VM]) -> Action:
    """Asks each VM to end, and again after a while; says so where the cloud takes longer than a poll."""
    track.sighted = True
    ending = [vm for vm in known.values() if vm.state is VMState.DELETING]
    track.ending_at = {vm.id: track.ending_at.get(vm.id, view.monotonic) for vm in ending}
    due: list[str] = []
    again: list[float] = []
    slow = False
    for vm_id, vm in known.items():
        asked = track.asked.get(vm_id)
        slow = slow or vm.state is VMState.DELETING or (asked is not None and _begun(view) > asked.at)
        if vm.state is VMState.DELETING:
            continue
        next_at = asked.at + view.settings.destroy_again * min(10.0, 2.0 ** (asked.times - 1)) if asked else 0.0
        if view.monotonic >= next_at:
            due.append(vm_id)
        else:
            again.append(next_at)
    if due:
        return Destroy(tuple(due))
    until = min(again, default=None)
    return slow_end(record, ending, track, view, until) if slow else Nothing(until=until)


def _begun(view: View) -> float:
    return view.seen.begun if view.seen else -1.0


def _confirm(record: Instance, track: Track, view: View, vm_id: str) -> Action:
    """No VM of this Instance is in the listing but such as are deleted for good."""
    seen = view.seen
    assert seen is not None
    if not vm_id:
        return _confirm_none(record, track, view, seen)
    if vm_id in seen.by_id:
        return Release()
    if vm_id == track.vm_id and vm_id not in track.asked:  # launched by us, and too young for the listing
        return LookUp(vm_id) if has_grace(record) and vm_id not in track.looks else Destroy((vm_id,))
    asked = max((one.at for one in track.asked.values()), default=-1.0)
    if not _speaks_of(seen, track, view) or seen.begun <= asked:
        return Nothing(until=_speaks_from(track, view))
    look = track.looks.get(vm_id)
    if (
        look is None
        or look.at < max(asked, _speaks_from(track, view))
        or (look.vm is not None and look.at < seen.begun)
    ):
        return LookUp(vm_id)
    return Release() if look.vm is None or look.vm.state is GONE else NOTHING


def _confirm_none(record: Instance, track: Track, view: View, seen: Seen) -> Action:
    """It has no VM that we know of; one may still come."""
    settled = track.first_seen + view.capabilities.visibility_seconds
    if view.shares(record) or (track.inherited and view.capabilities.idempotency_token):
        assert track.ending_since is not None
        settled = track.ending_since + _late(view)  # without tokens it would bear a claim
    unsettled = track.unsettled_since(record)
    if unsettled is not None:
        settled = max(settled, unsettled + _late(view))
    return Release() if seen.begun >= settled else Nothing(until=settled)
