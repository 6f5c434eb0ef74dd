"""All that the loop of one account keeps: what it saw, what it remembers, what is under way. No behaviour but its
upkeep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from cloudherd.agent.account_status import Facts, Told
from cloudherd.agent.actions import Lost
from cloudherd.agent.checks import Held
from cloudherd.agent.full import Full
from cloudherd.agent.loss import Freeze, LossMemory
from cloudherd.agent.memory import Track
from cloudherd.agent.seen import Seen
from cloudherd.agent.settings import AgentSettings
from cloudherd.agent.sweep import SweepMemory
from cloudherd.api import Instance, ObjectKey
from cloudherd.api.instance import Resources
from cloudherd.runtime.calm import Calm
from cloudherd.runtime.events import EventRecorder
from cloudherd.runtime.installation import Installation
from cloudherd.runtime.metrics import Metrics
from cloudherd.runtime.ports import Clock, CloudFactory, KubeApi, Random
from cloudherd.runtime.records import Records
from cloudherd.runtime.store import Store


@dataclass(frozen=True, slots=True)
class Parts:
    """What the loops of all accounts share."""

    api: KubeApi
    store: Store
    clouds: CloudFactory
    clock: Clock
    random: Random
    settings: AgentSettings
    installation: Installation
    name: str
    """The agent's own: of one process, from its start to its end."""
    events: EventRecorder
    records: Records
    metrics: Metrics


@dataclass(slots=True)
class Pause:
    """A wait that grows with every failure in a row. Monotonic seconds."""

    until: float = 0
    failures: int = 0
    made_at: float = float("-inf")

    def extend(self, monotonic: float, first: float, longest: float, *, began: float) -> None:
        """After a call that began at `began`; those that were under way together count as one."""
        if began <= self.made_at:
            return
        self.until = monotonic + min(longest, first * 2.0 ** min(self.failures, 16))
        self.failures += 1
        self.made_at = monotonic

    def end(self) -> None:
        self.until, self.failures = 0, 0


class Holders:
    """The Instances that have, or may have, a VM, and what they hold of the quota."""

    def __init__(self) -> None:
        self._sizes: dict[str, Resources] = {}  # not the Instances, which would be kept as they were at first
        self.held = Held()

    def add(self, record: Instance) -> None:
        if record.uid not in self._sizes:
            self._sizes[record.uid] = record.spec.resources
            self.held.add(record.spec.resources)

    def discard(self, uid: str) -> None:
        size = self._sizes.pop(uid, None)
        if size is not None:
            self.held.add(size, -1)

    def without(self, record: Instance) -> Held:
        held = Held(self.held.instances, self.held.cpus, self.held.memory)
        if record.uid in self._sizes:
            held.add(self._sizes[record.uid], -1)
        return held


@dataclass(slots=True)
class AccountState:
    key: ObjectKey
    agent: str
    """Our own name."""
    full: Full
    slots: asyncio.Semaphore
    calls: asyncio.Semaphore
    started_at: float
    seen: Seen | None = None
    scope: str = ""
    """What the account is bound to as long as it has Instances."""
    last_good: float | None = None
    """When (monotonic) the last good listing was begun."""
    polled: bool = False
    """Whether the cloud was asked for all that a status tells, with whatever outcome."""
    facts: Facts = field(default_factory=Facts)
    tracks: dict[str, Track] = field(default_factory=dict)
    busy: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    looking: int = 0
    holders: Holders = field(default_factory=Holders)
    calm: Calm = field(default_factory=Calm)
    moving: set[str] = field(default_factory=set)
    """Instances whose VM is on its way up or down, by uid."""
    lost: dict[str, tuple[Instance, Lost]] = field(default_factory=dict)
    losses: LossMemory = field(default_factory=LossMemory)
    freeze: Freeze | None = None
    frozen_until: float = -1.0
    """How long a freeze that was found in the account's status stands before we see for ourselves."""
    unreadable: set[ObjectKey] = field(default_factory=set)
    """Instances that cannot be read: they count as one VM each."""
    sweeping: SweepMemory = field(default_factory=SweepMemory)
    throttled: Pause = field(default_factory=Pause)
    launches_denied: Pause = field(default_factory=Pause)
    denied: Told | None = None
    ask_limits: bool = True
    ask_catalogue: bool = False
    """Whether flavors and images may not be what they were: a launch was refused for something else than room."""
    inherits: bool = False
    """Whether Instances that are seen for the first time now were there before this process."""
    torn: set[str] = field(default_factory=set)
    """The ids of Instances that vanished behind our back: they may come back from a backup, and the account too."""
    look_again: bool = False
    """Whether something has changed that concerns other Instances than the one at hand."""
    released: set[str] = field(default_factory=set)
    """Instances that we are letting go, by uid: others that vanish do so behind our back."""
    outdated_at: float = -1.0
    """Nothing is launched by a listing from before this time (monotonic): an Instance vanished behind our back, whose
    VM may be younger, or the cloud could not be reached.
    """
    swept: float = float("-inf")
    """The begin of the listing that was last swept for orphans."""
    unknown_from: float = -1.0
    unknown_written: int = 0
    """Instances turned Unknown within the second that began at `unknown_from`."""
    unknown_left: bool = False

    def track(self, record: Instance, monotonic: float) -> Track:
        found = self.tracks.get(record.uid)
        if found is None:
            known = self.inherits or record.spec.id in self.torn or record.spec.agent != self.agent
            found = self.tracks[record.uid] = Track(first_seen=monotonic, inherited=known)
        return found

    def vanished(self, uid: str, monotonic: float) -> None:
        """The Instance is gone from the cluster, by our own hand or behind our back."""
        if uid not in self.released:
            self.outdated_at = monotonic
        if uid not in self.busy:
            self.forget(uid)

    def keep_only(self, uids: Iterable[str]) -> None:
        """Forgets all Instances but these and such as are busy."""
        known = {*uids, *self.busy}
        for uid in [uid for uid in self.tracks if uid not in known]:
            self.forget(uid)

    def next_pause_end(self) -> float | None:
        return min((one.until for one in self._pauses() if one.until > 0), default=None)

    def end_pauses(self, monotonic: float) -> bool:
        """Whether a pause has ended; told once."""
        ended = [one for one in self._pauses() if 0 < one.until <= monotonic]
        for one in ended:
            one.until = 0
        return bool(ended)

    def _pauses(self) -> tuple[Pause, Pause]:
        return self.throttled, self.launches_denied

    def forget(self, uid: str) -> None:
        self.tracks.pop(uid, None)
        self.lost.pop(uid, None)
        self.calm.forget(uid)
        self.moving.discard(uid)
        self.holders.discard(uid)


def new_state(key: ObjectKey, parts: Parts, torn: set[str], *, inherits: bool) -> AccountState:
    settings = parts.settings
    return AccountState(
        key=key,
        agent=parts.name,
        torn=torn,
        full=Full(settings.full_first, settings.full_longest),
        slots=asyncio.Semaphore(settings.concurrent_launches),
        calls=asyncio.Semaphore(settings.concurrent_calls),
        started_at=parts.clock.monotonic(),
        inherits=inherits,
    )
