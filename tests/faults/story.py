"""What happened in a run, in the order in which it happened: for people who look into a violation, and for replays."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

SHOWN = 40


class Story:
    """`now` gives virtual seconds since the run began."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.lines: list[str] = []

    def tell(self, text: str) -> None:
        self.lines.append(f"{_time(self._now())}  {text}")

    @property
    def digest(self) -> str:
        """The same for two runs only if the same happened in both, at the same times."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()[:16]


def ending(lines: Sequence[str]) -> list[str]:
    """The last lines, and of those before them what stands in the first one."""
    return list(lines) if len(lines) <= SHOWN else [lines[0], f"... {len(lines) - SHOWN} more", *lines[1 - SHOWN :]]


def _time(seconds: float) -> str:
    return f"{int(seconds // 3600)}:{int(seconds // 60 % 60):02}:{seconds % 60:06.3f}"
