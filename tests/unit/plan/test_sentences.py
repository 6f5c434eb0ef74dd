"""Why are three of ten missing? In plain words, in the conditions that `kubectl get` shows."""

from __future__ import annotations

from typing import Any

import pytest

from cloudherd.api import CloudAccount, Instance
from cloudherd.api.conditions import find
from cloudherd.plan.failures import edition
from cloudherd.plan.model import Failure, Memory
from tests.unit.plan.helpers import condition, plan, view_of, with_status
from tests.unit.plan.objects import account, cluster, fixed, instance, key, scalable, true

KEEP = {"type": "OnDelete"}


def said(
    type_: str,
    *instances: Instance,
    accounts: list[CloudAccount] | None = None,
    workers: int = 10,
    memory: Memory | None = None,
    **spec: Any,
) -> str:
    where = accounts if accounts is not None else [account("home")]
    order = spec.pop("order", [one.name for one in where] or ["home"])
    batch = cluster("batch", fixed(), scalable(replicas=workers), accounts=order, updateStrategy=KEEP, **spec)
    found = condition(plan(view_of(batch, *instances, accounts=tuple(where)), memory), type_)
    return f"{found.status} {found.reason}: {found.message}"


def vms(ready: int, *others: Instance, account: str = "home") -> list[Instance]:
    workers = [instance(f"batch-worker-{slot}", account) for slot in range(ready)]
    return [instance("batch-master-0", account), *workers, *others]


def test_they_have_no_place() -> None:
    accounts = [
        account("home", quota={"instances": 8}),
        account("aws", unschedulable=True),
        account("gone", flavors={}),
        account("full", full=True),
    ]
    order = ["home", "aws", "gone", "full", "nowhere"]
    assert said("Ready", *vms(7), accounts=accounts, order=order) == (
        "False NotAllReady: worker: 7 of 10 ready (3 without a place); no place: "
        "physics.home is full (spec.quota.instances is 8); physics.aws is cordoned (spec.unschedulable); "
        "physics.gone lacks the flavor small (spec.flavors); physics.full is full (CloudFull); "
        "physics.nowhere does not exist"
    )
    assert said("Placed", *vms(7), accounts=accounts, order=order).startswith(
        "False NoPlace: no place for 3 of 10 worker: physics.home is full (spec.quota.instances is 8); "
    )


def test_they_start() -> None:
    starting = [instance(f"batch-worker-{slot}", phase="Launching") for slot in (7, 8)]
    pending = instance("batch-worker-9", phase="Pending")
    assert said("Ready", *vms(7, *starting, pending)) == (
        "False NotAllReady: worker: 7 of 10 ready (2 launching at physics.home, 1 pending at physics.home)"
    )
    assert said("Placed", *vms(7, *starting, pending)) == "True AllPlaced: every VM has an account"


def test_they_wait_for_something_that_the_agent_names() -> None:
    waiting = [
        instance(f"batch-worker-{slot}", phase="Pending", ready="False", reason="PredecessorRuns") for slot in (7, 8)
    ]
    assert "2 pending at physics.home (PredecessorRuns)" in said("Ready", *vms(7, *waiting))


def test_nobody_knows() -> None:
    dark = [instance(f"batch-worker-{slot}", ready="Unknown", reason="AccountUnreachable") for slot in (7, 8, 9)]
    assert said("Ready", *vms(7, *dark)) == (
        "False NotAllReady: worker: 7 of 10 ready (3 unknown at physics.home (AccountUnreachable))"
    )


def test_their_master_is_not_there() -> None:
    home = account("home", quota={"instances": 8})
    assert said("Ready", *vms(7), accounts=[home, account("aws")]).startswith(
        "False NotAllReady: master: 1 of 2 ready (1 about to be made at physics.aws); "
        "worker: 7 of 10 ready (3 waiting for master at physics.aws (0 of 1 exist))"
    )


