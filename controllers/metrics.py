"""What Prometheus reads on /metrics: what the loops tell of themselves, and what the store holds when it is asked.

Labels are names of what there are few of (accounts, services, loops, reasons), never of Instances. Who has no role
that knows something (a gateway knows no cloud) does not tell it, so that sums over all processes are right.
"""

from __future__ import annotations

from collections.abc import Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.aiohttp import make_aiohttp_handler
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from cloudherd.api import CloudAccount, Instance, ObjectKey, VirtualCluster
from cloudherd.runtime.metrics import Loop, Outcome
from cloudherd.runtime.store import Entry, Store

SECONDS = (0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60)
ACCOUNT, SERVICE = ("namespace", "account"), ("namespace", "cluster", "service")


class PrometheusMetrics:
    """The `Metrics` port, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._reconciles = self._histogram(
            "cloudherd_reconcile_duration_seconds", "Passes of a loop by how they went.", "loop", "outcome"
        )
        self._waits = self._histogram("cloudherd_queue_wait_seconds", "From wake to work, by loop.", "loop")
        self._calls = self._histogram(
            "cloudherd_cloud_call_duration_seconds",
            "Calls to clouds, and how they ended: ok, or the kind of error.",
            *("provider", "operation", "outcome"),
        )
        self._launches = Counter(
            "cloudherd_instance_launches_total", "Instances that got their VM.", ACCOUNT, registry=self.registry
        )
        self._failures = Counter(
            "cloudherd_instance_failures_total", "Instances that turned Failed.", ["reason"], registry=self.registry
        )
        self._orphans = self._gauge("cloudherd_account_orphans", "VMs of ours without an Instance, at the last sweep.")
        self._listed = self._gauge(
            "cloudherd_account_last_listing_timestamp_seconds", "When its VMs were last listed well."
        )

    def _histogram(self, name: str, about: str, *labels: str) -> Histogram:
        return Histogram(name, about, labels, buckets=SECONDS, registry=self.registry)

    def _gauge(self, name: str, about: str) -> Gauge:
        return Gauge(name, about, ACCOUNT, registry=self.registry)

    # -- the port

    def waited(self, loop: Loop, seconds: float) -> None:
        self._waits.labels(loop).observe(seconds)

    def reconciled(self, loop: Loop, outcome: Outcome, seconds: float) -> None:
        self._reconciles.labels(loop, outcome).observe(seconds)

    def orphans(self, account: ObjectKey, count: int) -> None:
        self._orphans.labels(*account).set(count)

    def listed(self, account: ObjectKey, now: float) -> None:
        self._listed.labels(*account).set(now)

    # -- what clouds answer

    def called(self, provider: str, operation: str, outcome: str, seconds: float) -> None:
        self._calls.labels(provider, operation, outcome).observe(seconds)

    # -- what the store holds

    def tell_clouds(self, store: Store) -> None:
        """From now on what an agent knows, in a store that is synced."""
        store.subscribe(self._changed)
        self.registry.register(_Accounts(store))

    def tell_clusters(self, store: Store) -> None:
        """What a gateway knows."""
        self.registry.register(_Clusters(store))

    def _changed(self, plural: str, before: Entry | None, after: Entry | None) -> None:
        if isinstance(before, Instance) and isinstance(after, Instance):
            if after.status.provider_id and not before.status.provider_id:
                self._launches.labels(*after.account).inc()
            if after.status.phase == "Failed" and before.status.phase != "Failed":
                ready = after.condition("Ready")
                self._failures.labels(ready.reason if ready else "").inc()
        elif plural == CloudAccount.plural and after is None and before is not None:
            for metric in (self._launches, self._orphans, self._listed):
                metric.remove(*before.key)


class _Accounts(Collector):
    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[GaugeMetricFamily]:
        resource = (*ACCOUNT, "resource")
        limit = GaugeMetricFamily("cloudherd_account_limit", "What the cloud allows in all.", labels=resource)
        quota = GaugeMetricFamily("cloudherd_account_quota", "What spec.quota allows us.", labels=resource)
        used = GaugeMetricFamily("cloudherd_account_used", "What our VMs take.", labels=resource)
        foreign = GaugeMetricFamily("cloudherd_account_foreign", "What others' VMs take.", labels=resource)
        full = GaugeMetricFamily("cloudherd_account_full_marks", "Refusals that are remembered now.", labels=ACCOUNT)
        for one in self._store.entries(CloudAccount.plural):
            if isinstance(one, CloudAccount):
                status = one.status
                full.add_metric([*one.key], len(status.full))
                for family, held in ((limit, status.limit), (used, status.used), (foreign, status.foreign)):
                    if held is not None:
                        _add(family, one.key, held.instances, held.cpus, held.memory_bytes)
                own = one.spec.quota
                _add(quota, one.key, own.instances, own.cpu_count, own.memory_bytes)
        yield from (limit, quota, used, foreign, full)


def _add(family: GaugeMetricFamily, account: ObjectKey, *amounts: float | None) -> None:
    """One sample for each resource of which something is said."""
    for resource, amount in zip(("instances", "cpus", "memory_bytes"), amounts, strict=True):
        if amount is not None:
            family.add_metric([*account, resource], amount)


class _Clusters(Collector):
    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[GaugeMetricFamily]:
        desired = GaugeMetricFamily("cloudherd_service_desired_instances", "VMs asked for.", labels=SERVICE)
        ready = GaugeMetricFamily("cloudherd_service_ready_instances", "VMs that are ready.", labels=SERVICE)
        burst = GaugeMetricFamily(
            "cloudherd_cluster_burst_sites", "Sites of a cluster beside its first.", labels=("namespace", "cluster")
        )
        for one in self._store.entries(VirtualCluster.plural):
            if isinstance(one, VirtualCluster):
                for count in one.status.services:
                    desired.add_metric([*one.key, count.name], count.desired)
                    ready.add_metric([*one.key, count.name], count.ready)
                sites = sum(1 for site in one.status.sites if site.state != "Closed")
                burst.add_metric([*one.key], max(0, sites - 1))
        yield from (desired, ready, burst)


class ServingError(Exception):
    """The address cannot be had; one sentence."""


async def serve(metrics: PrometheusMetrics, address: str) -> web.AppRunner:
    """On the event loop, which alone may read the store. ServingError."""
    host, _, port = address.rpartition(":")
    app = web.Application()
    app.router.add_get("/metrics", make_aiohttp_handler(metrics.registry))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, int(port)).start()
    except (OSError, OverflowError) as error:
        await runner.cleanup()
        raise ServingError(f"CLOUDHERD_METRICS_ADDRESS: {address} cannot be listened on: {error}") from None
    return runner
