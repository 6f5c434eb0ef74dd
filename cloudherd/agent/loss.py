"""The brake on mass losses: many VMs that look lost at once are more likely a fault of what we see than of the
cloud.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cloudherd.agent.settings import AgentSettings
from cloudherd.api import Instance


@dataclass(slots=True)
class LossMemory:
    """`recent` holds when (monotonic) losses were written, `accepted` those that a person has agreed to, by uid."""

    recent: dict[str, float] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Freeze:
    """These are not to be written as lost until the account's annotation accept-loss says `digest`."""

    uids: frozenset[str]
    digest: str
    message: str


def was_up(record: Instance) -> bool:
    return record.status.phase in ("Ready", "Running", "Stopped")


def digest_of(records: Iterable[Instance]) -> str:
    """Names exactly this set of Instances, also to an agent that has just been started."""
    ids = sorted(record.spec.id for record in records)
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:10]


def many(count: int, of: int, settings: AgentSettings) -> bool:
    """Whether so many at once are more likely a fault of what we see."""
    return count >= settings.mass_loss_count and count > of * settings.mass_loss_share


def judge(
    lost: Mapping[str, Instance],
    up: int,
    accepted: str,
    memory: LossMemory,
    settings: AgentSettings,
    monotonic: float,
) -> Freeze | None:
    """Whether the Instances that look lost now, by uid, are too many at once; `up` counts all that were up, these
    included, and `accepted` is the account's annotation.
    """
    memory.recent = {uid: at for uid, at in memory.recent.items() if at > monotonic - settings.mass_loss_window}
    memory.accepted &= lost.keys()
    asked = {uid: record for uid, record in lost.items() if was_up(record) and uid not in memory.accepted}
    before = [uid for uid in memory.recent if uid not in lost]
    count, of = len(asked) + len(before), up + len(before)
    if not asked or not many(count, of, settings):
        return None
    digest = digest_of(asked.values())
    if accepted == digest:
        memory.accepted |= asked.keys()
        return None
    return Freeze(
        frozenset(asked),
        digest,
        f"{len(asked)} of {up} VMs look lost at once ({_some(asked.values())}), so none of them is replaced. If they "
        f"are really gone, annotate this account with cloudherd.dev/accept-loss: {digest}",
    )


def _some(records: Iterable[Instance], most: int = 5) -> str:
    names = sorted(str(record.key) for record in records)
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
