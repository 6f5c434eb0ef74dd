"""What Prometheus reads: the loops' own words, the store's counts, and no label that grows with the number of VMs."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from cloudherd.api import ObjectKey
from cloudherd.runtime.kinds import CLOUD_ACCOUNT, INSTANCE, VIRTUAL_CLUSTER
from cloudherd.runtime.ports import Object, WatchEvent
from cloudherd.runtime.store import Store
from controllers.metrics import PrometheusMetrics, ServingError, serve
from devenv.controlplane.assets import free_port
from tests.unit.runtime.test_store import instance

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"
HOME = {"namespace": "physics", "account": "home"}


class Told:
    """Metrics over a store with one account, one cluster and one Instance."""

    def __init__(self) -> None:
        self.metrics = PrometheusMetrics()
        self.store = Store((CLOUD_ACCOUNT.plural, INSTANCE.plural, VIRTUAL_CLUSTER.plural))
        self.metrics.tell_clouds(self.store)
        self.metrics.tell_clusters(self.store)
        self.store.replace(CLOUD_ACCOUNT, [account()], "10")
        self.store.replace(VIRTUAL_CLUSTER, [cluster()], "10")
        self.store.replace(INSTANCE, [instance(10)], "10")

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


def _object(name: str, spec: Object, status: Object) -> Object:
    meta = {"namespace": "physics", "name": name, "uid": name, "resourceVersion": "10"}
    return {"metadata": meta, "spec": spec, "status": status}


def account() -> Object:
    status = {
        "limit": {"instances": 20},
        "used": {"instances": 4, "cpus": 8, "memory": "2Gi"},
        "full": [{"until": "2026-01-01T00:00:00Z", "reason": "CloudFull"}],
    }
    return _object("home", {"provider": "simulated", "quota": {"instances": 10, "cpus": "500m"}}, status)


def cluster() -> Object:
    service = {"name": "worker", "type": "Scalable", "contextRef": {"name": "worker"}}
    service["machine"] = {"flavor": "small", "image": "debian-12"}
    sites = [
        {"accountRef": {"namespace": "physics", "name": name}, "state": state}
        for name, state in (("home", "Open"), ("aws", "Opening"), ("far", "Closed"))
    ]
    count = {"name": "worker", "desired": 10, "current": 9, "ready": 7, "updated": 9}
    spec = {"services": [service], "placement": {"accounts": [{"name": "home"}]}}
    return _object("batch", spec, {"services": [count], "sites": sites})


def changed(told: Told, version: int, **status: Any) -> None:
    told.store.apply(INSTANCE, WatchEvent("MODIFIED", {**instance(version), "status": status}))


def test_a_pass_of_a_loop_is_told_with_its_outcome_and_its_wait() -> None:
    told = Told()
    told.metrics.waited("cluster", 0.3)
    told.metrics.reconciled("cluster", "refused", 0.05)
    assert told.value("cloudherd_queue_wait_seconds_sum", loop="cluster") == 0.3
    assert told.value("cloudherd_reconcile_duration_seconds_count", loop="cluster", outcome="refused") == 1


def test_a_call_to_a_cloud_is_told_by_provider_operation_and_outcome() -> None:
    told = Told()
    told.metrics.called("ec2", "create_vm", "Full", 0.2)
    labels = {"provider": "ec2", "operation": "create_vm", "outcome": "Full"}
    assert told.value("cloudherd_cloud_call_duration_seconds_sum", **labels) == 0.2


def test_an_instance_that_gets_its_vm_is_a_launch_but_not_one_that_was_there_before() -> None:
    told = Told()
    assert told.value("cloudherd_instance_launches_total", **HOME) is None
    changed(told, 11, providerID="simulated://physics.home/i-1")
    changed(told, 12, providerID="simulated://physics.home/i-1", phase="Ready")
    assert told.value("cloudherd_instance_launches_total", **HOME) == 1


def test_a_failure_is_told_once_by_its_reason() -> None:
    told = Told()
    at = "2026-01-01T00:00:00Z"
    ready = {"type": "Ready", "status": "False", "reason": "VMVanished", "lastTransitionTime": at}
    for version in (11, 12):
        changed(told, version, phase="Failed", conditions=[ready])
    assert told.value("cloudherd_instance_failures_total", reason="VMVanished") == 1


def test_the_capacity_of_an_account_is_told_as_far_as_it_is_known() -> None:
    told = Told()
    assert told.value("cloudherd_account_limit", **HOME, resource="instances") == 20
    assert told.value("cloudherd_account_limit", **HOME, resource="cpus") is None
    assert told.value("cloudherd_account_quota", **HOME, resource="cpus") == 0.5
    assert told.value("cloudherd_account_used", **HOME, resource="memory_bytes") == 2 * 1024**3
    assert told.value("cloudherd_account_full_marks", **HOME) == 1


def test_services_and_burst_sites_are_told_as_the_cluster_s_status_has_them() -> None:
    told, labels = Told(), {"namespace": "physics", "cluster": "batch"}
    assert told.value("cloudherd_service_desired_instances", **labels, service="worker") == 10
    assert told.value("cloudherd_service_ready_instances", **labels, service="worker") == 7
    assert told.value("cloudherd_cluster_burst_sites", **labels) == 1


def test_an_account_that_is_gone_leaves_nothing_behind() -> None:
    told, home = Told(), ObjectKey("physics", "home")
    told.metrics.listed(home, 1700000000)
    told.metrics.orphans(home, 2)
    assert told.value("cloudherd_account_last_listing_timestamp_seconds", **HOME) == 1700000000
    assert told.value("cloudherd_account_orphans", **HOME) == 2
    told.store.apply(CLOUD_ACCOUNT, WatchEvent("DELETED", account()))
    assert b'account="home"' not in generate_latest(told.metrics.registry)


def test_every_metric_is_on_the_page_for_operators_and_none_else() -> None:
    told = set(re.findall(r"`(cloudherd_\w+)`", OPERATIONS.read_text()))
    families = Told().metrics.registry.collect()
    kept = {f"{one.name}_total" if one.type == "counter" else one.name for one in families}
    assert told == {name for name in kept if name.startswith("cloudherd_")}


async def test_it_is_served_over_http_and_an_address_that_is_taken_is_named() -> None:
    address = f"127.0.0.1:{free_port()}"
    runner = await serve(PrometheusMetrics(), address)
    try:
        with pytest.raises(ServingError, match=address):
            await serve(PrometheusMetrics(), address)
        text = await asyncio.to_thread(_read, f"http://{address}/metrics")
    finally:
        await runner.cleanup()
    assert "process_cpu_seconds_total" in text


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        content: bytes = answer.read()
    return content.decode()
