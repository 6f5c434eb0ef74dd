"""The typed models of the group cloudherd.dev: the source of the CRDs (strict), and lenient when objects are read."""

from cloudherd.api.account import CloudAccount
from cloudherd.api.cluster import VirtualCluster
from cloudherd.api.context import Context
from cloudherd.api.instance import Instance
from cloudherd.api.meta import Condition, ObjectKey, ObjectMeta, Resource
from cloudherd.api.service import ClusterService

__all__ = [
    "CloudAccount",
    "ClusterService",
    "Condition",
    "Context",
    "Instance",
    "ObjectKey",
    "ObjectMeta",
    "Resource",
    "VirtualCluster",
]
