"""`machine.resources` in place of a flavor: each site takes what fits there, and the cluster says what that is."""

from __future__ import annotations

from tests.e2e.world import Manifest, World, until


def with_resources(world: World, **least: str) -> Manifest:
    batch = world.cluster(workers=5)
    (worker,) = (one for one in batch["spec"]["services"] if one["name"] == "worker")
    worker["machine"].pop("overrides")  # they name a flavor
    worker["machine"].pop("flavor")
    worker["machine"]["resources"] = least
    return batch


def chosen(world: World) -> dict[str, str]:
    """By account, the flavor that its site's status names for the workers."""
    batch = world.one("virtualcluster", "batch") or {}
    sites = batch.get("status", {}).get("sites", [])
    return {site["accountRef"]["name"]: site["flavors"]["worker"] for site in sites if site.get("flavors")}


def test_the_smallest_flavor_that_fits_is_taken_or_the_cheapest_where_prices_are_known(world: World) -> None:
    at_home = {"tiny": "sim.tiny", "middling": "sim.medium", "big": "sim.2xlarge", "small": "sim.small"}
    # a1.large and c5.large are of one size; t3.medium has no price in libcloud's table.
    at_aws = {"small": "t3.small", "dear": "c5.large", "cheap": "a1.large", "unpriced": "t3.medium"}
    world.merge("cloudaccount", "home", {"spec": {"flavors": at_home}})
    world.merge("cloudaccount", "aws", {"spec": {"flavors": at_aws}})
    world.apply(with_resources(world, cpus="1500m", memory="3Gi"))
    world.wait_ready(master=2, worker=5)
    until("the choice in the status", lambda: chosen(world) == {"home": "middling", "aws": "cheap"})
    assert {vm.flavor for vm in world.home.vms() if "-worker-" in vm.name} == {"sim.medium"}
    types = {found["InstanceType"] for found in world.ec2.instances().values()}
    assert types == {"t3.small", "a1.large"}, "the master by its flavor's name, the workers by what they need"


def test_what_no_flavor_has_is_said_of_every_account(world: World) -> None:
    world.apply(with_resources(world, memory="512Gi"))

    def said() -> str:
        return str(world.condition("virtualcluster", "batch", "Placed").get("message", ""))

    until("the reasons", lambda: said().count("has no flavor with memory 512Gi (spec.flavors)") == 2)
    assert "no place for 5 of 5 worker" in said()
    assert {vm.service for vm in world.vms()} <= {"master"}
