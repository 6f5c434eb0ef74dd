"""What a ClusterService says of itself."""

from __future__ import annotations

from cloudherd.api import ClusterService
from cloudherd.api.conditions import find
from cloudherd.api.service import ServiceStatus
from tests.unit.plan.helpers import plan, service, view_of, with_status
from tests.unit.plan.objects import Spec, account, cluster, instance, scalable

HOME = account("home")


def status(worker: Spec, existing: ClusterService) -> ServiceStatus:
    batch = cluster("batch", worker, accounts=["home"], updateStrategy={"type": "OnDelete"})
    instances = [instance("batch-worker-0"), instance("batch-worker-1", phase="Launching")]
    view = view_of(with_status(batch, observedGeneration=1), *instances, accounts=(HOME,), services=(existing,))
    return plan(view).service_status["worker"]


def held(found: ServiceStatus) -> str:
    condition = find(found.conditions, "HeldByManifest")
    assert condition
    return f"{condition.status} {condition.reason}: {condition.message}"


def worker(replicas: int | None) -> Spec:
    return scalable(replicas=replicas, dependsOn=[])


def test_counts_and_the_selector_that_autoscalers_read() -> None:
    found = status(worker(2), service("batch-worker", 2))
    assert (found.replicas, found.ready_replicas, found.observed_generation) == (2, 1, 1)
    assert found.selector == "cloudherd.dev/cluster=batch,cloudherd.dev/service=worker"
    ready = find(found.conditions, "Ready")
    assert ready
    assert (ready.status, ready.message) == ("False", "1 of 2 ready")


def test_to_whom_the_count_belongs() -> None:
    assert held(status(worker(None), service("batch-worker", 2))).startswith(
        "False Free: the manifest leaves replicas out"
    )
    assert held(status(worker(2), service("batch-worker", 2))) == (
        "True ManifestHolds: VirtualCluster batch holds replicas: 2; change it there"
    )


def test_a_scale_that_was_put_back_is_said_until_the_manifest_changes() -> None:
    scaled = service("batch-worker", 9)
    told = status(worker(2), scaled)
    assert held(told) == (
        "True ScalePutBack: a scale to 9 was put back: VirtualCluster batch holds replicas: 2; change it there, "
        "or leave it out there to scale here"
    )
    back = service("batch-worker", 2).model_copy(update={"status": told})
    assert held(status(worker(2), back)) == held(told)
    assert held(status(worker(3), service("batch-worker", 3).model_copy(update={"status": told}))).startswith(
        "True ManifestHolds"
    )
