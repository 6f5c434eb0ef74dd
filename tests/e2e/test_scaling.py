"""Scaling: whom a count belongs to, and which VMs go first when it shrinks."""

from __future__ import annotations

from tests.e2e.world import World, until


def test_a_count_left_out_of_the_manifest_belongs_to_kubectl_scale(world: World) -> None:
    world.apply(world.cluster(workers=None))
    world.wait_ready(master=1, worker=0)
    world.kubectl("scale", "clusterservice/batch-worker", "--replicas=6")
    world.wait_ready(master=2, worker=6)
    assert world.counts() == {"home master": 1, "home worker": 3, "aws master": 1, "aws worker": 3}

    refused = world.kubectl("scale", "clusterservice/batch-worker", "--replicas=101", check=False)
    assert refused.returncode != 0
    assert "maxReplicas" in refused.stderr

    cheapest = world.vms("home", "worker")[1]
    world.kubectl("annotate", "instance", cheapest.instance, "cloudherd.dev/deletion-cost=-1")
    world.kubectl("scale", "clusterservice/batch-worker", "--replicas=5")
    world.wait_ready(master=2, worker=5)
    assert world.counts() == {"home master": 1, "home worker": 2, "aws master": 1, "aws worker": 3}
    assert cheapest.id not in {vm.id for vm in world.vms()}, "a lower deletion cost goes before the site"

    newest_first = [vm.id for vm in reversed(world.vms("aws"))]
    at_home = {vm.id for vm in world.vms("home")}
    world.kubectl("scale", "clusterservice/batch-worker", "--replicas=2")
    world.wait_ready(master=1, worker=2)
    assert {vm.id for vm in world.vms()} == at_home, "the burst site empties first"
    ended = [deed.id for deed in world.deeds() if not deed.made]
    assert ended[0] == cheapest.id
    assert ended[-1] == newest_first[-1], "its master last"
    assert sorted(ended[1:]) == sorted(newest_first)


def test_the_newest_go_first_where_nothing_else_tells_them_apart(world: World) -> None:
    world.apply(world.cluster(workers=1))
    world.wait_ready(master=1, worker=1)
    (oldest,) = world.vms("home", "worker")
    world.apply(world.cluster(workers=3))
    world.wait_ready(master=1, worker=3)
    world.apply(world.cluster(workers=1))
    world.wait_ready(master=1, worker=1)
    assert world.vms("home", "worker") == [oldest]


def test_where_the_manifest_holds_the_count_a_scale_is_put_back_and_a_condition_says_so(world: World) -> None:
    world.apply(world.cluster(workers=2))
    world.wait_ready(master=1, worker=2)
    before = world.ever()

    def held() -> str:
        condition = world.condition("clusterservice", "batch-worker", "HeldByManifest")
        return str(condition.get("message", "")) if condition.get("reason") == "ScalePutBack" else ""

    def count() -> int:
        service = world.one("clusterservice", "batch-worker")
        return int(service["spec"]["replicas"]) if service else -1

    for wish in (6, 7):
        world.kubectl("scale", "clusterservice/batch-worker", f"--replicas={wish}")
        until("the count's return", lambda: count() == 2)
        until("the condition", held)
    assert "replicas: 2" in held()
    assert "change it there" in held()
    assert world.ever() == before, "put back before anything follows from it"
    assert len(world.get("instances")) == 3
    put_back = [one for one in world.events() if one["regarding"]["kind"] == "ClusterService"]
    assert len(put_back) <= 1, "repeated ones are no new Events"
    world.wait_ready(master=1, worker=2)
