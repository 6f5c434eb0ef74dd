"""The status of an account, folded from what its loop knows. Pure; never holds a secret or a library's words.

A flavor or image that the cloud does not know, or knows several of, leaves the account usable for the others: Ready
stays True, with a reason like FlavorUnknown or ImageAmbiguous and a message that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from cloudherd.agent.catalogue import Catalogue, Untold, lacking
from cloudherd.agent.full import ACCOUNT, Key, Mark, exhausted
from cloudherd.api import CloudAccount
from cloudherd.api.account import AccountStatus, FlavorStatus, FullMark, Limit, Usage
from cloudherd.api.conditions import condition, find, is_true, merged
from cloudherd.api.meta import Condition
from cloudherd.api.quantity import format_bytes
from cloudherd.clouds.protocol import Image, Limits, Size

SHORT = 256
MARKS = 128


@dataclass(frozen=True, slots=True)
class Told:
    """A condition's content."""

    status: bool | Literal["Unknown"]
    reason: str
    message: str = ""


@dataclass(slots=True)
class Facts:
    """All that an account's status is made of. `trouble` is what keeps it from being Ready; `freeze` the text of a mass
    loss, `frozen` whether it is one of the whole account."""

    scope: str = ""
    limits: Limits | None = None
    room: Limits | None = None
    used: Usage | None = None
    foreign: Usage | None = None
    sizes: Catalogue[Size] | None = None
    """None as long as they are not known."""
    images: Catalogue[Image] | None = None
    untold: Untold | None = None
    """The last try to ask for sizes and images, where it failed."""
    trouble: Told | None = None
    credentials: Told = field(default_factory=lambda: Told("Unknown", "Connecting", "the cloud was not asked yet"))
    freeze: str = ""
    frozen: bool = False
    waits_for: str = ""
    """Whom the account's deletion waits for."""


CONNECTING = Told("Unknown", "Connecting", "the cloud was not asked yet")


def account_status(
    account: CloudAccount, facts: Facts, marks: Mapping[Key, Mark], counts: AccountStatus, now: float
) -> AccountStatus:
    """The status as it should be. `counts` gives the agent, and used, foreign and limit where those are not to change
    yet.
    """
    told = {
        "Ready": _ready(account, facts),
        "CredentialsValid": facts.credentials,
        "CapacityAvailable": _capacity(facts, marks),
    }
    if facts.freeze or find(account.status.conditions, "MassLoss"):
        told["MassLoss"] = Told(bool(facts.freeze), "MassLoss" if facts.freeze else "NoLoss", facts.freeze)
    return AccountStatus(
        observed_generation=account.metadata.generation,
        scope=facts.scope[:SHORT] or None,
        agent=counts.agent,
        limit=counts.limit,
        used=counts.used,
        foreign=counts.foreign,
        full=[_full(key, mark) for key, mark in sorted(marks.items())][:MARKS],
        flavors=_flavors(account, facts),
        lacking=lacking(account.spec, facts.sizes, facts.images),
        conditions=merged(account.status.conditions, *_conditions(account, told, now)),
    )


def status_patch(account: CloudAccount, status: AccountStatus) -> dict[str, Any] | None:
    """The merge patch that leads from the account's status to this one; None where it is that already."""
    before, after = account.status.wire(), status.wire()
    changes: dict[str, Any] = {key: after.get(key) for key in {*before, *after} if before.get(key) != after.get(key)}
    return changes or None


def limit_of(limits: Limits | None) -> Limit | None:
    if limits is None or limits == Limits():
        return None
    memory = None if limits.memory is None else format_bytes(limits.memory)
    return Limit(instances=limits.instances, cpus=limits.cpus, memory=memory)


def _conditions(account: CloudAccount, told: Mapping[str, Told], now: float) -> list[Condition]:
    generation = account.metadata.generation
    return [
        condition(account.status.conditions, type_, one.status, one.reason, one.message, generation=generation, now=now)
        for type_, one in told.items()
    ]


def _ready(account: CloudAccount, facts: Facts) -> Told:
    if account.deleting:
        why = f"; {facts.trouble.message}" if facts.trouble else ""
        return Told(False, "Deleting", f"the deletion waits for {facts.waits_for}{why}" if facts.waits_for else "")
    if facts.trouble:
        return facts.trouble
    if facts.frozen:
        return Told(False, "MassLoss", facts.freeze)
    return _catalogue(account, facts) if facts.scope else CONNECTING


def _catalogue(account: CloudAccount, facts: Facts) -> Told:
    """Ready where the cloud has told its flavors and images, now or before, whatever it lacks of them."""
    if not _told(account, facts):
        return Told(False, "CatalogueUnknown", str(facts.untold)) if facts.untold else CONNECTING
    notes = [(one.reason, one.message) for one in lacking(account.spec, facts.sizes, facts.images)]
    others = "; the others are used" if notes else ""
    if facts.untold:
        notes.insert(0, ("CatalogueOutdated", f"{facts.untold}; what it told before is used"))
    if not notes:
        return Told(True, "Ready")
    return Told(True, notes[0][0], "; ".join(message for _, message in notes) + others)


def _told(account: CloudAccount, facts: Facts) -> bool:
    """Whether flavors and images were told, to us or, as the account's status shows, to an agent before us."""
    before = is_true(account.status.conditions, "Ready") and bool(account.status.flavors or not account.spec.flavors)
    return before or (facts.sizes is not None and facts.images is not None)


def _capacity(facts: Facts, marks: Mapping[Key, Mark]) -> Told:
    if not facts.scope:
        return CONNECTING
    if ACCOUNT in marks:
        return Told(False, marks[ACCOUNT].reason, marks[ACCOUNT].message)
    if facts.room and exhausted(facts.room):
        return Told(False, "LimitReached", "the cloud's own limit is used up")
    if marks:
        (flavor, *_), mark = min(marks.items())
        return Told(True, "PartlyFull", f"{flavor}: {mark.message}")
    return Told(True, "HasRoom")


def _full(key: Key, mark: Mark) -> FullMark:
    until = datetime.fromtimestamp(int(mark.until_date), UTC)
    return FullMark(flavor=key[0], image=key[1], until=until, reason=mark.reason, message=mark.message[:SHORT])


def _flavors(account: CloudAccount, facts: Facts) -> list[FlavorStatus]:
    if facts.sizes is None:
        return account.status.flavors
    sizes = facts.sizes.known
    known = [(name, sizes[wanted]) for name, wanted in sorted(account.spec.flavors.items()) if wanted in sizes]
    return [
        FlavorStatus(
            name=name,
            id=size.id,
            cpus=size.cpus,
            memory=format_bytes(size.memory),
            disk=None if size.disk is None else format_bytes(size.disk),
            price=size.price,
        )
        for name, size in known
    ]
