"""What an agent checks itself before a launch, trusting no Instance. Never before a destruction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cloudherd.agent.actions import Launched, Report
from cloudherd.agent.memory import Track
from cloudherd.api import CloudAccount, Instance
from cloudherd.api.account import AllowedNamespaces
from cloudherd.api.instance import Resources

USER_DATA_TYPE = "cloudherd.dev/user-data"
USER_DATA_KEY = "userData"


@dataclass(slots=True)
class Held:
    """What the Instances of an account that have, or may have, a VM hold of its quota. Cores and bytes."""

    instances: int = 0
    cpus: float = 0
    memory: float = 0

    def add(self, size: Resources, times: int = 1) -> None:
        self.instances += times
        self.cpus += size.cpus * times
        self.memory += size.memory * times


def refused(
    reason: str, message: str, track: Track, *, doubt: bool, shared: bool = False, claimed: bool = False
) -> Report:
    """The end of an Instance that gets no VM. With `doubt`, one may still come of an earlier attempt; `shared`: of
    another agent's; `claimed`: we had claimed it.
    """
    launched: Launched | None = None if track.inherited else False
    if doubt:
        launched = "Unknown"
    elif shared:
        launched = "Withdrawn" if claimed else None
    return Report(False, reason, message, phase="Failed", launched=launched)


def objection(
    record: Instance, account: CloudAccount, labels: Mapping[str, str], images: Iterable[str], held: Held
) -> tuple[str, str] | None:
    """Why this Instance may have no VM on this account, as (reason, message); `labels` are its namespace's, `images`
    what the cloud calls the account's images, `held` what is taken without this one.
    """
    spec = record.spec
    if not allowed(account.spec.allowed_namespaces, account.namespace, record.namespace, labels):
        where = f"CloudAccount {account.key}"
        return (
            "NotAllowed",
            f"{where} takes no Instances of namespace {record.namespace}: see its spec.allowedNamespaces",
        )
    if spec.flavor not in {*account.spec.flavors.values(), *(flavor.id for flavor in account.status.flavors)}:
        return "FlavorMissing", f"{spec.flavor} is none of the flavors in spec.flavors of CloudAccount {account.key}"
    if spec.image not in {*account.spec.images.values(), *images}:
        return "ImageMissing", f"{spec.image} is none of the images in spec.images of CloudAccount {account.key}"
    return _over_quota(record, account, held)


def allowed(rule: AllowedNamespaces, home: str, namespace: str, labels: Mapping[str, str]) -> bool:
    match rule.from_:
        case "All":
            return True
        case "Same":
            return namespace == home
        case "Selector":
            return rule.selector is not None and rule.selector.matches(dict(labels))


def _over_quota(record: Instance, account: CloudAccount, held: Held) -> tuple[str, str] | None:
    quota, wanted = account.spec.quota, record.spec.resources
    amounts = (
        ("instances", quota.instances, held.instances, 1.0),
        ("cpus", quota.cpu_count, held.cpus, wanted.cpus),
        ("memory", quota.memory_bytes, held.memory, float(wanted.memory)),
    )
    for name, ceiling, used, more in amounts:
        if ceiling is not None and used + more > ceiling + 1e-9:
            return "QuotaExceeded", f"spec.quota.{name} of CloudAccount {account.key} has no room for this VM"
    return None
