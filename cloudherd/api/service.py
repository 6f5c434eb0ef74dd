"""ClusterService: one per service of a virtual cluster, so that it can be scaled by itself (the ReplicaSet of this
system).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cloudherd.api.cluster import Replicas
from cloudherd.api.meta import Condition, DnsLabel, Model, Resource, Text


class ServiceSpec(Model):
    cluster_name: DnsLabel
    service_name: DnsLabel
    type: Literal["Fixed", "Scalable"]
    replicas: Replicas = 1
    min_replicas: Replicas | None = None
    max_replicas: Replicas | None = None


class ServiceStatus(Model):
    observed_generation: int = 0
    replicas: int = 0
    ready_replicas: int = 0
    selector: Text = ""
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(default_factory=list)


class ClusterService(Resource):
    kind: ClassVar[str] = "ClusterService"
    plural: ClassVar[str] = "clusterservices"

    spec: ServiceSpec
    status: ServiceStatus = Field(default_factory=ServiceStatus)
