"""The objects that users write in these runs: small clusters with every part that faults can bite on."""

from __future__ import annotations

import base64
from typing import Any

from cloudherd.api.meta import GROUP, VERSION
from cloudherd.runtime.ports import Object

NAMESPACE = "physics"
SECRET_TEXT = "sesame-4711"


def _ours(kind: str, name: str, spec: Object, labels: dict[str, str] | None = None) -> Object:
    metadata: Object = {"name": name, "namespace": NAMESPACE}
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": metadata, "spec": spec}


def namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def secret(name: str, **data: str) -> Object:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    meta = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque", "data": encoded}


def account(name: str, **spec: Any) -> Object:
    return _ours(
        "CloudAccount",
        name,
        {
            "provider": "fake",
            "credentialsRef": {"name": f"{name}-keys"},
            "flavors": {"small": "sim.small", "large": "sim.large"},
            "images": {"debian-12": "sim-debian-12"},
            **spec,
        },
    )


def user_data(name: str, namespace: str = NAMESPACE) -> Object:
    return {
        **secret(name, userData="#!/bin/sh\n"),
        "metadata": {"name": name, "namespace": namespace},
        "type": "cloudherd.dev/user-data",
    }


def instance(cluster: str, service: str, slot: int, id_: str, account: str = "home", **spec: Any) -> Object:
    """As somebody writes it by hand."""
    return _ours(
        "Instance",
        f"{cluster}-{service}-{slot}",
        {
            "id": id_,
            "clusterName": cluster,
            "serviceName": service,
            "accountRef": {"namespace": NAMESPACE, "name": account},
            "flavor": "sim.small",
            "image": "sim-debian-12",
            "revision": "1",
            **spec,
        },
    )


def bare(obj: Object) -> Object:
    """As a backup has it."""
    kept = {key: value for key, value in obj.items() if key != "status"}
    dropped = ("uid", "resourceVersion", "creationTimestamp", "generation")
    return {**kept, "metadata": {key: value for key, value in obj["metadata"].items() if key not in dropped}}


def contexts() -> list[Object]:
    master = {"parameters": [{"name": "password", "required": True, "secret": True}]}
    worker = {"parameters": [{"name": "pool", "default": "one"}]}
    return [
        _ours("Context", "master", {**master, "parts": [_part("#!/bin/sh\nPASSWORD={{ parameters.password }}\n")]}),
        _ours(
            "Context",
            "worker",
            {**worker, "parts": [_part("#!/bin/sh\nHOST={{ services.master.address }}\nPOOL={{ parameters.pool }}\n")]},
        ),
    ]


def _part(template: str) -> Object:
    return {"contentType": "text/x-shellscript", "template": template}


def cluster(name: str, workers: int | None, accounts: list[str], **spec: Any) -> Object:
    """A master at every site, and workers that know its address; `workers` None: the ClusterService holds the count."""
    machine = {"flavor": "small", "image": "debian-12"}
    parameters = [{"secretRef": {"name": "parameters"}}]
    tags = spec.pop("tags", {})
    worker: Object = {
        "name": "worker",
        "type": "Scalable",
        "minReplicas": 0,
        "maxReplicas": 50,
        "dependsOn": ["master"],
        "contextRef": {"name": "worker"},
        "parameters": {"pool": "one"},
        "machine": {**machine, "tags": tags} if tags else machine,
    }
    if workers is not None:
        worker["replicas"] = workers
    master = {
        "name": "master",
        "type": "Fixed",
        "replicas": 1,
        "contextRef": {"name": "master"},
        "parametersFrom": parameters,
        "machine": machine,
    }
    placement = {"accounts": [{"name": one} for one in accounts], **spec.pop("placement", {})}
    return _ours("VirtualCluster", name, {"services": [master, worker], "placement": placement, **spec})
