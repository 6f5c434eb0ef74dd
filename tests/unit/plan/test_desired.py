"""How many VMs every service is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from cloudherd.api import Instance
from cloudherd.plan.desired import desired
from cloudherd.plan.model import ClusterView, Stranger
from tests.unit.plan.helpers import service, view_of, with_status
from tests.unit.plan.objects import Spec, cluster, fixed, instance, key, scalable


def view(worker: Spec, *instances: Instance, status: Spec | None = None, **more: Any) -> ClusterView:
    """The status has seen this generation, unless a test says otherwise."""
    spec = cluster("batch", fixed(), worker, accounts=["home"])
    return view_of(with_status(spec, **({"observedGeneration": 1} | (status or {}))), *instances, **more)


def count(view: ClusterView) -> int:
    return desired(view).counts["worker"]


def test_the_manifest_goes_before_the_cluster_service() -> None:
    found = desired(view(scalable(replicas=3), services=(service("batch-worker", 9),)))
    assert found.counts["worker"] == 3
    assert [(one.service.name, dict(one.changes), one.put_back) for one in found.update] == [
        ("batch-worker", {"replicas": 3}, True)
    ]


def test_a_new_manifest_puts_nothing_back() -> None:
    found = desired(
        view(scalable(replicas=3), services=(service("batch-worker", 9),), status={"observedGeneration": 0})
    )
    assert [one.put_back for one in found.update] == [False]


def test_a_count_that_the_manifest_leaves_out_is_the_cluster_services() -> None:
    found = desired(view(scalable(), services=(service("batch-worker", 9),)))
    assert found.counts["worker"] == 9
    assert not found.update


def test_bounds_and_the_count_that_they_clamp_are_one_write() -> None:
    found = desired(view(scalable(minReplicas=2, maxReplicas=5), services=(service("batch-worker", 9),)))
    assert [dict(one.changes) for one in found.update] == [{"replicas": 5, "minReplicas": 2, "maxReplicas": 5}]


def test_bounds_that_the_manifest_no_longer_has_are_taken_away() -> None:
    existing = service("batch-worker", 4, minReplicas=2, maxReplicas=5)
    assert [dict(one.changes) for one in desired(view(scalable(), services=(existing,))).update] == [
        {"minReplicas": None, "maxReplicas": None}
    ]


@pytest.mark.parametrize(
    ("worker", "expected"),
    [(scalable(), 1), (scalable(minReplicas=4), 4), (scalable(minReplicas=0), 0), (scalable(replicas=0), 0)],
    ids=["nothing said", "minReplicas", "minReplicas 0", "replicas 0"],
)
def test_a_service_without_anything_starts_from(worker: Spec, expected: int) -> None:
    assert count(view(worker)) == expected


def test_a_lost_count_is_found_again_in_the_status() -> None:
    services = [{"name": "worker", "desired": 7, "current": 7, "ready": 7, "updated": 7}]
    assert count(view(scalable(), status={"services": services})) == 7


def test_a_lost_count_of_a_fixed_service_is_that_of_one_open_site() -> None:
    sites = [
        {"accountRef": {"namespace": "physics", "name": name}, "state": state}
        for name, state in (("home", "Open"), ("aws", "Opening"), ("other", "Closed"), ("old", "Closing"))
    ]
    services = [{"name": "master", "desired": 4, "current": 4, "ready": 4, "updated": 4}]
    spec = with_status(cluster("batch", fixed(replicas=None), accounts=["home"]), sites=sites, services=services)
    assert desired(view_of(spec)).counts["master"] == 2


def test_else_in_the_instances_that_exist() -> None:
    instances = [instance(f"batch-worker-{slot}") for slot in range(3)]
    instances += [instance("batch-worker-3", deleting=True), instance("batch-master-0")]
    assert count(view(scalable(), *instances, strangers=(Stranger("batch-worker-9", "worker", None),))) == 4


def test_a_cluster_service_goes_with_the_last_instance_of_a_service_that_is_taken_out() -> None:
    old = service("batch-extra", 2)
    assert desired(view(scalable(), instance("batch-extra-0"), services=(old,))).drop == []
    assert (
        desired(view(scalable(), strangers=(Stranger("batch-extra-0", "extra", key("home")),), services=(old,))).drop
        == []
    )
    assert desired(view(scalable(), services=(old,))).drop == [old]
