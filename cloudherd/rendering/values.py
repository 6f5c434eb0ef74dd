"""The namespace that templates see, from what the Context declares, the cluster gives and the site knows. Pure.

None marks a name that is declared but has no value here: templates may ask for it with `is defined`, any other use is
an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudherd.api.context import Parameter
from cloudherd.rendering.known import names


@dataclass(frozen=True, slots=True)
class ServiceAddresses:
    """One service at one site: the address of its lowest slot, those of all its VMs by slot, and the name that the VM
    of its lowest slot has at the cloud. Empty is what is not there.
    """

    address: str
    addresses: tuple[str, ...]
    hostname: str


def parameter_values(
    declared: Sequence[Parameter], given: Mapping[str, str], secrets: Mapping[str, str]
) -> tuple[dict[str, Any], str]:
    """Every declared parameter with its value, or a sentence for the cluster's owner, before which the caller says
    which service and Context it is about.

    `given` is the service's `parameters` and goes before `secrets`, the keys of its `parametersFrom`; a Secret may hold
    keys for other Contexts too. What is declared secret is taken from a Secret only: more people can read a
    VirtualCluster.
    """
    by_name = {parameter.name: parameter for parameter in declared}
    unknown = given.keys() - by_name.keys()
    if unknown:
        return {}, f"parameter `{min(unknown)}` is not declared by the Context; declared are: {names(by_name)}"
    exposed = [name for name in sorted(given) if by_name[name].secret]
    if exposed:
        return {}, f"parameter `{exposed[0]}` is secret: give it in a Secret of parametersFrom, not in parameters"
    values = {each.name: given.get(each.name, secrets.get(each.name, each.default)) for each in declared}
    missing = [each for each in declared if each.required and values[each.name] is None]
    if missing:
        return {}, f"parameter `{missing[0].name}` is required: set it in {_where(missing[0])}"
    return values, ""


def template_values(
    cluster: str,
    namespace: str,
    service: str,
    account: str,
    provider: str,
    region: str,
    services: Mapping[str, ServiceAddresses],
    parameters: Mapping[str, Any],
) -> dict[str, Any]:
    """The `values` of a RenderRequest. `services` are those that `service` depends on, under their own names: `my-db`
    becomes `my_db` here.
    """
    return {
        "cluster": {"name": cluster, "namespace": namespace},
        "parameters": dict(parameters),
        "service": {"name": service},
        "services": {name.replace("-", "_"): _fields(at) for name, at in services.items()},
        "site": {"account": account, "provider": provider, "region": region or None},
    }


def _fields(at: ServiceAddresses) -> dict[str, Any]:
    return {"address": at.address or None, "addresses": list(at.addresses), "hostname": at.hostname or None}


def _where(parameter: Parameter) -> str:
    if parameter.secret:
        return f"a Secret of parametersFrom, under the key `{parameter.name}`"
    return f"the service's parameters, or in a Secret of parametersFrom under the key `{parameter.name}`"
