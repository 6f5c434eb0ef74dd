"""Records that are lost, kept back or restored: no VM outlives its record, and none is doubled or ended for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from uuid import uuid4

import pytest

from cloudherd.clouds.simulated import faults
from devenv.stage import Stage
from tests.e2e.bad_days import (
    account_ready,
    changes,
    cloud_of,
    cluster,
    day,
    ec2,
    identities,
    ids,
    listed_again,
    names,
    of_account,
    one_vm_each,
    says,
    service,
    simulated,
    told,
)
from tests.e2e.world import World, until

ORPHAN_AGE = "2"
ABANDON = {"metadata": {"annotations": {"cloudherd.dev/abandon": "true"}}}


@pytest.fixture
def world(stage: Stage) -> Iterator[World]:
    with day(stage, orphan_age_seconds=ORPHAN_AGE) as world:
        yield world


# -- the sweep


def nobodys() -> dict[str, str]:
    return {"cloudherd-name": "old-worker-0", "cloudherd-id": str(uuid4())}


def strangers(tags: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The tags of VMs that are not to be touched, made of those of a VM of ours."""
    other = nobodys()
    return {
        "untagged": {},
        "another account's": {**tags, **other, "cloudherd-account": "elsewhere.home"},
        "another installation's": {**tags, **other, "cloudherd-installation": str(uuid4())},
        "half tagged": {key: value for key, value in {**tags, **other}.items() if key != "cloudherd-id"},
        "a predecessor's": {**tags, "cloudherd-id": str(uuid4())},
    }


def test_a_vm_of_ours_without_a_record_is_ended_and_no_other(world: World) -> None:
    world.apply(*ec2(world), simulated(), cluster(1, service("other"), at=({"name": "home", "maxInstances": 1}, "aws")))
    world.wait_ready(worker=1, other=1)
    (at_home,), (at_aws,) = world.vms("home"), world.vms("aws")
    kept = {world.home.add_foreign(name, tags=tags) for name, tags in strangers(at_home.tags).items()}
    kept_at_aws = {_instance(world, tags) for tags in strangers(at_aws.tags).values()}
    orphan = world.home.add_foreign("orphan", tags={**at_home.tags, **nobodys()})
    orphan_at_aws = _instance(world, {**at_aws.tags, **nobodys()})
    until("the orphan's end", lambda: orphan not in ids(world.home))
    until("the orphan's end at EC2", lambda: orphan_at_aws not in world.ec2.live())
    listed_again(world.home)
    assert ids(world.home) == {at_home.id, *kept}
    assert world.ec2.live() == {at_aws.id, *kept_at_aws}
    assert [call.vm for call in world.home.calls("destroy_vm")] == [orphan]
    told(world, "OrphanEnded", orphan, "old-worker-0")
    told(world, "OrphanEnded", orphan_at_aws, "old-worker-0")
    world.home.vanish(*kept)
    world.ec2.ec2.terminate_instances(InstanceIds=[*kept_at_aws])


def _instance(world: World, tags: Mapping[str, str]) -> str:
    written = [{"Key": key, "Value": value} for key, value in {"Name": "stranger", **tags}.items()]
    return world.ec2.launch(TagSpecifications=[{"ResourceType": "instance", "Tags": written}])[0]


def test_a_record_made_again_under_a_vm_that_still_runs_waits_for_it(world: World) -> None:
    world.apply(simulated(), cluster(2))
    world.wait_ready(worker=2)
    predecessor = identities(world)["batch-worker-0"].rpartition("/")[2]
    by_force(world, "instance", "batch-worker-0")
    says(world, "instance", "batch-worker-0", "Ready", "False", "PredecessorRuns", predecessor)
    says(world, "virtualcluster", "batch", "Ready", "False", "1 of 2 ready", "PredecessorRuns")
    listed_again(world.home)
    assert len(changes(world.home)) == 2, "neither a second VM nor the first one's end"
    world.home.vanish(predecessor)
    world.wait_ready(worker=2)
    one_vm_each(world)


def by_force(world: World, kind: str, name: str) -> None:
    """It goes without its finalizers' work, which the operator would have done."""
    world.stage.stop_operators()
    world.delete(kind, name)
    world.merge(kind, name, {"metadata": {"finalizers": None}})
    until(f"the end of {kind} {name}", lambda: not world.one(kind, name))
    world.stage.run_operators(orphan_age_seconds=ORPHAN_AGE)


