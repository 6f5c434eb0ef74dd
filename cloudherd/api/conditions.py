"""Conditions as Kubernetes keeps them: one per type, with a transition time that moves only when the status does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from cloudherd.api.meta import Condition

MESSAGE_LIMIT = 2048


def find(conditions: Sequence[Condition], type_: str) -> Condition | None:
    return next((condition for condition in conditions if condition.type == type_), None)


def is_true(conditions: Sequence[Condition], type_: str) -> bool:
    condition = find(conditions, type_)
    return condition is not None and condition.status == "True"


def condition(
    before: Sequence[Condition],
    type_: str,
    status: bool | Literal["Unknown"],
    reason: str,
    message: str,
    *,
    generation: int,
    now: float,
) -> Condition:
    """The next state of one condition; `now` in Unix seconds."""
    text: Literal["True", "False", "Unknown"] = "Unknown" if status == "Unknown" else "True" if status else "False"
    old = find(before, type_)
    since = old.last_transition_time if old and old.status == text else datetime.fromtimestamp(int(now), UTC)
    return Condition(
        type=type_,
        status=text,
        reason=reason,
        message=message[:MESSAGE_LIMIT],
        last_transition_time=since,
        observed_generation=generation,
    )


def merged(before: Sequence[Condition], *changed: Condition) -> list[Condition]:
    """`before` with the changed ones put in their places, new ones at the end."""
    new = {condition.type: condition for condition in changed}
    kept = [new.pop(condition.type, condition) for condition in before]
    return [*kept, *new.values()]
