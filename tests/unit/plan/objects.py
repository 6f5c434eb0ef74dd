"""Manifests and objects for tests of the planner: small, and different from each other only where a test says so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cloudherd.api import CloudAccount, Condition, Context, Instance, ObjectKey, VirtualCluster
from cloudherd.api.meta import GROUP

EPOCH = 1_700_000_000.0
NAMESPACE = "physics"
Spec = dict[str, Any]

CONTEXTS = {
    "server": "pool {{ parameters.pool }} at {{ site.account }}",
    "worker": "server {{ services.master.address }}",
    "plain": "plain {{ service.name }}",
}


def key(name: str) -> ObjectKey:
    return ObjectKey(NAMESPACE, name)


def at(seconds: float = 0.0) -> datetime:
    return datetime.fromtimestamp(int(EPOCH + seconds), UTC)


def true(type_: str, reason: str = "", message: str = "", status: str = "True") -> Condition:
    return Condition.model_validate(
        {"type": type_, "status": status, "reason": reason or type_, "message": message, "lastTransitionTime": at()}
    )


def fixed(name: str = "master", replicas: int | None = 1, *, flavor: str = "small", **more: Any) -> Spec:
    machine = {"flavor": flavor, "image": "debian-12"} | more.pop("machine", {})
    return _service(name, "Fixed", replicas, {"contextRef": {"name": "server"}, "machine": machine, **more})


def scalable(name: str = "worker", replicas: int | None = None, *, flavor: str = "small", **more: Any) -> Spec:
    machine = {"flavor": flavor, "image": "debian-12"} | more.pop("machine", {})
    context = "worker" if "master" in more.setdefault("dependsOn", ["master"]) else "plain"
    return _service(name, "Scalable", replicas, {"contextRef": {"name": context}, "machine": machine, **more})


def _service(name: str, type_: str, replicas: int | None, more: Spec) -> Spec:
    held = {} if replicas is None else {"replicas": replicas}
    parameters = {"parameters": {"pool": "physics"}} if more["contextRef"]["name"] == "server" else {}
    return {"name": name, "type": type_, **held, **parameters, **more}


def cluster(name: str, *services: Spec, accounts: list[Any], **spec: Any) -> VirtualCluster:
    """`accounts` are entries of the placement, where a name stands for itself; its other fields go by their names."""
    entries = [{"name": one} if isinstance(one, str) else one for one in accounts]
    placement = {"accounts": entries} | {one: spec.pop(one) for one in ("strategy", "burst") if one in spec}
    return VirtualCluster.model_validate(
        {
            "metadata": metadata(name, generation=1),
            "spec": {"services": list(services), "placement": placement, **spec},
        }
    )


def account(
    name: str,
    *,
    quota: Spec | None = None,
    limit: int | None = None,
    foreign: int = 0,
    full: bool = False,
    ready: bool = True,
    **spec: Any,
) -> CloudAccount:
    """With a flavor `small` of one core and 2 GiB and a `large` one of four and 8; looked at already."""
    labels = spec.pop("labels", {})
    sizes = {"small": (1, "2Gi"), "large": (4, "8Gi")}
    flavors = spec.pop("flavors", {size: f"{name}.{size}" for size in sizes})
    known = [
        {"name": size, "id": flavors[size], "cpus": cpus, "memory": memory}
        for size, (cpus, memory) in sizes.items()
        if size in flavors
    ]
    status: Spec = {"flavors": known, "conditions": [true("Ready", "Ready")] if ready else []}
    if limit is not None:
        status["limit"] = {"instances": limit}
    if foreign:
        status["foreign"] = {"instances": foreign}
    if full:
        status["full"] = [{"until": at(60), "reason": "CloudFull"}]
    return CloudAccount.model_validate(
        {
            "metadata": metadata(name, generation=1) | {"labels": labels},
            "spec": {
                "provider": "simulated",
                "flavors": flavors,
                "images": {"debian-12": "img-12", "debian-13": "img-13"},
                "quota": quota or {},
                **spec,
            },
            "status": status,
        }
    )


def context(name: str, template: str) -> Context:
    parameters = [{"name": "pool", "default": "physics"}]
    return Context.model_validate(
        {"metadata": metadata(name), "spec": {"parameters": parameters, "parts": [{"template": template}]}}
    )


def metadata(name: str, *, generation: int = 1) -> Spec:
    return {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"uid-{name}",
        "resourceVersion": "1",
        "generation": generation,
        "creationTimestamp": at(),
    }


def instance(
    name: str,
    account: str = "home",
    *,
    phase: str = "Ready",
    ready: str | None = None,
    reason: str = "",
    revision: str = "1",
    deleting: bool = False,
    cost: str = "",
    born: float = 0.0,
    address: str = "",
    size: Spec | None = None,
) -> Instance:
    """An Instance `<cluster>-<service>-<slot>`; one of phase Ready has a VM and an address."""
    cluster_name, service, _ = name.split("-")
    status: Spec = {"phase": phase}
    if ready or phase in ("Ready", "Failed"):
        verdict = ready or str(phase == "Ready")
        status["conditions"] = [true("Ready", reason or phase, status=verdict)]
    if phase in ("Launching", "Running", "Ready"):
        status["providerID"] = f"simulated://{account}/{name}"
    if phase == "Ready":
        status["addresses"] = {"private": [address or "10.0.0.1"]}
    meta = metadata(name) | {"creationTimestamp": at(born)}
    meta |= {"deletionTimestamp": at()} if deleting else {}
    meta |= {"annotations": {f"{GROUP}/deletion-cost": cost}} if cost else {}
    return Instance.model_validate(
        {
            "metadata": meta,
            "spec": {
                "id": "00000000-0000-0000-0000-000000000000",
                "clusterName": cluster_name,
                "serviceName": service,
                "accountRef": {"namespace": NAMESPACE, "name": account},
                "flavor": f"{account}.small",
                "image": "img-12",
                "resources": size or {"cpus": 1, "memory": 2 * 1024**3},
                "userDataRef": {"name": f"{name}-data"},
                "revision": revision,
            },
            "status": status,
        }
    )
