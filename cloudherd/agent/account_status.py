"""The status of an account, folded from what its loop knows. Pure; never holds a secret or a library's words.

A flavor or image that the cloud does not know leaves the account usable for the others: Ready stays True, with the
reason FlavorUnknown or ImageUnknown and a message that names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from cloudherd.agent.full import ACCOUNT, Key, Mark, exhausted
from cloudherd.api import CloudAccount
from cloudherd.api.account import AccountStatus, FlavorStatus, FullMark, Limit, Usage
from cloudherd.api.conditions import condition, find, merged
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
    sizes: Mapping[str, Size] | None = None
    """By the cloud's name and ID; None as long as they are not known."""
    images: Mapping[str, Image] | None = None
    trouble: Told | None = None
    credentials: Told = field(default_factory=lambda: Told("Unknown", "Connecting", "the cloud was not asked yet"))
    freeze: str = ""
    frozen: bool = False
    waits_for: str = ""
    """Whom the account's deletion waits for."""


CONNECTING = Told("Unknown", "Connecting", "the cloud was not asked yet")


def sizes_by_name(sizes: Iterable[Size]) -> dict[str, Size]:
    """By ID and by name; an ID wins."""
    listed = list(sizes)
    return {**{size.name: size for size in listed}, **{size.id: size for size in listed}}


def images_by_name(images: Iterable[Image]) -> dict[str, Image]:
    listed = list(images)
    return {**{image.name: image for image in listed}, **{image.id: image for image in listed}}


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
    """Ready, whether the cloud knows all that the account names or not."""
    wanted = (("Flavor", account.spec.flavors, facts.sizes), ("Image", account.spec.images, facts.images))
    for what, names, known in wanted:
        strange = _unknown(names, known)
        if strange:
            way_out = f"correct spec.{what.lower()}s; the others are used"
            return Told(True, f"{what}Unknown", f"the cloud does not know {strange}: {way_out}")
    return Told(True, "Ready")


def _unknown(wanted: Mapping[str, str], known: Mapping[str, object] | None) -> str:
    if known is None:
        return ""
    return ", ".join(f"{value} ({name})" for name, value in sorted(wanted.items()) if value not in known)


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
    known = [
        (name, facts.sizes[wanted]) for name, wanted in sorted(account.spec.flavors.items()) if wanted in facts.sizes
    ]
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
