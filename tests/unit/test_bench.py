"""The arithmetic of the benchmark: counts out of the server's books, percentiles, and what is asked for."""

from __future__ import annotations

from collections import Counter

from bench import manifests
from bench.counts import Counts, served
from bench.react import percentiles

METRICS = """
apiserver_request_total{code="200",group="cloudherd.dev",resource="instances",verb="LIST"} 2
apiserver_request_total{code="200",group="cloudherd.dev",resource="instances",verb="PATCH"} 7
apiserver_request_total{code="200",group="",resource="secrets",verb="GET"} 3
apiserver_request_total{code="200",group="",resource="services",verb="LIST"} 5
apiserver_response_sizes_sum{group="cloudherd.dev",resource="instances",verb="LIST"} 1.5e+03
apiserver_response_sizes_sum{group="cloudherd.dev",resource="instances",verb="PATCH"} 99
apiserver_watch_events_sizes_sum{group="cloudherd.dev",resource="instances",version="v1alpha1"} 500
"""


def test_reads_and_their_bytes_are_told_from_writes_and_from_others_reads() -> None:
    reads, sent = served(METRICS)
    assert reads == {"LIST instances": 2, "GET secrets": 3}
    assert sent == 2000


def test_writes_are_counted_on_instances_on_other_kinds_and_apart() -> None:
    writes = Counter({"create instances": 2, "patch instances/status": 4, "create secrets": 1, "create events": 9})
    counts = Counts(writes=writes, calls=Counter({"create_vm": 2, "list_vms": 8}))
    assert (counts.on_instances, counts.on_others, counts.but_listings) == (6, 1, 2)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentiles([0.3, 0.1, 0.2]) == {"p50": 0.2, "p95": 0.3, "p99": 0.3}


def test_a_third_of_the_small_clusters_bursts_and_the_big_one_fills_all_accounts() -> None:
    many = [one["spec"]["placement"]["accounts"] for one in manifests.many(300)]
    assert len(many) == 30
    assert sum("maxInstances" in first for first, _ in many) == 10
    (one,) = manifests.one(300)
    accounts = one["spec"]["placement"]["accounts"]
    masters, (worker,) = len(accounts), one["spec"]["services"][1:]
    assert masters + worker["minReplicas"] == sum(each["maxInstances"] for each in accounts) == 300
