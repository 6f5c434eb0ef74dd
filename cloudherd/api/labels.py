"""Label values of any length: labels are for people and selectors, code reads spec."""

from __future__ import annotations

import hashlib

LONGEST = 63


def label_value(text: str) -> str:
    """`text` where it fits, else its first 52 characters, a hyphen and 10 digits of its SHA-256."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:52]}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
