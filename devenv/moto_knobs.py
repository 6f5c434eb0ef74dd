"""What can be set on the moto server while it runs: limits, shortages, faults. Plain state behind one lock; no HTTP."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, fields
from typing import Any, Literal


@dataclass
class Answer:
    """A reply given in place of moto's own to `times` calls of `action` (empty: of any), when `after` went by."""

    status: int
    body: str
    action: str = ""
    after: int = 0
    times: int = 1
    carry_out: bool = False  # moto does what was asked, and its reply is replaced; else it never hears of it
    content_type: str = "text/plain"


@dataclass
class Knobs:
    """What the wrapper does to one region; each counter counts down to zero."""

    limit: int | None = None  # instances; above it InstanceLimitExceeded
    capacity: dict[str, int] = field(default_factory=dict)  # instances by type; above it InsufficientInstanceCapacity
    throttle: int = 0  # calls that get RequestLimitExceeded
    lose: int = 0  # launches that are carried out and whose reply is lost, the connection dropped
    delay: float = 0  # seconds before every call
    keys: dict[str, str] | None = None  # access key -> secret key, signatures checked; None accepts everybody
    hide_new: bool = False  # what is launched meanwhile is missing from all descriptions until this is unset
    forget_terminated: bool = False  # terminated instances are not described any more, as OpenStack's ec2-api does it
    old_api: bool = False  # signature version 4 and TagSpecification are refused: there is 2, and CreateTags
    unlocked_tokens: float = 0  # seconds that a launch, its token looked for, waits for another one of the same token
    broken: list[str] = field(default_factory=list)  # instances that are in the state error, as ec2-api has it
    answers: list[Answer] = field(default_factory=list)


class KnobBoard:
    """The knobs of every region: those set for a region by name, else the common ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._common = Knobs()
        self._regions: dict[str, Knobs] = {}

    def of(self, region: str) -> Knobs:
        with self._lock:
            return self._regions.get(region, self._common)

    def set(self, changes: Mapping[str, Any], region: str = "") -> None:
        """Set knobs for one region, or for all. ValueError names a knob that does not exist."""
        known = {each.name for each in fields(Knobs)}
        if unknown := set(changes) - known:
            raise ValueError(f"no knob {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
        values = {**changes}
        if "answers" in values:
            values["answers"] = [Answer(**each) for each in values["answers"]]
        with self._lock:
            if region:
                self._regions.setdefault(region, deepcopy(self._common))
            for knobs in [self._regions[region]] if region else [self._common, *self._regions.values()]:
                for name, value in values.items():
                    setattr(knobs, name, deepcopy(value))

    def take(self, region: str, counter: Literal["throttle", "lose"]) -> bool:
        """Whether it is this call's turn; counts down."""
        knobs = self.of(region)
        with self._lock:
            left: int = getattr(knobs, counter)
            setattr(knobs, counter, max(0, left - 1))
            return left > 0

    def take_answer(self, region: str, action: str) -> Answer | None:
        knobs = self.of(region)
        with self._lock:
            for answer in knobs.answers:
                if answer.times > 0 and answer.action in {"", action}:
                    if answer.after > 0:
                        answer.after -= 1
                        continue
                    answer.times -= 1
                    return answer
        return None

    def reset(self) -> None:
        with self._lock:
            self._common = Knobs()
            self._regions = {}
