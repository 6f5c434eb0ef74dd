"""A clock for blocking code: it moves only when somebody sleeps on it."""

from __future__ import annotations


class Ticking:
    """`now` and `sleep` to be handed in where `time.time` and `time.sleep` are the default."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
