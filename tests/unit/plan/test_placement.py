"""Where VMs that are missing go."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudherd.api import CloudAccount
from cloudherd.plan.placement import evenly
from tests.unit.plan.helpers import condition, plan, view_of
from tests.unit.plan.objects import account, cluster, fixed, instance, scalable


@given(st.lists(st.integers(0, 20), min_size=1, max_size=8), st.integers(0, 50))
def test_evenly_is_one_at_a_time_to_the_emptiest(counts: list[int], more: int) -> None:
    expected = [0] * len(counts)
    for _ in range(more):
        emptiest = min(range(len(counts)), key=lambda site: counts[site] + expected[site])
        expected[emptiest] += 1
    assert evenly(counts, more) == expected


def places(*services: Any, accounts: list[CloudAccount], existing: Any = (), **spec: Any) -> dict[str, int]:
    """How many VMs are meant for each account by a plan, fixed ones included."""
    order = spec.pop("order", [one.name for one in accounts])
    view = view_of(cluster("batch", *services, accounts=order, **spec), *existing, accounts=tuple(accounts))
    return {key.name: len(held) for key, held in plan(view).holds.items()}


def limited(name: str, instances: int | None, **more: Any) -> CloudAccount:
    return account(name, quota={} if instances is None else {"instances": instances}, **more)


def test_a_site_is_filled_before_the_next_one_opens() -> None:
    accounts = [limited("a", 3), limited("b", 4), limited("c", None)]
    assert places(fixed(), scalable(replicas=9), accounts=accounts) == {"a": 3, "b": 4, "c": 5}


def test_a_service_fills_a_site_in_the_manifests_order() -> None:
    found = plan(
        view_of(
            cluster("batch", scalable("x", 2, dependsOn=[]), scalable("y", 3, dependsOn=[]), accounts=["a", "b"]),
            accounts=(limited("a", 4), limited("b", 9)),
        )
    )
    assert [(one.name, one.account.name) for one in found.create] == [
        ("batch-x-0", "a"),
        ("batch-x-1", "a"),
        ("batch-y-0", "a"),
        ("batch-y-1", "a"),
        ("batch-y-2", "b"),
    ]


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ({"cpus": 3}, {"a": 3, "b": 3}),
        ({"memory": "5Gi"}, {"a": 2, "b": 4}),
        ({"cpus": "2500m", "instances": 9}, {"a": 2, "b": 4}),
        ({"instances": 1}, {"b": 5}),  # the master alone would fit, but no worker beside it
        ({"instances": 0}, {"b": 5}),
    ],
)
def test_every_ceiling_counts(quota: Any, expected: dict[str, int]) -> None:
    accounts = [account("a", quota=quota), account("b")]
    assert places(fixed(), scalable(replicas=4), accounts=accounts) == expected


def test_a_large_vm_needs_a_large_room() -> None:
    accounts = [account("a", quota={"cpus": 6}), account("b")]
    assert places(fixed(), scalable(replicas=3, flavor="large"), accounts=accounts) == {"a": 2, "b": 3}


def test_balanced_opens_as_many_sites_as_replicas_allow() -> None:
    accounts = [account(name) for name in "abcd"]
    assert places(fixed(), scalable(replicas=3), accounts=accounts, strategy="Balanced") == {"a": 2, "b": 2, "c": 2}


def test_balanced_opens_as_many_sites_as_min_instances_allows() -> None:
    accounts, burst = [account(name) for name in "abcd"], {"minInstances": 3}
    assert places(fixed(), scalable(replicas=8), accounts=accounts, strategy="Balanced", burst=burst) == {
        "a": 5,
        "b": 5,
    }


def test_balanced_gives_what_one_cannot_take_to_the_others() -> None:
    accounts = [limited("a", 2), account("b"), account("c")]
    assert places(fixed(), scalable(replicas=9), accounts=accounts, strategy="Balanced") == {"a": 2, "b": 5, "c": 5}


def test_a_cluster_without_scalable_vms_has_its_first_site() -> None:
    assert places(fixed(), scalable(replicas=0), accounts=[account("a"), account("b")]) == {"a": 1}


def test_a_cluster_without_fixed_services_needs_no_neighbours() -> None:
    accounts = [limited("a", 2), account("b")]
    assert places(scalable(replicas=3, dependsOn=[]), accounts=accounts) == {"a": 2, "b": 1}


def test_an_account_that_lacks_what_the_master_needs_is_passed_over() -> None:
    poor = account("a", flavors={"small": "a.small"})
    found = plan(
        view_of(
            cluster("batch", fixed(flavor="large"), scalable(replicas=2), accounts=["a", "b"]),
            accounts=(poor, account("b")),
        )
    )
    assert {one.account.name for one in found.create} == {"b"}
    assert condition(found, "Placed").message == (
        "every VM has an account; passed over: physics.a lacks the flavor large (spec.flavors)"
    )


def test_an_open_site_without_scalable_vms_is_no_place_for_few() -> None:
    """Its last worker is gone, and one more is not worth a site."""
    existing = [
        instance("batch-master-0", "a"),
        *(instance(f"batch-worker-{slot}", "a") for slot in range(2)),
        instance("batch-master-1", "b"),
    ]
    accounts = [limited("a", 3), account("b")]
    found = places(fixed(), scalable(replicas=3), accounts=accounts, existing=existing, burst={"minInstances": 2})
    assert found == {}


def test_the_first_site_is_the_first_that_is_complete() -> None:
    """A better account has room again: it gets what is new, and the site that stands keeps its master until then."""
    existing = [instance("batch-master-0", "b")]
    spec = cluster("batch", fixed(), scalable(replicas=1), accounts=["a", "b"], updateStrategy={"type": "OnDelete"})
    found = plan(view_of(spec, *existing, accounts=(account("a"), account("b"))))
    assert [(one.name, one.account.name) for one in found.create] == [("batch-master-1", "a")]
    assert found.delete == ()


def test_sites_that_are_going_still_count_for_max_sites() -> None:
    existing = [
        instance("batch-master-0", "a"),
        instance("batch-worker-0", "a"),
        instance("batch-worker-1", "b", deleting=True),
    ]
    spec = cluster("batch", fixed(), scalable(replicas=2), accounts=["a", "b", "c"], burst={"maxSites": 2})
    accounts = (limited("a", 2), account("b", unschedulable=True), account("c"))
    found = plan(view_of(spec, *existing, accounts=accounts))
    assert not found.create
    assert "physics.c is not opened, since spec.placement.burst.maxSites is 2" in condition(found, "Placed").message
