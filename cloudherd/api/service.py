"""ClusterService: one per service of a virtual cluster, so that it can be scaled by itself (the ReplicaSet of this
system).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cloudherd.api.cluster import BOUNDS
from cloudherd.api.fields import DnsLabel, Replicas, Text
from cloudherd.api.meta import AGE, Column, Conditions, Model, Resource, of_condition
from cloudherd.api.schema import IMMUTABLE, Crd, Rule, validated

_IDENTITY = Crd(Rule(IMMUTABLE, "what a ClusterService counts is immutable: the gateway makes another one"))


class ServiceSpec(Model):
    model_config = validated(*BOUNDS)

    cluster_name: Annotated[DnsLabel, _IDENTITY]
    service_name: Annotated[DnsLabel, _IDENTITY]
    type: Annotated[Literal["Fixed", "Scalable"], _IDENTITY]
    replicas: Replicas = 1
    """The VMs asked for (of a Fixed service: at every site), between minReplicas and maxReplicas."""
    min_replicas: Replicas | None = None
    max_replicas: Replicas | None = None


class ServiceStatus(Model):
    observed_generation: int = 0
    replicas: int = 0
    ready_replicas: int = 0
    selector: Text = ""
    """A label selector of its Instances, for autoscalers."""
    conditions: Conditions = Field(default_factory=list)


class ClusterService(Resource):
    """The count of one service of a virtual cluster; made by the gateway, scaled by people and autoscalers."""

    model_config = validated(
        Rule(
            "self.metadata.name == self.spec.clusterName + '-' + self.spec.serviceName",
            "metadata.name must be <spec.clusterName>-<spec.serviceName>",
            field=".metadata.name",
        )
    )

    kind: ClassVar[str] = "ClusterService"
    plural: ClassVar[str] = "clusterservices"
    short: ClassVar[str] = "csvc"
    name_limit: ClassVar[int] = 47
    scale: ClassVar[dict[str, str] | None] = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Type", ".spec.type"),
        Column("Desired", ".spec.replicas", "integer"),
        Column("Current", ".status.replicas", "integer"),
        Column("Ready", ".status.readyReplicas", "integer"),
        Column("Reason", of_condition("Ready", "reason")),
        Column("Min", ".spec.minReplicas", "integer", wide=True),
        Column("Max", ".spec.maxReplicas", "integer", wide=True),
        AGE,
        Column("Message", of_condition("Ready", "message")),
    )

    spec: ServiceSpec
    status: ServiceStatus = Field(default_factory=ServiceStatus)
