"""Which accounts a cluster may use, in its order of preference, and what each of its services would be there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from cloudherd.api import CloudAccount, ObjectKey, VirtualCluster
from cloudherd.api.account import FlavorStatus
from cloudherd.api.cluster import AccountEntry, Service
from cloudherd.api.conditions import find
from cloudherd.api.instance import Resources
from cloudherd.api.machine import Machine, MachineResources
from cloudherd.api.quantity import parse_quantity
from cloudherd.plan.model import ClusterView, Offer

UNTOLD = "but its flavors could not be asked for yet"


@dataclass(frozen=True, slots=True)
class Choice:
    """A machine after its overrides for one account, in the manifest's own names. `flavor` is empty where `resources`
    are asked for.
    """

    flavor: str
    image: str
    options: Mapping[str, Any]
    resources: MachineResources | None = None

    @property
    def wanted(self) -> str:
        """The size in the manifest's words: which flavor has it is the account's affair, and no other revision."""
        return self.flavor or str(self.resources)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One account of the placement. `blocked` says why it gets nothing new (empty: it may); `lacking` the same by
    service. `choices` are there for all services, `offers` for those that the account has all it takes for.
    """

    key: ObjectKey
    account: CloudAccount | None
    max_instances: int | None
    blocked: str
    choices: Mapping[str, Choice]
    offers: Mapping[str, Offer]
    lacking: Mapping[str, str]

    @property
    def label(self) -> str:
        return label(self.key)


def label(account: ObjectKey) -> str:
    """An account as people read it in messages, and as tags at the cloud have it."""
    return f"{account.namespace}.{account.name}"


def candidates(view: ClusterView) -> list[Candidate]:
    """The accounts that the placement matches, in order; the first entry that matches an account counts."""
    found: dict[ObjectKey, Candidate] = {}
    for entry in view.cluster.spec.placement.accounts:
        for key in _matched(entry, view):
            if key not in found:
                found[key] = _candidate(key, entry, view)
    return list(found.values())


def _matched(entry: AccountEntry, view: ClusterView) -> list[ObjectKey]:
    namespace = entry.namespace or view.cluster.namespace
    if entry.name is not None:
        return [ObjectKey(namespace, entry.name)]
    selector = entry.selector
    return sorted(
        key
        for key, account in view.accounts.items()
        if selector and key.namespace == namespace and selector.matches(account.metadata.labels)
    )


def _candidate(key: ObjectKey, entry: AccountEntry, view: ClusterView) -> Candidate:
    account = view.accounts.get(key)
    choices: dict[str, Choice] = {}
    offers: dict[str, Offer] = {}
    lacking: dict[str, str] = {}
    if account:
        for service in view.cluster.spec.services:
            choices[service.name] = chosen(service.machine, account)
            offer = offer_of(choices[service.name], account)
            if isinstance(offer, Offer):
                offers[service.name] = offer
            else:
                lacking[service.name] = offer
    return Candidate(key, account, entry.max_instances, _blocked(account, view), choices, offers, lacking)


def _blocked(account: CloudAccount | None, view: ClusterView) -> str:
    if account is None or account.deleting:
        return "is being deleted" if account else "does not exist"
    if not allows(account, view.cluster, view.namespaces):
        return f"does not allow namespace {view.cluster.namespace} (spec.allowedNamespaces)"
    if account.spec.unschedulable:
        return "is cordoned (spec.unschedulable)"
    ready = find(account.status.conditions, "Ready")
    if ready is None:
        return "was not looked at yet"
    if ready.status != "True":
        return f"is not ready: {ready.message or ready.reason}"
    return ""


def allows(account: CloudAccount, cluster: VirtualCluster, namespaces: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether the account admits Instances from the cluster's namespace."""
    allowed = account.spec.allowed_namespaces
    match allowed.from_:
        case "All":
            return True
        case "Same":
            return account.namespace == cluster.namespace
        case "Selector":
            labels = namespaces.get(cluster.namespace)
            return labels is not None and allowed.selector is not None and allowed.selector.matches(dict(labels))


def chosen(machine: Machine, account: CloudAccount) -> Choice:
    """The machine at this account: of the overrides that match it, the last one wins."""
    flavor, image, options = machine.flavor or "", machine.image, machine.options
    for override in machine.overrides:
        if override.provider not in (None, account.spec.provider):
            continue
        if override.account not in (None, account.name, label(account.key)):
            continue
        flavor, image = override.flavor or machine.flavor or "", override.image or machine.image
        options = {**machine.options, **override.options}
    return Choice(flavor, image, options, None if flavor else machine.resources)


def offer_of(choice: Choice, account: CloudAccount) -> Offer | str:
    """What the account has for this choice, or what it lacks."""
    image = choice.image
    known = _flavor(choice, account)
    if isinstance(known, str):
        return known
    if image not in account.spec.images:
        return f"lacks the image {image} (spec.images)"
    why = _unusable("Image", image, account)
    if why:
        return why
    resources = _resources(known.cpus, known.memory)
    return Offer(known.name, image, known.id, account.spec.images[image], choice.options, resources)


def _flavor(choice: Choice, account: CloudAccount) -> FlavorStatus | str:
    if choice.resources is not None:
        return smallest(choice.resources, account.status.flavors) or _none_with(choice.resources, account)
    if choice.flavor not in account.spec.flavors:
        return f"lacks the flavor {choice.flavor} (spec.flavors)"
    found = next((item for item in account.status.flavors if item.name == choice.flavor), None)
    untold = f"has the flavor {choice.flavor} as {account.spec.flavors[choice.flavor]}, {UNTOLD}"
    return found or _unusable("Flavor", choice.flavor, account) or untold


def _unusable(kind: Literal["Flavor", "Image"], name: str, account: CloudAccount) -> str:
    """Why the account cannot use a flavor or image that it names, as its agent says; empty where it says nothing."""
    found = (one.message for one in account.status.lacking if (one.kind, one.name) == (kind, name))
    return next((f"cannot use the {kind.lower()} {name}: {message}" for message in found), "")


def _none_with(wanted: MachineResources, account: CloudAccount) -> str:
    looked_at = {one.name for one in account.status.flavors}
    looked_at |= {one.name for one in account.status.lacking if one.kind == "Flavor"}
    if account.spec.flavors.keys() - looked_at:
        return f"may have a flavor with {wanted}, {UNTOLD}"
    return f"has no flavor with {wanted} (spec.flavors)"


def smallest(wanted: MachineResources, flavors: Iterable[FlavorStatus]) -> FlavorStatus | None:
    """The cheapest flavor that has what is wanted; where no prices are known, the smallest."""
    cpus, memory, disk = wanted.amounts
    fits = [one for one in flavors if one.cpus >= cpus and one.memory_bytes >= memory and one.disk_bytes >= disk]
    return min(fits, key=_dearness, default=None)


def _dearness(flavor: FlavorStatus) -> tuple[float, float, float, str]:
    price = math.inf if flavor.price is None else flavor.price
    return price, flavor.cpus, flavor.memory_bytes, flavor.name


@lru_cache(maxsize=1024)
def _resources(cpus: float, memory: str) -> Resources:
    """There are few sizes, and all plans ask for them."""
    return Resources(cpus=cpus, memory=int(parse_quantity(memory)))


def services_of(cluster: VirtualCluster) -> tuple[list[Service], list[Service]]:
    """The fixed services and the scalable ones, each in the manifest's order."""
    services = cluster.spec.services
    return [one for one in services if one.fixed], [one for one in services if not one.fixed]
