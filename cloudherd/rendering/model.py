"""What a rendering takes and gives: plain data that can be hashed and sent to another process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_USER_DATA = 65_536


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """`parts` are (content type, template); `values` the whole namespace that templates see (see
    api/2-contexts.yaml), JSON data only.
    Holds secrets: must never be logged."""

    parts: tuple[tuple[str, str], ...]
    values: Mapping[str, Any]

    @property
    def key(self) -> str:
        """A hash of all that goes in: the same key gives the same user data."""
        text = json.dumps([self.parts, self.values], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def __repr__(self) -> str:
        return f"RenderRequest({len(self.parts)} parts)"


@dataclass(frozen=True, slots=True)
class RenderResult:
    """Either user data, or an error: one sentence that names the part and the line and shows no value. `transient`
    the fault was the machine's, so that another try may end otherwise.
    """

    user_data: bytes = b""
    error: str = ""
    transient: bool = False

    def __repr__(self) -> str:
        return f"RenderResult({len(self.user_data)} bytes, error={self.error!r})"