def test_a_vm_whose_tags_were_taken_away_is_not_touched_any_more(world: World) -> None:
    world.apply(simulated(), cluster(2))
    world.wait_ready(worker=2)
    stolen = identities(world)["batch-worker-0"].rpartition("/")[2]
    world.home.retag(stolen, {"owner": "somebody else"})
    told(world, "IdentityConflict", stolen, "is not touched")
    says(world, "instance", "batch-worker-0", "Ready", "False", "IdentityConflict", "put them back", "abandon")
    assert [call.vm for call in world.home.calls("destroy_vm")] == []
    world.merge("instance", "batch-worker-0", ABANDON)
    world.wait_ready(worker=2)
    assert stolen in ids(world.home)
    assert len(ids(world.home)) == 3
    world.home.vanish(stolen)


# -- accounts that go


def test_an_account_that_is_told_to_evict_takes_its_instances_along_and_they_come_up_elsewhere(world: World) -> None:
    world.apply(simulated(), simulated("spare"))
    account_ready(world, "home")
    account_ready(world, "spare")
    world.apply(cluster(2, at=("home", "spare")))
    world.wait_ready(worker=2)
    world.delete("cloudaccount", "home")
    says(world, "cloudaccount", "home", "Ready", "False", "Deleting", "2 Instances", "batch-worker-0")
    world.apply(cluster(3, at=("home", "spare")))
    world.wait_ready(worker=3)
    assert len(of_account(world, "home")) == 2, "it waits, and gets nothing new"
    world.merge("cloudaccount", "home", {"metadata": {"annotations": {"cloudherd.dev/evict": "true"}}})
    world.wait_gone("cloudaccount", "home")
    assert ids(world.home) == set()
    world.wait_ready(worker=3)
    assert len(ids(cloud_of(world, "spare"))) == 3


def test_the_keys_stay_as_long_as_a_vm_needs_them(world: World) -> None:
    world.apply(*ec2(world), cluster(1, at=("aws",)))
    world.wait_ready(worker=1)
    world.delete("secret", "aws-keys")
    world.apply(cluster(2, at=("aws",)))
    world.wait_ready(worker=2)
    assert world.one("secret", "aws-keys"), "it went while VMs need it"
    world.delete("virtualcluster", "batch")
    world.wait_gone("virtualcluster", "batch")
    world.wait_gone("secret", "aws-keys")
    assert world.vms() == []
    says(world, "cloudaccount", "aws", "Ready", "False", "CredentialsMissing", "aws-keys")


def test_where_the_keys_are_gone_for_good_abandoning_the_records_lets_everything_go(world: World) -> None:
    world.apply(*ec2(world), cluster(2, at=("aws",)))
    world.wait_ready(worker=2)
    world.delete("secret", "aws-keys")
    world.merge("secret", "aws-keys", {"metadata": {"finalizers": None}})
    says(world, "cloudaccount", "aws", "Ready", "False", "CredentialsMissing", "aws-keys")
    world.delete("virtualcluster", "batch")
    world.delete("cloudaccount", "aws")
    says(world, "cloudaccount", "aws", "Ready", "False", "Deleting", "2 Instances", "aws-keys")
    assert len(world.get("instances")) == 2
    for name in names(world, "instances"):
        world.merge("instance", name, ABANDON)
    world.wait_gone("virtualcluster", "batch")
    world.wait_gone("cloudaccount", "aws")
    told(world, "Abandoned", "is left to itself")
    left = world.vms()
    assert len(left) == 2, "what nobody can reach is left to itself"
    world.ec2.ec2.terminate_instances(InstanceIds=[vm.id for vm in left])


def test_an_account_that_went_by_force_is_named_and_made_again_it_goes_on(world: World) -> None:
    world.apply(simulated(), cluster(2))
    world.wait_ready(worker=2)
    before, done = identities(world), changes(world.home)
    by_force(world, "cloudaccount", "home")
    for name in before:
        says(world, "instance", name, "Ready", "Unknown", "AccountMissing", "make it again")
    says(world, "virtualcluster", "batch", "Ready", "False", "AccountMissing")
    world.apply(simulated())
    world.wait_ready(worker=2)
    assert (identities(world), changes(world.home)) == (before, done)


# -- slow ends


def test_a_record_holds_until_a_slow_cloud_has_ended_its_vm(world: World) -> None:
    world.home.inject(faults.slow_end(3))
    world.apply(simulated(), cluster(1))
    world.wait_ready(worker=1)
    world.delete("virtualcluster", "batch")

    def phases() -> list[str]:
        return [one["status"]["phase"] for one in world.get("instances")]

    until("Terminating", lambda: phases() == ["Terminating"])
    assert len(ids(world.home)) == 1
    world.wait_gone("virtualcluster", "batch")
    assert ids(world.home) == set()
