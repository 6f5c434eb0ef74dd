"""Everything deleted at once: keys outlive the VMs that they are needed for, and nothing stays behind."""

from __future__ import annotations

from tests.e2e.world import World, until


def test_a_namespace_ends_with_everything_in_it(world: World) -> None:
    world.apply(world.cluster())
    world.wait_ready(master=2, worker=10)
    world.delete("namespace", world.namespace)
    until("the namespace's end", world.is_gone)
    assert world.vms() == []


def test_all_manifests_deleted_at_once_end_with_everything(world: World) -> None:
    world.apply(world.cluster())
    world.wait_ready(master=2, worker=10)
    world.delete("secret", "--all")
    world.delete("cloudaccounts,contexts,virtualclusters", "--all")
    world.wait_none("virtualclusters,instances,clusterservices,cloudaccounts,secrets")
    assert world.vms() == []


def test_an_account_with_instances_waits_and_says_for_what(world: World) -> None:
    world.apply(world.cluster(workers=2))
    world.wait_ready(master=1, worker=2)
    world.delete("cloudaccount", "home")

    def waits_for() -> str:
        conditions = (world.one("cloudaccount", "home") or {})["status"]["conditions"]
        return next((one["message"] for one in conditions if "batch-master-0" in one["message"]), "")

    assert "3 Instances" in until("what it waits for", waits_for)
    assert world.counts() == {"home master": 1, "home worker": 2}, "what runs goes on"
    world.delete("virtualcluster", "batch")
    world.wait_gone("cloudaccount", "home")
    assert world.vms() == []
