"""The Instances of which there is nothing to say, since nothing has changed from when that was found.

Of ten thousand VMs almost all are so at almost every poll. Nothing is decided by it: what is not here is looked into.
"""

from __future__ import annotations

from cloudherd.agent.identity import parse_provider_id
from cloudherd.agent.seen import Seen
from cloudherd.api import Instance
from cloudherd.clouds.protocol import VM


class Calm:
    """By uid: a ready Instance as it was judged, its VM as it was listed, and the scopes of listing and account."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Instance, VM, str, str]] = {}

    def add(self, record: Instance, seen: Seen | None, scope: str) -> None:
        """It is ready, its status says so, and no time changes that."""
        vm = seen.by_id.get(parse_provider_id(record.status.provider_id or "")[1]) if seen else None
        if seen is not None and vm is not None:
            self._known[record.uid] = (record, vm, seen.scope, scope)

    def holds(self, record: Instance, seen: Seen | None, scope: str) -> bool:
        """Whether all of that is as it was."""
        known = self._known.get(record.uid)
        if known is None or seen is None or known[0] is not record or known[2:] != (seen.scope, scope):
            return False
        vm = seen.by_id.get(known[1].id)
        if vm is None or (vm is not known[1] and vm != known[1]):
            return False
        self._known[record.uid] = (record, vm, seen.scope, scope)  # not to keep all of an old listing
        return True

    def forget(self, uid: str) -> None:
        self._known.pop(uid, None)
