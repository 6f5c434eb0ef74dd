"""One plan of one cluster: what goes before everything else, and what a plan never does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cloudherd.api import ObjectKey
from cloudherd.plan.capacity import Ledger
from cloudherd.plan.cluster import plan_cluster
from cloudherd.plan.failures import edition
from cloudherd.plan.model import ClusterView, Failure, Memory, Note, Plan, Stranger
from tests.unit.plan.helpers import condition, plan, service, view_of, with_status
from tests.unit.plan.objects import EPOCH, account, at, cluster, fixed, instance, key, scalable, true

HOME = account("home")


def view(*instances: Any, workers: int = 2, **more: Any) -> ClusterView:
    spec = more.pop("spec", {})
    batch = cluster("batch", fixed(), scalable(replicas=workers), accounts=["home"], **spec)
    return view_of(batch, *instances, accounts=more.pop("accounts", (HOME,)), **more)


def deleted(found: ClusterView, *finalizers: str) -> ClusterView:
    changes = {"deletion_timestamp": at(), "finalizers": finalizers}
    meta = found.cluster.metadata.model_copy(update=changes)
    return replace(found, cluster=found.cluster.model_copy(update={"metadata": meta}))


def writes(found: Plan) -> list[str]:
    """What of a plan is carried out, by field; statuses apart."""
    fields = ["add_finalizer", "create_services", "update_services", "user_data", "create", "delete"]
    fields += ["drop_user_data", "drop_services", "remove_finalizer"]
    return [name for name in fields if getattr(found, name)]


def test_the_finalizer_stands_before_anything_is_made() -> None:
    bare = cluster("batch", fixed(), accounts=["home"])
    found = replace(view(), cluster=bare)
    assert plan_cluster(found, Ledger(), Memory(), EPOCH, 0.0) == Plan(add_finalizer=True)


def test_first_the_cluster_services_and_the_master() -> None:
    found = plan(view())
    assert writes(found) == ["create_services", "user_data", "create"]
    assert [one.name for one in found.create_services] == ["batch-master", "batch-worker"]
    assert [one.name for one in found.create] == ["batch-master-0"]
    assert len(found.holds[key("home")]) == 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"conflict": "the name batch-master is taken by VirtualCluster batch-m, which is older"}, "NameTaken"),
        ({"cluster": "circle"}, "DependencyCircle"),
    ],
)
def test_what_cannot_be_planned_is_left_alone_and_says_why(change: dict[str, Any], reason: str) -> None:
    found = view(instance("batch-worker-0", phase="Failed"))
    if change == {"cluster": "circle"}:
        services = [fixed("a", dependsOn=["b"]), fixed("b", dependsOn=["c"]), fixed("c", dependsOn=["a"])]
        change = {"cluster": view_of(cluster("batch", *services, accounts=["home"])).cluster}
    result = plan(replace(found, **change))
    assert not writes(result)
    assert not result.holds
    assert condition(result, "Ready").reason == reason
    assert condition(result, "Ready").observed_generation == 1


@pytest.mark.parametrize("idle", [{"spec": {"paused": True}}, {"namespace_ends": True}], ids=["paused", "ending"])
def test_in_a_paused_cluster_or_an_ending_namespace_only_the_status_is_written(idle: Any) -> None:
    failed, extra = instance("batch-worker-0", phase="Failed"), service("batch-extra", 3)
    found = plan(view(failed, services=(service("batch-worker", 9), extra), user_data=frozenset({"old"}), **idle))
    assert not writes(found)
    assert not found.holds
    assert not found.waits_for
    assert found.status


def test_an_instance_of_a_taken_name_is_not_made_but_the_next() -> None:
    found = plan(view(taken=frozenset({"batch-master-0", "batch-master-1"})))
    assert [one.name for one in found.create] == ["batch-master-2"]


def test_an_unreadable_master_is_the_master_of_its_site() -> None:
    stranger = Stranger("batch-master-7", "master", key("home"))
    assert not plan(view(strangers=(stranger,))).create


def test_one_whose_account_cannot_be_read_may_be_anywhere() -> None:
    found = view(strangers=(Stranger("batch-master-7", "master", None),), accounts=(HOME, account("aws")))
    assert not plan(found).create


def test_a_failed_vm_goes_with_the_clouds_own_words() -> None:
    failed = instance("batch-worker-0", phase="Failed")
    told = true("Ready", "VMError", "no volumes left in the pool", "False")
    failed = failed.model_copy(update={"status": failed.status.model_copy(update={"conditions": [told]})})
    found = plan(view(failed))
    assert [(one.reason, one.message) for one in found.delete] == [("VMError", "no volumes left in the pool")]
    assert [(one.type, one.reason, one.message) for one in found.notes if one.reason == "VMError"] == [
        ("Warning", "VMError", "deleting batch-worker-0: no volumes left in the pool")
    ]


def test_a_scale_down_takes_nothing_that_has_changed_since() -> None:
    workers = [instance(f"batch-worker-{slot}") for slot in range(3)]
    found = plan(view(*workers, workers=1, spec={"updateStrategy": {"type": "OnDelete"}}))
    assert [(one.instance.name, one.guarded) for one in found.delete] == [
        ("batch-worker-2", True),
        ("batch-worker-1", True),
    ]


def test_a_vm_that_is_late_gives_its_place_to_its_replacement() -> None:
    """The account is full with it, and no other site is opened."""
    accounts = (account("home", quota={"instances": 2}), account("aws"))
    late = instance("batch-worker-0", phase="Launching")
    memory = Memory(waiting_since={late.uid: 0.0}, fresh=False)
    order = {"updateStrategy": {"type": "OnDelete"}}
    batch = cluster("batch", fixed(), scalable(replicas=1), accounts=["home", "aws"], **order)
    found = plan(view_of(batch, instance("batch-master-0"), late, accounts=accounts), memory, monotonic=600.0)
    assert [(one.instance.name, one.reason) for one in found.delete] == [("batch-worker-0", "ReadinessTimeout")]
    assert set(found.holds) == {key("home")}


def test_events_tell_of_a_new_site_and_of_many_in_one() -> None:
    assert plan(view()).notes == (Note("Normal", "SiteOpened", "the cluster opens a site at physics.home"),)
    workers = [instance(f"batch-worker-{slot}") for slot in range(6)]
    found = plan(view(*workers, workers=1, spec={"updateStrategy": {"type": "OnDelete"}}))
    assert "deleting batch-worker-5, batch-worker-4, batch-worker-3 and 2 more: worker is asked for 1" in [
        one.message for one in found.notes
    ]


def test_an_update_is_one_event_however_many_steps_it_takes() -> None:
    workers = [instance(f"batch-worker-{slot}", revision="old") for slot in range(2)]
    messages = {one.message for one in plan(view(*workers)).notes} | {
        one.message for one in plan(view(workers[0])).notes
    }
    assert {text for text in messages if "revision" in text} <= {"replacing VMs: worker has a new revision"}


def test_what_turns_for_better_or_worse_is_an_event_once() -> None:
    without_workers = view(instance("batch-master-0"), workers=0, spec={"updateStrategy": {"type": "OnDelete"}})
    first = plan(without_workers)
    assert first.notes == (Note("Normal", "AllReady", "the one VM is ready"),)
    assert first.status
    again = replace(without_workers, cluster=with_status(without_workers.cluster, **first.status.wire()))
    assert plan(again).notes == ()
    full = plan(replace(view(workers=2), accounts={HOME.key: account("home", quota={"instances": 2})}))
    assert [(one.type, one.reason) for one in full.notes if one.type == "Warning"] == [("Warning", "NoPlace")]


def test_an_account_that_is_passed_over_is_an_event_once() -> None:
    memory = Memory(
        failures={("master", HOME.key): Failure(3, 60.0, "it broke", edition(view(), ("master", HOME.key)))},
        fresh=False,
    )
    found = plan(view(), memory)
    text = "physics.home is passed over for now: master failed 3 times in a row there (it broke)"
    assert Note("Warning", "SitePassedOver", text) in found.notes
    assert found.status
    again = plan(replace(view(), cluster=with_status(view().cluster, **found.status.wire())), memory)
    assert again.notes == ()


def test_a_scale_that_is_put_back_is_an_event_without_its_count() -> None:
    known = view(services=(service("batch-worker", 9),))
    found = plan(replace(known, cluster=with_status(known.cluster, observedGeneration=1)))
    text = "a scale of worker was put back, since the manifest holds replicas: 2"
    assert Note("Warning", "ScalePutBack", text) in found.notes


def test_until_all_is_rendered_the_status_stays() -> None:
    found = plan_cluster(view(), Ledger(), Memory(), EPOCH, 0.0)
    assert found.renders
    assert (found.status, found.service_status) == (None, {})


# -- its end


def test_without_our_finalizer_there_is_nothing_to_end() -> None:
    assert plan(deleted(view(instance("batch-worker-0")), "somebody.else/holds")) == Plan()


def test_scalable_vms_go_first_then_fixed_ones_and_the_rest_with_the_last() -> None:
    both = [instance("batch-master-0"), instance("batch-worker-0"), instance("batch-worker-1", deleting=True)]
    services = (service("batch-worker", 2),)
    ending = deleted(view(*both, services=services, user_data=frozenset({"data"})), "cloudherd.dev/cluster")
    assert [one.instance.name for one in plan(ending).delete] == ["batch-worker-0"]
    masters = replace(ending, instances=(both[0],))
    assert [one.instance.name for one in plan(masters).delete] == ["batch-master-0"]
    assert writes(plan(replace(ending, instances=()))) == ["drop_user_data", "drop_services", "remove_finalizer"]


def test_in_an_ending_namespace_all_go_at_once() -> None:
    both = [instance("batch-master-0"), instance("batch-worker-0")]
    ending = deleted(view(*both, namespace_ends=True), "cloudherd.dev/cluster")
    assert len(plan(ending).delete) == 2


def test_what_nobody_can_read_holds_the_cluster_and_is_named() -> None:
    stranger = Stranger("batch-worker-7", "worker", key("home"))
    found = plan(deleted(view(strangers=(stranger,)), "cloudherd.dev/cluster"))
    assert not writes(found)
    assert condition(found, "Ready").message == (
        "being deleted; left are 1 unreadable, made by a newer version perhaps (batch-worker-7)"
    )


def test_what_an_end_waits_for_is_said() -> None:
    slow = instance("batch-worker-0", deleting=True)
    told = true("Ready", "AccountUnreachable", "the keys are refused", "Unknown")
    slow = slow.model_copy(update={"status": slow.status.model_copy(update={"conditions": [told]})})
    found = plan(deleted(view(slow), "cloudherd.dev/cluster"))
    assert condition(found, "Progressing").message == (
        "being deleted; left are 1 worker; batch-worker-0: the keys are refused"
    )
    assert found.status
    assert [(one.name, one.desired, one.current) for one in found.status.services] == [("worker", 0, 1)]


def test_a_second_plan_of_the_same_says_the_same() -> None:
    found = view()
    first = plan(found)
    assert first.status
    again = plan(replace(found, cluster=with_status(found.cluster, **first.status.wire())))
    assert again.status == first.status
    assert again.create == first.create
    assert ObjectKey("physics", "home") in again.candidates
