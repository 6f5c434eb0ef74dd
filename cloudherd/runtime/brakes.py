"""What holds an account's loop back: why nothing may be launched, when nothing is known any more, mass losses, the
sweep.
"""

from __future__ import annotations

from cloudherd.agent import slow_end
from cloudherd.agent.actions import Action, Lost, Nothing, Report
from cloudherd.agent.loss import judge, service_of, too_many, was_up
from cloudherd.agent.memory import Track
from cloudherd.agent.power import rests
from cloudherd.agent.sweep import Orphan, sweep, untagged
from cloudherd.agent.view import FINALIZER, vm_id_of
from cloudherd.api import CloudAccount, Instance, ObjectKey
from cloudherd.api.quantity import parse_duration
from cloudherd.runtime import keeper
from cloudherd.runtime.account_state import AccountState, Parts
from cloudherd.runtime.store import Unreadable

STALE = "Stale"
UNREACHABLE = "AccountUnreachable"
STUCK = ("IdentityConflict", "AccountRepointed", "PredecessorRuns", slow_end.REASON)
LONG = 30.0  # seconds of waiting during which no listing brings news


def hold(state: AccountState, parts: Parts, account: CloudAccount) -> str:
    """Why nothing may be launched on this account now; empty where it may."""
    now = parts.clock.monotonic()
    if state.facts.trouble is not None and state.facts.trouble != state.denied:
        return state.facts.trouble.reason
    if state.facts.frozen:
        return "MassLoss"
    if now < state.throttled.until or now < state.launches_denied.until:
        return "Throttled"
    if not _flavors_told(state, account) or not keeper.held(parts.store, account):
        return "NotPrepared"
    seen = state.seen
    if seen is None or seen.begun < state.outdated_at or now - seen.begun > parse_duration(account.spec.poll_interval):
        return STALE
    return ""


def _flavors_told(state: AccountState, account: CloudAccount) -> bool:
    """Whether the account's status says what it offers, by which a launch is judged: after a restore not at once."""
    sizes = state.facts.sizes
    nothing_to_tell = sizes is not None and not sizes.known.keys() & set(account.spec.flavors.values())
    return bool(account.status.flavors) or nothing_to_tell


def is_moving(record: Instance, track: Track, action: Action, now: float) -> bool:
    """Whether its VM is on its way up or down, so that the next listing will bring news."""
    if isinstance(action, Lost) or (isinstance(action, Report) and action.reason in STUCK):
        return False
    waits_long = isinstance(action, Nothing) and action.until is not None and action.until > now + LONG
    if waits_long and (record.deleting or not vm_id_of(record, track)):
        return False  # a VM that was launched is looked for with every poll, however long it may stay hidden
    if record.deleting:
        return FINALIZER in record.metadata.finalizers
    if record.status.phase in ("Ready", "Failed") or rests(record):
        return False
    return bool(vm_id_of(record, track)) or track.unsettled_since(record) is not None


# -- an account that nothing is known of


def _dark_since(state: AccountState, parts: Parts) -> float:
    return (state.last_good if state.last_good is not None else state.started_at) + parts.settings.unreachable_after


def dark(state: AccountState, parts: Parts) -> bool:
    """Whether there was no good listing for so long that nobody knows how its VMs are."""
    return state.facts.trouble is not None and parts.clock.monotonic() >= _dark_since(state, parts)


def next_unknown(state: AccountState, parts: Parts) -> float | None:
    """When Instances are to turn Unknown next."""
    if state.facts.trouble is None:
        return None
    now, since = parts.clock.monotonic(), _dark_since(state, parts)
    if now < since:
        return since
    return now + 1 if state.unknown_left else None


def unknown(state: AccountState, parts: Parts) -> list[tuple[Instance, Report]]:
    """The Instances to turn Unknown now: a few each second, behind all other writes."""
    if not dark(state, parts) or state.facts.trouble is None:
        state.unknown_left = False
        return []
    report = Report("Unknown", UNREACHABLE, f"nothing is known of its VM: {state.facts.trouble.message}")
    due = [
        one
        for one in parts.store.of_account(state.key)
        if isinstance(one, Instance)
        and one.status.phase != "Failed"
        and one.uid not in state.busy
        and not _is(one, UNREACHABLE)
    ]
    return [(one, report) for one in _few(due, state, parts)]


