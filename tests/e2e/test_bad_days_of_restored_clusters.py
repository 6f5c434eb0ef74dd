"""The Kubernetes cluster itself is restored, or is another one: the VMs are found again, and none is made or ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest

from devenv.stage import Stage
from tests.e2e.bad_days import (
    account_ready,
    changes,
    cluster,
    context,
    day,
    ec2,
    identities,
    ids,
    listed_again,
    made,
    one_vm_each,
    says,
    service,
    simulated,
)
from tests.e2e.world import Manifest, World, until

ORPHAN_AGE = "2"
INSTALLATION = ("-n", "cloudherd-system", "configmap", "cloudherd-installation")


@pytest.fixture
def world(stage: Stage) -> Iterator[World]:
    with day(stage, orphan_age_seconds=ORPHAN_AGE) as world:
        yield world


def test_without_the_installations_id_or_with_another_clusters_nothing_is_done_at_a_cloud(world: World) -> None:
    world.apply(simulated(), cluster(2))
    world.wait_ready(worker=2)
    done = changes(world.home)
    installation = json.loads(world.kubectl("get", *INSTALLATION, "-o", "json").stdout)
    kept = {**installation, "metadata": {"name": installation["metadata"]["name"]}}
    world.stage.stop_operators()
    world.kubectl("delete", *INSTALLATION)
    world.home.vanish(min(ids(world.home)))
    world.stage.run_operators(orphan_age_seconds=ORPHAN_AGE)
    says(world, "cloudaccount", "home", "Ready", "False", "InstallationMissing", "restore it")
    assert changes(world.home) == done
    moved = {**kept, "data": {**installation["data"], "kubeSystemUID": str(uuid4())}}
    world.kubectl("apply", "-n", "cloudherd-system", "-f", "-", stdin=json.dumps(moved))
    here = says(world, "cloudaccount", "home", "Ready", "False", "InstallationMoved", "cloudherd.dev/take-over")
    assert changes(world.home) == done
    world.kubectl("annotate", *INSTALLATION, "cloudherd.dev/take-over=" + here["message"].split()[-1])
    until("the replacement", lambda: made(world.home) == 3)
    world.wait_ready(worker=2)
    one_vm_each(world)


def saved(world: World) -> list[Manifest]:
    """Every object of the namespace as a backup holds it: without status and without what the server gives."""
    found = world.get("secrets,contexts,cloudaccounts,virtualclusters,clusterservices,instances")
    for one in found:
        one.pop("status", None)
        for name in ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink"):
            one["metadata"].pop(name, None)
    return found


def test_objects_restored_without_their_status_find_their_vms_again(stage: Stage, world: World) -> None:
    world.apply(
        *ec2(world),
        simulated(quota={"instances": 3}),
        context("told", "#cloud-config\n# {{ services.master.address }}\n"),
    )
    account_ready(world, "home")
    account_ready(world, "aws")
    master = service("master", type_="Fixed")
    worker = service(replicas=4, dependsOn=["master"], contextRef={"name": "told"})
    world.apply(cluster(master, worker, at=("home", "aws")))
    world.wait_ready(master=2, worker=4)
    before = identities(world)
    uids = {one["metadata"]["uid"] for one in world.get("instances")}
    backup = saved(world)
    stage.stop_operators()
    kinds = "virtualclusters,clusterservices,instances,cloudaccounts,contexts,secrets"
    world.delete(kinds, "--all")
    for one in world.get(kinds):
        world.merge(one["kind"], one["metadata"]["name"], {"metadata": {"finalizers": None}})
    until("an empty namespace", lambda: not world.get(kinds))
    done, calls = changes(world.home), len(_writes(world))
    world.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": backup}))
    stage.run_operators(orphan_age_seconds=ORPHAN_AGE)
    world.wait_ready(master=2, worker=4)
    assert not uids & {one["metadata"]["uid"] for one in world.get("instances")}
    assert identities(world) == before
    listed_again(world.home)
    assert changes(world.home) == done
    assert len(_writes(world)) == calls
    assert identities(world) == before


def _writes(world: World) -> list[str]:
    return [call.action for call in world.front.calls() if call.action in ("RunInstances", "TerminateInstances")]
