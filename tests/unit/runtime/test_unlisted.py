"""What the API server's lists left out."""

from __future__ import annotations

from typing import Any, cast

import pytest

from cloudherd.api import VirtualCluster
from cloudherd.runtime.kinds import CLOUD_ACCOUNT, GATEWAY_READS, INSTANCE
from cloudherd.runtime.ports import Kind, KubeApi
from cloudherd.runtime.store import Store
from cloudherd.runtime.unlisted import Unlisted


class Live:
    """Instances and accounts that are there; remembers what was asked for."""

    def __init__(self, *names: str) -> None:
        self.names, self.asked = names, list[str]()

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        self.asked.append(name)
        return _named(name) if name in self.names else None


def _named(name: str) -> dict[str, Any]:
    return {"metadata": {"namespace": "physics", "name": name, "uid": name, "resourceVersion": "5"}}


def _cluster(workers: int) -> VirtualCluster:
    count = {"name": "worker", "desired": workers, "current": workers, "ready": workers, "updated": workers}
    home = {"accountRef": {"namespace": "physics", "name": "home"}, "state": "Open"}
    return VirtualCluster.model_validate(
        {
            "metadata": {"namespace": "physics", "name": "batch"},
            "spec": {"services": [], "placement": {"accounts": []}},
            "status": {"observedGeneration": 1, "services": [count], "sites": [home]},
        }
    )


def _restored() -> VirtualCluster:
    """As it is created, whether for the first time or from a backup."""
    common = {"contextRef": {"name": "any"}, "machine": {"flavor": "m1.small", "image": "alma9"}}
    services = [{"name": "master", "type": "Fixed"} | common, {"name": "worker", "type": "Scalable"} | common]
    placement = {"accounts": [{"name": "home"}]}
    return VirtualCluster.model_validate(
        {"metadata": {"namespace": "physics", "name": "batch"}, "spec": {"services": services, "placement": placement}}
    )


def _listed(*workers: str, accounts: tuple[str, ...] = ("home",)) -> Store:
    store = Store(kind.plural for kind in GATEWAY_READS)
    spec = {"clusterName": "batch", "serviceName": "worker"}  # no more is read of one that cannot be read
    store.replace(INSTANCE, [_named(name) | {"spec": spec} for name in workers], "9")
    store.replace(CLOUD_ACCOUNT, [_named(name) for name in accounts], "9")
    return store


@pytest.mark.parametrize(
    ("listed", "accounts", "left_out"),
    [
        (("batch-worker-0", "batch-worker-1"), ("home",), []),
        (("batch-worker-1",), ("home",), ["Instance physics/batch-worker-0"]),
        ((), (), ["CloudAccount physics/home", "Instance physics/batch-worker-0", "Instance physics/batch-worker-1"]),
    ],
)
async def test_what_was_counted_and_is_in_no_list_is_found_by_its_name(
    listed: tuple[str, ...], accounts: tuple[str, ...], left_out: list[str]
) -> None:
    live = Live("home", "batch-worker-0", "batch-worker-1")
    found = await Unlisted(cast(KubeApi, live), _listed(*listed, accounts=accounts)).of(_cluster(2))
    assert found == left_out


async def test_what_is_gone_is_not_left_out() -> None:
    assert await Unlisted(cast(KubeApi, Live("home")), _listed("batch-worker-1")).of(_cluster(2)) == []


async def test_nothing_is_asked_where_all_that_was_counted_is_listed() -> None:
    live = Live("home")
    await Unlisted(cast(KubeApi, live), _listed("batch-worker-3", "batch-worker-7")).of(_cluster(2))
    assert live.asked == []


async def test_of_a_cluster_without_a_status_the_lowest_slot_of_each_service_that_seems_free_is_asked_for() -> None:
    live = Live("batch-worker-1", "batch-worker-2")
    found = await Unlisted(cast(KubeApi, live), _listed("batch-worker-0", "batch-worker-2")).of(_restored())
    assert (live.asked, found) == (["batch-master-0", "batch-worker-1"], ["Instance physics/batch-worker-1"])