def test_others_must_go_first() -> None:
    leaving = [instance(f"batch-worker-{slot}", deleting=True) for slot in (7, 8, 9)]
    assert said("Ready", *vms(7, *leaving)) == (
        "False NotAllReady: worker: 7 of 10 ready (3 waiting at physics.home for others to go); 3 on the way out"
    )


def test_they_failed() -> None:
    failed = [instance(f"batch-worker-{slot}", phase="Failed") for slot in (7, 8, 9)]
    assert said("Ready", *vms(7, *failed)) == (
        "False NotAllReady: worker: 7 of 10 ready (3 about to be made at physics.home); 3 failed"
    )


def test_launches_there_wait() -> None:
    proven = frozenset(one.uid for one in vms(7))
    at = ("worker", key("home"))
    batch = cluster("batch", fixed(), scalable(replicas=10), accounts=["home"])
    failure = Failure(3, 100.0, "it broke", edition(view_of(batch, accounts=(account("home"),)), at))
    memory = Memory(failures={at: failure}, proven=proven, fresh=False)
    assert said("Placed", *vms(7), memory=memory) == (
        "False NoPlace: no place for 3 of 10 worker: "
        "physics.home is not tried for worker for now, since launches failed there (it broke)"
    )


@pytest.mark.parametrize(
    ("burst", "why"),
    [
        ({"enabled": False}, "physics.aws is not opened, since spec.placement.burst.enabled is false"),
        ({"maxSites": 1}, "physics.aws is not opened, since spec.placement.burst.maxSites is 1"),
        ({"minInstances": 4}, "physics.aws is not opened for fewer than 4 VMs (spec.placement.burst.minInstances)"),
    ],
)
def test_no_further_site_may_open(burst: Any, why: str) -> None:
    accounts = [account("home", quota={"instances": 8}), account("aws")]
    assert why in said("Ready", *vms(7), accounts=accounts, burst=burst)


def test_the_cluster_has_its_share_of_the_account() -> None:
    order = [{"name": "home", "maxInstances": 8}]
    assert "physics.home has as many VMs of this cluster as maxInstances admits" in said("Ready", *vms(7), order=order)


def test_no_account_matches() -> None:
    found = said("Ready", accounts=[], order=[{"selector": {"matchLabels": {"region": "mars"}}}])
    assert found.endswith("no place: spec.placement.accounts matches no CloudAccount")


def test_it_is_paused() -> None:
    assert said("Ready", *vms(7), paused=True) == (
        "False Paused: worker: 7 of 10 ready (3 not made while spec.paused is true)"
    )
    assert said("Progressing", *vms(7), paused=True) == "False Paused: spec.paused is true: nothing is changed"


def test_there_are_too_many() -> None:
    assert said("Ready", *vms(7), workers=5) == "False NotAllReady: worker: 7 of 5 ready (2 no longer needed)"


def test_all_is_well() -> None:
    assert said("Ready", *vms(10)) == "True AllReady: all 11 VMs are ready"
    assert (
        said("Progressing", *vms(10)) == "False Idle: 11 are outdated until they are deleted (updateStrategy OnDelete)"
    )


def test_a_mass_loss_is_told_on_the_cluster_too_and_taken_back() -> None:
    home = account("home")
    loss = true("MassLoss", "MassLoss", "7 of 8 VMs look lost at once")
    frozen = home.model_copy(update={"status": home.status.model_copy(update={"conditions": [loss]})})
    lost = instance("batch-worker-7", ready="Unknown", reason="MassLoss")
    assert said("MassLoss", *vms(7, lost), accounts=[frozen]) == (
        "True MassLoss: physics.home: 7 of 8 VMs look lost at once"
    )
    spared = plan(view_of(cluster("batch", fixed(), accounts=["home"]), *vms(0), accounts=(frozen,)))
    assert spared.status is not None
    assert find(spared.status.conditions, "MassLoss") is None
    batch = with_status(cluster("batch", fixed(), accounts=["home"]), conditions=[loss])
    assert condition(plan(view_of(batch, *vms(0), accounts=(home,))), "MassLoss").status == "False"
