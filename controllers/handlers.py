"""kopf's event handlers on the kinds that users write: each wakes a loop, and does nothing else.

They hold nothing and read nothing of what kopf brings: what a plan reads comes from the reflectors alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kopf

from cloudherd.api import ObjectKey
from cloudherd.api.meta import GROUP, VERSION


class NoBooks(kopf.DiffBaseStorage):
    """kopf compares each object with how it last handled it, which low-level handlers have no use for: with nothing."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return


def on_change(plural: str, wake: Callable[[ObjectKey], None]) -> None:
    """Calls `wake` with the key of every object of this kind that is there, changes or goes."""

    # Not a plain function: kopf would have each call made by a thread.

    @kopf.on.event(GROUP, VERSION, plural, id=f"wake-{plural}")
    async def changed(namespace: str | None, name: str | None, **_: Any) -> None:
        wake(ObjectKey(namespace or "", name or ""))
