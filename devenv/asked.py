"""Numbers that make, or the environment, gives to a command."""

from __future__ import annotations

import os


def number(name: str, default: int, *, least: int = 0) -> int:
    """What the variable says. SystemExit with a sentence where that is no number, or too small a one."""
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or int(text) < least:
        raise SystemExit(f"{name} is {text!r}: make it a whole number from {least} on")
    return int(text)
