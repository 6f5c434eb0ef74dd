"""A complete listing, indexed. It speaks only for its scope, and only for the moment at which it was begun."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

from cloudherd.agent.identity import Identity, bears_identity, identity_in, identity_of, is_ours, token_for
from cloudherd.api import Instance, ObjectKey
from cloudherd.clouds.protocol import VM, Listing, VMState

GONE = VMState.DELETED
ENDING = frozenset({VMState.DELETING, VMState.DELETED})


@dataclass(frozen=True, slots=True)
class Seen:
    """`begun` is monotonic seconds at the call. `ours` are the VMs tagged with this installation and this account, by
    the cloud's ID; `foreign` all others; VMs that are gone for good are in `by_id` only. `by_token` are those foreign
    ones that name no owner, but the token that they were launched with.
    """

    scope: str
    begun: float
    by_id: dict[str, VM] = field(default_factory=dict)
    ours: dict[str, VM] = field(default_factory=dict)
    foreign: tuple[VM, ...] = ()
    by_identity: dict[Identity, list[VM]] = field(default_factory=dict)
    by_name: dict[ObjectKey, list[VM]] = field(default_factory=dict)
    by_token: dict[str, list[VM]] = field(default_factory=dict)

    def of(self, record: Instance) -> list[VM]:
        """The VMs, alive or on their way out, that bear all of this Instance's identity; the first is the one to
        keep.
        """
        return self.by_identity.get(identity_of(record), [])

    def untagged(self, record: Instance, installation: str) -> list[VM]:
        """Those that were launched for this Instance, and have got no tags."""
        return self.by_token.get(token_for(installation, record), []) if self.by_token else []

    def predecessors(self, record: Instance) -> list[VM]:
        """Those that bear its namespace and name under another id."""
        return [vm for vm in self.by_name.get(record.key, ()) if _id(vm) != record.spec.id]


def again(listing: Listing, begun: float, before: Seen | None) -> Seen | None:
    """What was seen before, if this listing says the very same, as most do; None if it does not."""
    if before is None or listing.scope != before.scope or len(listing.vms) != len(before.by_id):
        return None
    same = all(new == old for new, old in zip(listing.vms, before.by_id.values(), strict=True))
    return replace(before, begun=begun) if same else None


def index(listing: Listing, begun: float, installation: str, account: ObjectKey) -> Seen:
    by_id = {vm.id: vm for vm in listing.vms}  # a page that came twice counts once
    alive = [vm for vm in by_id.values() if vm.state is not GONE]
    ours = {vm.id: vm for vm in alive if is_ours(vm.tags, installation, account)}
    by_identity: dict[Identity, list[VM]] = defaultdict(list)
    by_name: dict[ObjectKey, list[VM]] = defaultdict(list)
    for vm in sorted(ours.values(), key=_keep_first):
        identity = identity_in(vm.tags)
        if identity:
            by_identity[identity].append(vm)
            by_name[identity.key].append(vm)
    foreign = tuple(vm for vm in alive if vm.id not in ours)
    by_token: dict[str, list[VM]] = defaultdict(list)
    for vm in foreign:
        if vm.token and not bears_identity(vm.tags):
            by_token[vm.token].append(vm)
    return Seen(listing.scope, begun, by_id, ours, foreign, dict(by_identity), dict(by_name), dict(by_token))


_ORDER = (
    *(VMState.RUNNING, VMState.PENDING, VMState.UNKNOWN, VMState.STOPPED, VMState.SUSPENDED),
    *(VMState.ERROR, VMState.DELETING),
)


def _keep_first(vm: VM) -> tuple[int, str]:
    return _ORDER.index(vm.state), vm.id


def _id(vm: VM) -> str:
    identity = identity_in(vm.tags)
    return identity.id if identity else ""
