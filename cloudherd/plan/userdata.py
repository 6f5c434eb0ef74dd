"""What the VMs of one service at one site boot with: from context, parameters and the neighbours' addresses to a
revision.

Never renders: it reads results by the hash of their input, and says which it lacks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cloudherd.api import CloudAccount, Context
from cloudherd.api.cluster import Service
from cloudherd.plan.candidates import Choice, label
from cloudherd.plan.model import RECIPE, ClusterView, UserData
from cloudherd.plan.vm import Vm
from cloudherd.rendering.model import RenderRequest
from cloudherd.rendering.values import ServiceAddresses, parameter_values, template_values


@dataclass(frozen=True, slots=True)
class Wait:
    """Not to be had yet, and not for lack of anything that the user must do."""

    why: str


@dataclass(frozen=True, slots=True)
class Broken:
    """Not to be had until the user mends something; `why` is one sentence that names it."""

    why: str


Outcome = UserData | RenderRequest | Wait | Broken


def addresses_of(vms: Sequence[Vm]) -> ServiceAddresses:
    """What templates see of a fixed service at a site, whose `vms` stand by slot; `address` is that of the first."""
    found = [vm.instance.status.addresses.first for vm in vms if vm.instance.status.addresses]
    hostname = vms[0].instance.vm_name if vms else ""
    return ServiceAddresses(address=found[0] if found else "", addresses=tuple(found), hostname=hostname)


def revision_of(recipe: int, content: bytes, choice: Choice) -> str:
    """A hash of what the cluster's owner wrote, by the recipe of the Instance that it is compared with; empty where
    that recipe is not known.
    """
    if recipe != RECIPE:
        return ""
    parts = [hashlib.sha256(content).hexdigest(), choice.wanted, choice.image, dict(choice.options)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:10]


def secret_name(cluster: str, service: str, account: str, revision: str) -> str:
    """One Secret per site, service and revision."""
    digest = hashlib.sha256(f"{account}\n{revision}".encode()).hexdigest()[:10]
    return f"{cluster}-{service}-{digest}"


def user_data(
    view: ClusterView,
    service: Service,
    account: CloudAccount,
    choice: Choice,
    neighbours: Mapping[str, ServiceAddresses],
) -> Outcome:
    """The user data of `service` at the site on `account`, whose fixed services it depends on are `neighbours`."""
    context = view.contexts.get(service.context_ref.name)
    if context is None:
        return Broken(
            f"service {service.name}: Context {service.context_ref.name} does not exist in namespace "
            f"{view.cluster.namespace}; create it or correct contextRef"
        )
    parameters = _parameters(view, service, context)
    if isinstance(parameters, Broken):
        return parameters
    values = template_values(
        cluster=view.cluster.name,
        namespace=view.cluster.namespace,
        service=service.name,
        account=account.name,
        provider=account.spec.provider,
        region=account.spec.region or "",
        services=neighbours,
        parameters=parameters,
    )
    request = RenderRequest(tuple((part.content_type, part.template) for part in context.spec.parts), values)
    result = view.rendered.get(request.key)
    if result is None:
        return request
    if result.error:
        return Broken(f"service {service.name}: Context {context.name} does not render: {result.error}")
    revision = revision_of(RECIPE, result.user_data, choice)
    return UserData(
        secret_name(view.cluster.name, service.name, label(account.key), revision), result.user_data, revision
    )


def _parameters(view: ClusterView, service: Service, context: Context) -> Mapping[str, str] | Broken:
    secrets: dict[str, str] = {}
    for source in service.parameters_from:
        found = view.secrets.get(source.secret_ref.name)
        if found is None or isinstance(found, str):
            return Broken(f"service {service.name}: {found or f'Secret {source.secret_ref.name} was not read'}")
        secrets |= found
    values, error = parameter_values(context.spec.parameters, service.parameters, secrets)
    return Broken(f"service {service.name}: Context {context.name}: {error}") if error else values
