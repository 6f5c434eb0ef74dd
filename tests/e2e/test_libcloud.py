"""The example's cluster over two DigitalOcean accounts, by libcloud's driver: the service is one of our tests'."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from devenv.stage import Stage
from tests.e2e.world import Manifest, World, world_on
from tests.fakes.digitalocean import DigitalOcean, Droplet


@dataclass
class Scene:
    """The account `home` is alice's, which may have three droplets, the account `aws` is bob's."""

    world: World
    ocean: DigitalOcean

    def living(self, home: bool) -> list[Droplet]:
        alice = self.ocean.teams["alices-token"]
        with self.ocean.lock:
            return [one for one in self.ocean.droplets if (one.owner is alice) is home and one.name != "theirs"]

    def counts(self) -> Counter[str]:
        return Counter(
            f"{cloud} {one.name.split('-')[1]}" for cloud in ("home", "aws") for one in self.living(cloud == "home")
        )


@pytest.fixture
def scene(stage: Stage) -> Iterator[Scene]:
    stage.run_operators()
    with DigitalOcean() as ocean, world_on(stage) as world:
        ocean.teams["alices-token"].limit = 3
        ocean.add("bobs-token", "theirs")
        home, aws = world.example("CloudAccount", "home"), world.example("CloudAccount", "aws")
        home["spec"], aws["spec"] = account(ocean.url, "alice"), account(ocean.url, "bob")
        keys = [secret(world, name, f"{name}s-token") for name in ("alice", "bob")]
        contexts = (world.example("Context", f"condor-{one}") for one in ("master", "worker"))
        world.apply(*keys, world.example("Secret", "condor-secrets"), home, aws, *contexts)
        yield Scene(world, ocean)


def account(endpoint: str, keys: str) -> Manifest:
    return {
        "provider": "libcloud",
        "endpoint": endpoint,
        "region": "fra1",
        "credentialsRef": {"name": keys},
        "options": {"driver": "digitalocean"},
        "flavors": {"small": "s-1vcpu-1gb"},
        "images": {"debian-12": "debian-12-x64"},
        "changingPollInterval": "1s",
    }


def secret(world: World, name: str, key: str) -> Manifest:
    meta = {"name": name, "namespace": world.namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"key": key}}


def test_it_fills_the_one_bursts_to_the_other_and_ends_without_a_trace(scene: Scene) -> None:
    world = scene.world
    world.apply(world.cluster(workers=4))
    world.wait_ready(master=2, worker=4)
    assert scene.counts() == {"home master": 1, "home worker": 2, "aws master": 1, "aws worker": 2}
    for home in (True, False):
        (master,) = (one for one in scene.living(home) if "-master-" in one.name)
        address = master.shown()["networks"]["v4"][0]["ip_address"]
        workers = [one for one in scene.living(home) if "-worker-" in one.name]
        assert all(f"CONDOR_HOST = {address}" in one.user_data for one in workers), (
            "each talks to its own site's master"
        )

    world.delete("virtualcluster", "batch")
    world.wait_gone("virtualcluster", "batch")
    assert scene.counts() == {}
    assert [one.name for one in scene.ocean.droplets] == ["theirs"]
