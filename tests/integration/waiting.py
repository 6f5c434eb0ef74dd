"""Waiting for a condition of the real world; the limit only ends a test that would never end."""

from __future__ import annotations

import time
from collections.abc import Callable

_LIMIT = 120.0


def eventually(holds: Callable[[], bool], shows: Callable[[], object] = lambda: "still not") -> None:
    """Returns once it holds. `shows` says what there was instead."""
    deadline = time.monotonic() + _LIMIT
    while not holds():
        assert time.monotonic() < deadline, shows()
        time.sleep(0.05)
