"""What an agent remembers of an Instance between two looks: its own sights and calls, on its own monotonic clock.

Lost with the process, and nothing here may be needed for safety: after a restart every wait starts anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cloudherd.agent.actions import Lost
from cloudherd.api import Instance
from cloudherd.api.conditions import find
from cloudherd.clouds.protocol import VM, Verb


@dataclass(slots=True)
class Asked:
    """When a VM was last asked to end, and how often."""

    at: float
    times: int


@dataclass(frozen=True, slots=True)
class Told:
    """Since when the cloud was asked for a verb, and when it was last."""

    since: float
    at: float


@dataclass(frozen=True, slots=True)
class PowerMemory:
    """What the cloud was told to do with a VM that stays, and what it said that it cannot; `grace_from` is when its
    last grace began.
    """

    told: Mapping[Verb, Told] = field(default_factory=dict)
    cannot: Mapping[Verb, str] = field(default_factory=dict)
    grace_from: float | None = None

    def asked(self, verb: Verb, at: float) -> PowerMemory:
        """A VM that is told to start was never told to stop, and the other way round."""
        since = self.told[verb].since if verb in self.told else at
        kept = {each: told for each, told in self.told.items() if (each in WAKING) == (verb in WAKING)}
        return replace(self, told={**kept, verb: Told(since, at)})

    def refused(self, verb: Verb, words: str) -> PowerMemory:
        return replace(self, cannot={**self.cannot, verb: words})


WAKING = frozenset({Verb.START, Verb.RESUME})
NO_POWER = PowerMemory()


@dataclass(frozen=True, slots=True)
class Look:
    """The cloud's answer to a question for one VM: None, it does not exist."""

    at: float
    vm: VM | None


@dataclass(slots=True)
class Track:
    """Of one Instance, by its metadata.uid. All times are monotonic seconds."""

    first_seen: float
    inherited: bool = False
    """Whether it was not made for this very process, so that another one may have left a creation under way, or its VM
    may be there since before a restore.
    """
    missing_since: float | None = None
    """The begin of the first complete listing without a VM of it."""
    nameless: bool = False
    """Whether its record named no VM when we last looked."""
    named_at: float | None = None
    """When the record, which we had seen without one, named a VM: of our own answer, or of another agent's."""
    attempted_at: float | None = None
    """When the last creation was asked for."""
    launched_at: float | None = None
    """When a creation was answered with a VM."""
    unknown_at: float | None = None
    """When the last attempt of unknown outcome ended."""
    doubt: str | None = None
    """What its record said when it last said that a VM may come of somebody's attempt: a claim, or how that ended."""
    doubted_at: float | None = None
    """When we first saw that."""
    void_claim: str | None = None
    """A claim of ours of which no VM can come: nothing was sent under it, or that was refused for certain."""
    vm_id: str = ""
    """The VM of that answer."""
    ending_since: float | None = None
    """When we first saw its record being deleted."""
    sighted: bool = False
    """Whether the cloud has shown the VM, in a listing or by its ID."""
    without_address: float | None = None
    looks: dict[str, Look] = field(default_factory=dict)
    """What the cloud said when it was last asked for a VM by its ID."""
    asked: dict[str, Asked] = field(default_factory=dict)
    ending_at: dict[str, float] = field(default_factory=dict)
    """Since when the cloud has said of a VM that it is on its way out."""
    power: PowerMemory = NO_POWER
    loss: Lost | None = None
    not_before: float = 0
    failures: int = 0

    def notice(self, record: Instance, monotonic: float) -> None:
        named = bool(record.status.provider_id)
        if named and self.nameless:
            self.named_at = monotonic
        self.nameless = not named
        if record.deleting and self.ending_since is None:
            self.ending_since = monotonic
        doubt = doubt_in(record)
        if doubt != self.doubt:
            self.doubt, self.doubted_at = doubt, monotonic

    def young_since(self) -> float:
        """From when on its VM may have been too young for a listing."""
        return max(at for at in (self.first_seen, self.launched_at, self.named_at) if at is not None)

    def failed(self, monotonic: float, first: float, longest: float) -> float:
        """Waits longer after each failure in a row; returns until when."""
        self.not_before = monotonic + min(longest, first * 2.0 ** min(self.failures, 16))
        self.failures += 1
        return self.not_before

    def worked(self) -> None:
        self.not_before, self.failures = 0, 0

    def unsettled_since(self, record: Instance) -> float | None:
        """Since when a creation whose outcome is not known may still bring a VM: None where there was none."""
        if self.unknown_at is not None:
            return self.unknown_at
        doubt = doubt_in(record)
        if doubt is None or doubt == self.void_claim:
            return None
        return self.first_seen if self.doubted_at is None else self.doubted_at


def doubt_in(record: Instance) -> str | None:
    """None where its status does not say that a VM may come of an attempt. No two claims are alike."""
    launched, ready = (find(record.status.conditions, type_) for type_ in ("Launched", "Ready"))
    if launched is None or launched.status != "Unknown":
        return None
    return ready.message if ready else ""


def never_launched(record: Instance) -> bool:
    """Whether its status says that no attempt was ever made for it that could have brought a VM, but for those of the
    agent of its spec that this one has not written down yet.
    """
    launched = find(record.status.conditions, "Launched")
    return launched is not None and launched.status == "False"


def never_will_be(record: Instance) -> bool:
    """Whether the agent of its spec, which alone could have said so, says that no VM comes of it any more."""
    launched = find(record.status.conditions, "Launched")
    return record.status.phase == "Failed" and launched is not None and launched.reason == "Refused"