def _is(record: Instance, reason: str) -> bool:
    ready = record.condition("Ready")
    return ready is not None and (ready.status, ready.reason) == ("Unknown", reason)


def _few(due: list[Instance], state: AccountState, parts: Parts) -> list[Instance]:
    now = parts.clock.monotonic()
    if now >= state.unknown_from + 1:
        state.unknown_from, state.unknown_written = now, 0
    few = due[: max(0, parts.settings.unknown_writes_per_second - state.unknown_written)]
    state.unknown_written += len(few)
    state.unknown_left = len(few) < len(due)
    return few


# -- many VMs lost at once


def losses(state: AccountState, parts: Parts, account: CloudAccount) -> list[tuple[Instance, Report]]:
    """What is to be written of the VMs that look lost: that they are, or, while the brake holds, that nobody knows."""
    now = parts.clock.monotonic()
    if not (state.lost or state.facts.freeze) or state.looking or now < state.frozen_until:
        return []
    lost = {uid: one for uid, (one, _) in state.lost.items()}
    records = [one for one in parts.store.of_account(state.key) if isinstance(one, Instance)]
    up = [one for one in records if was_up(one) and not one.deleting]
    unanswered = _unanswered(state, up)
    if unanswered and too_many({**lost, **unanswered}, up, state.losses, parts.settings)[0]:
        return []  # a few answers do not make it a few losses
    state.freeze = judge(lost, up, account.annotation("accept-loss"), state.losses, parts.settings, now)
    state.facts.freeze = state.freeze.message if state.freeze else ""
    state.facts.frozen = state.freeze is not None and state.freeze.whole
    frozen = state.freeze.uids if state.freeze else frozenset()
    written = [_lost(one, loss) for uid, (one, loss) in state.lost.items() if uid not in frozen]
    for one, _ in written:
        state.lost.pop(one.uid)
        if was_up(one):
            state.losses.recent[one.uid] = now, service_of(one)
    held = [one for uid, one in lost.items() if uid in frozen and not _is(one, "MassLoss")]
    report = Report("Unknown", "MassLoss", "its VM looks lost together with many others: see its account")
    return written + [(one, report) for one in _few(held, state, parts)]


def _unanswered(state: AccountState, up: list[Instance]) -> dict[str, Instance]:
    """Those that the listing lacks, too, whose look has failed so far, by uid."""
    if state.seen is None:
        return {}
    tracks = [(one, state.tracks[one.uid]) for one in up if one.uid not in state.lost and one.uid in state.tracks]
    missing = [(one, track, vm_id_of(one, track)) for one, track in tracks]
    seen = state.seen.by_id
    return {one.uid: one for one, track, vm_id in missing if vm_id and vm_id not in seen and vm_id not in track.looks}


def _lost(record: Instance, loss: Lost) -> tuple[Instance, Report]:
    return record, Report(False, loss.reason, loss.message, phase="Failed", tell=True)


# -- VMs without a record


def orphans(state: AccountState, parts: Parts) -> list[Orphan]:
    """Those to be ended now: looked for once after each good listing, never before all is known."""
    seen = state.seen
    if seen is None or seen.begun < state.swept + parts.settings.sweep_interval:
        return []
    if state.facts.trouble is not None or state.facts.freeze:
        return []
    state.swept = seen.begun
    store = parts.store
    if not any(True for _ in store.entries("instances")):
        return []
    bound = list(store.of_account(state.key))
    unreadable = sum(isinstance(one, Unreadable) for one in bound)

    def lookup(key: ObjectKey) -> object | None:
        return store.entry("instances", key)

    readable = (one for one in bound if isinstance(one, Instance))
    more = untagged(seen, readable, parts.installation.id)
    monotonic = parts.clock.monotonic()
    due = sweep(seen, lookup, len(bound), unreadable, state.sweeping, parts.settings, monotonic, more)
    parts.metrics.orphans(state.key, len(state.sweeping.since))
    return due
