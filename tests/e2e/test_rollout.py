"""Changes of what VMs are made of: rolled within the update strategy's bounds, and not at all while paused."""

from __future__ import annotations

from tests.e2e.world import Manifest, World, until

WORKERS, AWAY, BOOT = 8, 2, 1.0


def counts(world: World, service: str) -> Manifest:
    batch = world.one("virtualcluster", "batch")
    assert batch
    found: Manifest = next(one for one in batch["status"]["services"] if one["name"] == service)
    return found


def workers_up(world: World, since: float) -> list[int]:
    """How many workers at home had booted and not been told to end: before `since`, and after each change from then."""
    is_worker = {vm.id: vm.service == "worker" for vm in world.ever()}
    changes = sorted(
        (deed.at + BOOT if deed.made else deed.at, 1 if deed.made else -1)
        for deed in world.deeds()
        if deed.cloud == "home" and is_worker[deed.id]
    )
    before = sum(change for at, change in changes if at < since)
    found = [before]
    for at, change in changes:
        if at >= since:
            found.append(found[-1] + change)
    return found


def test_changes_are_rolled_and_wait_while_paused(world: World) -> None:
    home = world.example("CloudAccount", "home")
    home["spec"]["simulated"] = {"capacity": WORKERS + 1, "bootSeconds": BOOT}
    home["spec"]["flavors"] = {"small": "sim.small", "large": "sim.large"}
    batch = world.cluster(WORKERS)
    world.apply(home, batch)
    world.wait_ready(master=1, worker=WORKERS)
    (master,) = world.vms("home", "master")
    first = {vm.id for vm in world.vms("home", "worker")}
    begun = max(deed.at for deed in world.deeds()) + BOOT

    # The context: every worker is replaced, at most a quarter of them at a time.
    context = world.example("Context", "condor-worker")
    context["spec"]["parts"][0]["template"] += "      SLOTS = 4\n"
    world.apply(context)
    until("fewer updated ones", lambda: counts(world, "worker")["updated"] < WORKERS)
    until("all updated", lambda: counts(world, "worker")["updated"] == WORKERS)
    world.wait_ready(master=1, worker=WORKERS)
    second = {vm.id for vm in world.vms("home", "worker")}
    assert not first & second
    assert all("SLOTS = 4" in world.user_data(vm) for vm in world.vms("home", "worker"))
    assert world.vms("home", "master") == [master], "the master's context is another one"
    up = workers_up(world, begun)
    assert min(up) >= WORKERS - AWAY, up
    assert max(up) <= WORKERS, up
    assert world.counts() == {"home master": 1, "home worker": WORKERS}

    # Another flavor, while paused: nothing is changed, until it is not.
    batch["spec"]["paused"] = True
    batch["spec"]["services"][1]["machine"]["flavor"] = "large"
    begun = max(deed.at for deed in world.deeds()) + BOOT
    done = world.deeds()
    world.apply(batch)

    def says_paused() -> bool:
        found = world.condition("virtualcluster", "batch", "Progressing")
        return bool(found.get("current") and found["reason"] == "Paused")

    until("that it says so", says_paused)
    until("that it knows them", lambda: counts(world, "worker")["updated"] == 0)
    assert world.deeds() == done
    batch["spec"]["paused"] = False
    world.apply(batch)
    until("all updated", lambda: counts(world, "worker")["updated"] == WORKERS)
    world.wait_ready(master=1, worker=WORKERS)
    assert not second & {vm.id for vm in world.vms()}
    flavors = {vm.id: vm.flavor for vm in world.home.vms()}
    assert {flavors[vm.id] for vm in world.vms("home", "worker")} == {"sim.large"}
    assert flavors[master.id] == "sim.small"
    assert min(workers_up(world, begun)) >= WORKERS - AWAY
    assert world.most() <= WORKERS + 1
