"""What stands in the API server and at the clouds, read from these themselves, never from an operator."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cloudherd.agent.identity import ACCOUNT, ID
from cloudherd.runtime.ports import Object
from tests.fakes.cloud import Machine
from tests.faults.sky import Sky

NEWER = "faults.cloudherd.dev/newer-version"
"""The annotation of an Instance that, on its way to an operator, turns into what only a newer one can read."""

Named = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What is counted together: a scalable service in its whole cluster, a fixed one at one account."""

    namespace: str
    cluster: str
    service: str
    account: str = ""

    def __str__(self) -> str:
        return f"{self.cluster}-{self.service}" + (f" at {self.account}" if self.account else "")


def named(obj: Object) -> Named:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def deleting(obj: Object) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def condition(obj: Object, type_: str) -> dict[str, Any]:
    found = obj.get("status", {}).get("conditions", [])
    return next((one for one in found if one["type"] == type_), {})


def account_of(record: Object) -> str:
    """As it stands in the tags of VMs."""
    ref = record["spec"]["accountRef"]
    return f"{ref['namespace']}.{ref['name']}"


def vm_of(record: Object) -> str:
    """The cloud's ID that a record names; empty where it names none."""
    return str(record.get("status", {}).get("providerID", "")).rpartition("/")[2]


def is_managed(machine: Machine, sky: Sky, recorded: Container[str]) -> bool:
    """Whether a VM is an Instance's, by its account and by the ids that were ever recorded."""
    return machine.tags.get(ACCOUNT) == sky.name and identity(machine) in recorded


def identity(machine: Machine) -> str:
    return machine.tags.get(ID, "")


def machines(skies: Mapping[str, Sky], *, coming: bool = False) -> Iterator[tuple[Sky, Machine]]:
    """All VMs that cost money now; with `coming`, also those that will come of a creation that timed out."""
    for sky in skies.values():
        for place in (sky, sky.beyond) if sky.beyond else (sky,):
            for one in place.coming() if coming else place.alive():
                yield place, one


def scope_of(record: Object) -> str:
    """Where the VM that a record names lies; empty where it names none."""
    return str(record.get("status", {}).get("providerID", "")).partition("://")[2].rpartition("/")[0]


def surge_of(cluster: Object, count: int) -> int:
    strategy = cluster["spec"].get("updateStrategy", {})
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return 0
    surge = strategy.get("maxSurge", 0)
    return -(-count * int(surge.rstrip("%")) // 100) if isinstance(surge, str) else int(surge)


def asked_for(service: Object, cluster_service: Object | None) -> int | None:
    """The count of a service as the API server holds it; None where nobody has said one yet."""
    if service.get("replicas") is not None:
        return int(service["replicas"])
    if cluster_service is None:
        return None
    count = int(cluster_service["spec"].get("replicas", 1))
    return max(int(service.get("minReplicas") or 0), min(count, int(service.get("maxReplicas") or count)))


def by_name(objects: Iterable[Object]) -> dict[Named, Object]:
    return {named(obj): obj for obj in objects}
