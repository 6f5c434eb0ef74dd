"""The sweep for orphans: VMs of ours for which no record speaks. The cloud is listed first, the cluster read second.

It refuses where either list is in doubt, waits until an orphan is old by our own clock, and ends only a few at a
time. Its findings are candidates: who carries them out reads the named Instance live before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cloudherd.agent.identity import Identity, identity_in, identity_of, parse_provider_id
from cloudherd.agent.seen import ENDING, Seen
from cloudherd.agent.settings import AgentSettings
from cloudherd.api import Instance, ObjectKey
from cloudherd.clouds.protocol import VM

Lookup = Callable[[ObjectKey], object | None]
"""The Instance (or what cannot be read in its place) of this name, None where there is none."""


@dataclass(slots=True)
class SweepMemory:
    """`since`: when (monotonic) each orphan was first seen as one. `census`: at what time how many records the account
    had, with all that we let go ourselves (`released`). `ours`: how many VMs the last listing had.
    """

    since: dict[str, float] = field(default_factory=dict)
    census: deque[tuple[float, int]] = field(default_factory=deque)
    released: int = 0
    ours: int | None = None


@dataclass(frozen=True, slots=True)
class Orphan:
    vm: VM
    identity: Identity


def is_orphan(vm: VM, identity: Identity, record: object | None, seen: Seen) -> bool:
    """Whether `record`, the Instance of that name if there is one, speaks for this VM. What cannot be read always
    does.
    """
    if record is None:
        return True
    if not isinstance(record, Instance):
        return False
    if record.spec.id != identity.id:
        return True
    scope, own = parse_provider_id(record.status.provider_id or "")
    return bool(own) and own != vm.id and scope == seen.scope and own in seen.ours and not record.deleting


def sweep(
    seen: Seen,
    lookup: Lookup,
    records: int,
    unreadable: int,
    memory: SweepMemory,
    settings: AgentSettings,
    monotonic: float,
    untagged: Iterable[Orphan] = (),
) -> list[Orphan]:
    """The orphans that are due, oldest first. `records` counts this account's Instances and `unreadable` those of
    them that cannot be read. `untagged`: see the function of that name.
    """
    found = _orphans(seen, lookup, untagged)
    memory.since = {vm_id: memory.since.get(vm_id, monotonic) for vm_id in found}
    plausible = _plausible(seen, records, memory, settings, monotonic)
    if unreadable or not plausible:
        return []
    due = [
        orphan
        for vm_id, (orphan, age) in (
            (vm_id, (orphan, _age(orphan, lookup, settings))) for vm_id, orphan in found.items()
        )
        if monotonic - memory.since[vm_id] >= age
    ]
    due.sort(key=lambda orphan: (memory.since[orphan.vm.id], orphan.vm.id))
    return due[: settings.sweep_cap]


def untagged(seen: Seen, records: Iterable[Instance], installation: str) -> list[Orphan]:
    """What may be orphans, though it bears no tags: VMs launched for these Instances, by their tokens. One is there
    beside the Instance's own where the cloud looked for a token twice before it launched once.
    """
    if not seen.by_token:
        return []
    return [Orphan(vm, identity_of(one)) for one in records for vm in seen.untagged(one, installation)]


def _orphans(seen: Seen, lookup: Lookup, untagged: Iterable[Orphan]) -> dict[str, Orphan]:
    tagged = ((vm, identity_in(vm.tags)) for vm in seen.ours.values())
    candidates = (*(Orphan(vm, identity) for vm, identity in tagged if identity), *untagged)
    return {
        each.vm.id: each
        for each in candidates
        if each.vm.state not in ENDING and is_orphan(each.vm, each.identity, lookup(each.identity.key), seen)
    }


def _age(orphan: Orphan, lookup: Lookup, settings: AgentSettings) -> float:
    return settings.orphan_age if lookup(orphan.identity.key) is None else settings.predecessor_age


def _plausible(seen: Seen, records: int, memory: SweepMemory, settings: AgentSettings, monotonic: float) -> bool:
    """Whether neither list is empty or much shorter than what we know of would explain."""
    before, memory.ours = memory.ours, len(seen.ours)
    known = records + memory.released
    memory.census.append((monotonic, known))
    while memory.census[0][0] < monotonic - settings.orphan_age:
        memory.census.popleft()
    peak = max(count for _, count in memory.census)
    return not _shrunk(peak, known, peak - memory.released, settings) and not (
        before is not None and _shrunk(before, len(seen.ours), before, settings)
    )


def _shrunk(before: int, now: int, of: int, settings: AgentSettings) -> bool:
    lost = before - now
    return lost >= settings.mass_loss_count and lost > of * settings.mass_loss_share
