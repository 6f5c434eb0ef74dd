"""The example's cluster over OpenNebula, full by its quota, and CloudStack: both are protocol servers of our tests."""

from __future__ import annotations

import pytest

from devenv.stage import Stage
from tests.e2e.other_clouds import Scene, other_clouds
from tests.e2e.world import Manifest, until
from tests.fakes.opennebula import OpenNebula

BY_PROVIDER = {"provider": "opennebula", "flavor": "large"}
BY_ACCOUNT = {"account": "aws", "options": {"keyName": "burst"}}


def cluster(scene: Scene, workers: int) -> Manifest:
    """The example's, whose workers are something else at each cloud than the common template says."""
    batch = scene.world.cluster(workers)
    batch["spec"]["services"][1]["machine"]["overrides"] += [BY_PROVIDER, BY_ACCOUNT]
    return batch


def test_it_fills_the_one_bursts_to_the_other_and_ends_without_a_trace(stage: Stage) -> None:
    with other_clouds(stage) as scene:
        world = scene.world
        world.apply(cluster(scene, workers=10))
        world.wait_ready(master=2, worker=10)
        assert scene.counts() == {"home master": 1, "home worker": 3, "aws master": 1, "aws worker": 7}
        assert {(vm.account, vm.service, vm.cpus, vm.key) for vm in scene.vms()} == {
            ("home", "master", 1, ""),
            ("home", "worker", 2, ""),
            ("aws", "master", 1, ""),
            ("aws", "worker", 1, "burst"),
        }, "the common template, and each cloud's own section"
        masters = {vm.account: {vm.address} for vm in scene.vms() if vm.service == "master"}
        for vm in scene.vms():
            assert vm.masters == (masters[vm.account] if vm.service == "worker" else set()), "that of its own site"
        assert scene.one.calls["template.instantiate"] == 4, "its limit was read before it was met"
        assert scene.stack.calls["deployVirtualMachine"] == 8

        world.apply(cluster(scene, workers=3))
        world.wait_ready(master=1, worker=3)
        until("the burst site is empty", lambda: scene.counts() == {"home master": 1, "home worker": 3})

        world.delete("virtualcluster", "batch")
        world.wait_gone("virtualcluster", "batch")
        assert scene.counts() == {}


@pytest.mark.parametrize(("version", "ahead"), [((7, 5), 0), ((5, 8), 3600)])
def test_a_vm_that_finds_no_host_is_made_where_there_is_one(stage: Stage, version: tuple[int, int], ahead: int) -> None:
    """OpenNebula takes every launch, and lets a VM wait for a host for ever; before 6.4 no listing says so. It is asked
    for by its ID then, and no later where the cloud's clock is wrong by an hour.
    """
    with other_clouds(stage, OpenNebula(version, ahead)) as scene:
        scene.one.users[0].quota.clear()
        scene.one.host_cpus = 2
        scene.world.apply(scene.world.cluster(workers=3))
        scene.world.wait_ready(master=2, worker=3)
        until("those that wait are gone", lambda: len(scene.one.living()) == 2)
        assert scene.counts() == {"home master": 1, "home worker": 1, "aws master": 1, "aws worker": 2}


def test_a_launch_that_fails_for_want_of_a_host_after_it_was_taken_for_good_bursts_too(stage: Stage) -> None:
    """CloudStack is the first choice here, and nobody waits for its jobs."""
    with other_clouds(stage, stack_first=True) as scene:
        scene.stack.host_cpus = 2
        scene.world.apply(scene.world.cluster(workers=3))
        scene.world.wait_ready(master=2, worker=3)
        until("those that failed are gone", lambda: len(scene.stack.living()) == 2)
        assert scene.counts() == {"home master": 1, "home worker": 1, "aws master": 1, "aws worker": 2}
        (home,) = (one for one in scene.world.get("cloudaccounts") if one["metadata"]["name"] == "home")
        (full,) = home["status"]["full"]
        assert "Unable to create a deployment for VM" in full["message"]
