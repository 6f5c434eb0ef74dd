"""The kinds of objects that gateway and agent read and write, for the reflectors, the executor and the tests alike."""

from __future__ import annotations

from cloudherd.api import CloudAccount, ClusterService, Context, Instance, Resource, VirtualCluster
from cloudherd.api.meta import GROUP, VERSION
from cloudherd.runtime.ports import Kind


def _ours(model: type[Resource]) -> Kind:
    return Kind(GROUP, VERSION, model.plural, model.kind)


CLOUD_ACCOUNT = _ours(CloudAccount)
CONTEXT = _ours(Context)
VIRTUAL_CLUSTER = _ours(VirtualCluster)
CLUSTER_SERVICE = _ours(ClusterService)
INSTANCE = _ours(Instance)
OURS = (CLOUD_ACCOUNT, CONTEXT, VIRTUAL_CLUSTER, CLUSTER_SERVICE, INSTANCE)

NAMESPACE = Kind("", "v1", "namespaces", "Namespace", namespaced=False)
SECRET = Kind("", "v1", "secrets", "Secret")
"""With its data: for live reads and creations only, never for a watch."""
SECRET_METADATA = Kind("", "v1", "secrets", "Secret", metadata_only=True)
CONFIG_MAP = Kind("", "v1", "configmaps", "ConfigMap")
EVENT = Kind("events.k8s.io", "v1", "events", "Event")
LEASE = Kind("coordination.k8s.io", "v1", "leases", "Lease")

GATEWAY_READS = (*OURS, NAMESPACE, SECRET_METADATA)
AGENT_READS = (CLOUD_ACCOUNT, INSTANCE, NAMESPACE, SECRET_METADATA)
