"""The one source of chance in a run: which faults strike, when, and how hard. With one seed, always the same.

Every fault has a name, is counted when it strikes, and strikes no more once the dice rest.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

USUAL: Mapping[str, float] = {
    # of every call of gateway and agent to the API server
    "api: answer lost": 0.02,
    "api: refused with 409": 0.02,
    "api: refused with 500": 0.02,
    "api: throttled": 0.01,
    "api: unreachable": 0.01,
    "api: slow": 0.02,
    "api: request sent twice": 0.01,
    # of every list and every event of a watch
    "list: late": 0.03,
    "watch: stalled": 0.01,
    "watch: event twice": 0.03,
    "watch: broken": 0.01,
    # of every call to a cloud
    "cloud: slow": 0.03,
    "cloud: throttled": 0.02,
    "cloud: call failed": 0.02,
    "cloud: answer lost": 0.03,
    "cloud: request sent twice": 0.02,
    "cloud: listing truncated": 0.03,
    "cloud: pages twice": 0.05,
    "cloud: VM hidden": 0.03,
    # of every creation
    "creation: succeeds late": 0.08,
    "creation: ends in error": 0.05,
    "creation: full for a moment": 0.04,
    # of every call, before it is sent and after it took place
    "operator: killed": 0.003,
}
"""What the free mix draws from: the chance of each fault at each opportunity."""


class Dice:
    """`rates` is the chance of each fault; what is not in it never strikes by itself."""

    def __init__(self, seed: str, rates: Mapping[str, float] | None = None) -> None:
        self._random = random.Random(seed)
        self.rates: dict[str, float] = dict(rates or {})
        self.counts: Counter[str] = Counter()
        self.resting = False

    def hits(self, fault: str) -> bool:
        """Whether this fault strikes now; counted if it does."""
        rate = 0.0 if self.resting else self.rates.get(fault, 0.0)
        if rate <= 0 or self._random.random() >= rate:
            return False
        self.counts[fault] += 1
        return True

    def count(self, fault: str) -> None:
        """A fault that a script brings about itself, or that shows what a cloud is like."""
        if not self.resting:
            self.counts[fault] += 1

    def rest(self) -> None:
        """No fault strikes any more."""
        self.resting = True

    def between(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def skewed(self, low: float, high: float) -> float:
        """Mostly short, sometimes long: evenly spread over orders of magnitude."""
        return float(low * (high / low) ** self._random.random())

    def number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def chance(self, share: float) -> bool:
        return self._random.random() < share

    def one_of(self, choices: Sequence[T]) -> T:
        return self._random.choice(choices)

    def swarm(self, usual: Mapping[str, float], share: float = 0.5) -> dict[str, float]:
        """A part of these faults, each weaker or stronger than usual: what two faults do to each other shows best
        where not all others strike too.
        """
        return {
            name: rate * self.one_of((0.3, 1.5, 6.0)) for name, rate in usual.items() if self._random.random() < share
        }
