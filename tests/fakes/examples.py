"""Objects of our kinds that the API server takes as they stand, with what a test wants different."""

from __future__ import annotations

import uuid
from typing import Any

from cloudherd.api.meta import GROUP, VERSION
from cloudherd.runtime.ports import Object


def instance(name: str, *, namespace: str = "default", finalizers: tuple[str, ...] = (), **spec: Any) -> Object:
    """An Instance of the cluster and service that its name tells: `<cluster>-<service>-<slot>`."""
    cluster, service, _ = name.split("-")
    return _object("Instance", namespace, name, finalizers) | {
        "spec": {
            "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{namespace}")),
            "clusterName": cluster,
            "serviceName": service,
            "accountRef": {"namespace": namespace, "name": "home"},
            "flavor": "small",
            "image": "debian-12",
            "userDataRef": {"name": f"{name}-data"},
            "revision": "1",
            **spec,
        }
    }


def cluster_service(name: str, *, namespace: str = "default", **spec: Any) -> Object:
    """A scalable ClusterService `<cluster>-<service>`."""
    cluster, service = name.split("-")
    return _object("ClusterService", namespace, name) | {
        "spec": {"clusterName": cluster, "serviceName": service, "type": "Scalable", **spec}
    }


def _object(kind: str, namespace: str, name: str, finalizers: tuple[str, ...] = ()) -> Object:
    metadata: Object = {"namespace": namespace, "name": name}
    if finalizers:
        metadata["finalizers"] = list(finalizers)
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": metadata}
