"""The stories: what is there, and what users and clouds do, chapter by chapter. What follows the planner says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cloudherd.api import CloudAccount, VirtualCluster
from cloudherd.plan.model import Stranger
from tests.unit.plan.objects import account, cluster, fixed, key, scalable
from tests.unit.plan.simulation import Simulation
from tests.unit.plan.users import User

TWO_CLOUDS = (account("home", limit=4), account("aws", quota={"instances": 20}))
"""As in the example manifests: home holds four VMs, aws twenty."""


@dataclass(frozen=True)
class Case:
    """`differs` says why not every order of events ends each chapter alike; empty: it does."""

    title: str
    play: Callable[[Simulation, User], None]
    accounts: tuple[CloudAccount, ...] = TWO_CLOUDS
    differs: str = ""


def batch(workers: int | None = 10, *accounts: Any, name: str = "batch", **spec: Any) -> VirtualCluster:
    services = spec.pop("services", None) or [fixed(), scalable(replicas=workers)]
    return cluster(name, *services, accounts=list(accounts) or ["home", "aws"], **spec)


def burst(sim: Simulation, user: User) -> None:
    sim.chapter("batch asks for ten workers, and home holds four VMs", lambda: user.apply(batch()))
    sim.chapter(
        "three workers are enough: the burst site goes, its master last", lambda: user.edit("batch", worker__replicas=3)
    )
    sim.chapter("none at all: the first site keeps its master", lambda: user.edit("batch", worker__replicas=0))
    sim.chapter("the cluster is deleted", lambda: user.delete("batch"))


def scale_subresource(sim: Simulation, user: User) -> None:
    sim.chapter("the manifest leaves replicas out, and one VM is the start", lambda: user.apply(batch(None)))
    sim.chapter("somebody scales up", lambda: user.scale("batch-worker", 6))
    sim.chapter("and down", lambda: user.scale("batch-worker", 3))


def put_back(sim: Simulation, user: User) -> None:
    sim.chapter("the manifest holds a count", lambda: user.apply(batch(3)))
    sim.chapter("a scale is put back before anything follows from it", lambda: user.scale("batch-worker", 9))
    sim.chapter("the manifest lets go of it: the count stays", lambda: user.edit("batch", worker__replicas=None))
    sim.chapter("now it belongs to whoever scales", lambda: user.scale("batch-worker", 2))


def balanced(sim: Simulation, user: User) -> None:
    spec = batch(4, {"selector": {}}, strategy="Balanced", burst={"maxSites": 3})
    sim.chapter("as many workers at each of three sites, of four accounts", lambda: user.apply(spec))
    sim.chapter("up by five: the emptiest get them", lambda: user.edit("batch", worker__replicas=9))
    sim.chapter("down by four: the fullest give them", lambda: user.edit("batch", worker__replicas=5))
    sim.chapter("the last site goes when its last worker does", lambda: user.edit("batch", worker__replicas=1))


def rolling(sim: Simulation, user: User) -> None:
    sim.chapter("eight workers", lambda: user.apply(batch(8, "aws")))
    sim.chapter(
        "a new image: a quarter of them at a time", lambda: user.edit("batch", worker__machine__image="debian-13")
    )


def rolling_with_surge(sim: Simulation, user: User) -> None:
    strategy = {"maxUnavailable": 0, "maxSurge": 2}
    sim.chapter("five workers", lambda: user.apply(batch(5, "aws", updateStrategy=strategy)))
    sim.chapter(
        "a new image: two more first, and never fewer than five ready",
        lambda: user.edit("batch", worker__machine__image="debian-13"),
    )


def surge_without_room(sim: Simulation, user: User) -> None:
    strategy = {"maxUnavailable": 0, "maxSurge": 1}
    sim.chapter("home is full to the last place", lambda: user.apply(batch(3, "home", updateStrategy=strategy)))
    sim.chapter(
        "so nothing can be rolled, and it says so", lambda: user.edit("batch", worker__machine__image="debian-13")
    )
    sim.chapter("without a surge it can", lambda: user.edit("batch", updateStrategy={"maxUnavailable": 1}))


def on_delete(sim: Simulation, user: User) -> None:
    sim.chapter("three workers", lambda: user.apply(batch(3, "aws", updateStrategy={"type": "OnDelete"})))
    sim.chapter("a new image changes nothing yet", lambda: user.edit("batch", worker__machine__image="debian-13"))
    sim.chapter("until one is deleted", lambda: user.delete_instance("batch", "worker"))


def master_replaced(sim: Simulation, user: User) -> None:
    sim.chapter("a master and four workers", lambda: user.apply(batch(4, "aws")))
    sim.chapter("the master's VM vanishes; its workers learn the new address", lambda: sim.agents["aws"].lose("master"))
    sim.chapter("a new context for both", lambda: user.context("server", "v2 {{ parameters.pool }}"))


def cordoned(sim: Simulation, user: User) -> None:
    sim.chapter("two sites", lambda: user.apply(batch(6)))
    sim.chapter("home is cordoned: nothing moves", lambda: user.cordon("home"))
    sim.chapter("a worker lost there is replaced elsewhere", lambda: sim.agents["home"].lose("worker"))
    sim.chapter(
        "a new image is rolled where it can be; what is on the cordoned account stays",
        lambda: user.edit("batch", worker__machine__image="debian-13"),
    )
    sim.chapter("it is used again", lambda: user.uncordon("home"))


def drained(sim: Simulation, user: User) -> None:
    sim.chapter("everything at home", lambda: user.apply(batch(3, "home")))
    sim.chapter(
        "home leaves the placement: workers go one by one, the master last",
        lambda: user.edit("batch", placement__accounts=[{"name": "aws"}]),
    )


def drained_into_little_room(sim: Simulation, user: User) -> None:
    sim.chapter("six workers at aws", lambda: user.apply(batch(6, "aws")))
    sim.chapter(
        "aws leaves the placement, but home takes a master and three: the others stay",
        lambda: user.edit("batch", placement__accounts=[{"name": "home"}]),
    )
    sim.chapter("three are enough", lambda: user.edit("batch", worker__replicas=3))


def quota_lowered(sim: Simulation, user: User) -> None:
    sim.chapter("a master and seven workers", lambda: user.apply(batch(7, "aws")))
    sim.chapter("a lower quota deletes nothing", lambda: user.quota("aws", 5))
    sim.chapter("but what is lost is not replaced", lambda: sim.agents["aws"].lose("worker", 2))
    sim.chapter("until there is room", lambda: user.quota("aws", 7))


def max_instances(sim: Simulation, user: User) -> None:
    accounts = [{"name": "aws", "maxInstances": 3}, {"name": "home"}]
    sim.chapter("at most three VMs at aws, its master included", lambda: user.apply(batch(8, *accounts)))
    sim.chapter(
        "a lower limit deletes nothing",
        lambda: user.edit("batch", placement__accounts=[{"name": "aws", "maxInstances": 1}, {"name": "home"}]),
    )


def max_sites(sim: Simulation, user: User) -> None:
    spec = batch(6, "one", "two", "three", burst={"maxSites": 2})
    sim.chapter("three accounts for three VMs each, and two sites at most", lambda: user.apply(spec))
    sim.chapter("a third site is allowed", lambda: user.edit("batch", placement__burst={"maxSites": 3}))
    sim.chapter("and not any more: nothing is deleted", lambda: user.edit("batch", placement__burst={"maxSites": 1}))


def burst_off(sim: Simulation, user: User) -> None:
    sim.chapter("one site only", lambda: user.apply(batch(5, burst={"enabled": False})))
    sim.chapter("bursting is allowed", lambda: user.edit("batch", placement__burst={"enabled": True}))
    sim.chapter(
        "switched off again, it deletes nothing", lambda: user.edit("batch", placement__burst={"enabled": False})
    )


def min_instances(sim: Simulation, user: User) -> None:
    sim.chapter("no further site for fewer than three workers", lambda: user.apply(batch(5, burst={"minInstances": 3})))
    sim.chapter("three have no place now: that is worth a site", lambda: user.edit("batch", worker__replicas=6))
    sim.chapter("the site stays for the last of them", lambda: user.edit("batch", worker__replicas=4))


def only_the_master_fits(sim: Simulation, user: User) -> None:
    sim.chapter("one place, which the master takes", lambda: user.apply(batch(2, "one")))
    sim.chapter(
        "an account with room for two is no site for a master alone",
        lambda: user.edit("batch", placement__accounts=[{"name": "one"}, {"name": "two"}]),
    )
    sim.chapter(
        "but where a master and its worker fit, a new cluster begins",
        lambda: user.apply(batch(1, "one", "three", name="other")),
    )


def fixed_fails(sim: Simulation, user: User) -> None:
    agent = sim.agents["home"]

    def breaks() -> None:
        agent.faults["master"] = "no such network"
        user.apply(batch(2))

    sim.chapter("home's cloud breaks every master: after three, the next account", breaks)
    sim.chapter("the gateway restarts and still knows it", sim.world.restart_gateway)
    sim.chapter("while it is passed over, nothing new goes there", lambda: user.edit("batch", worker__replicas=3))
    sim.chapter("a minute later it is tried again, but nothing is missing", lambda: sim.wait(90))
    sim.chapter("one more worker tries it", lambda: user.edit("batch", worker__replicas=4))
    sim.chapter(
        "home is mended, and its time comes",
        agent.faults.clear,
        lambda: sim.wait(1800),
        lambda: user.edit("batch", worker__replicas=6),
    )


def scalable_fails(sim: Simulation, user: User) -> None:
    def breaks() -> None:
        sim.agents["home"].faults["worker"] = "kernel panic"
        user.apply(batch(2))

    sim.chapter("workers break at home: after two tries they go elsewhere", breaks)


def fairness(sim: Simulation, user: User) -> None:
    big, small = batch(9, "one", name="big"), batch(4, "one", name="small")
    sim.chapter("big takes the whole account", lambda: user.apply(big))
    sim.chapter("small finds no place", lambda: user.apply(small))
    sim.chapter("big gives up three, and small begins", lambda: user.edit("big", worker__replicas=6))
    sim.chapter("big wants them back: running VMs are never displaced", lambda: user.edit("big", worker__replicas=9))
    sim.chapter("two more places: both are small's, which has fewer", lambda: user.quota("one", 12))
    sim.chapter("the next are big's", lambda: user.quota("one", 16))


def deletion_order(sim: Simulation, user: User) -> None:
    services = [
        fixed("db"),
        fixed("master", dependsOn=["db"]),
        scalable("worker", 3, dependsOn=["master"]),
        scalable("helper", 1, dependsOn=[]),
    ]
    sim.chapter(
        "a database, a master that needs it, workers that need the master", lambda: user.apply(batch(services=services))
    )
    sim.chapter("they go in the opposite order", lambda: user.delete("batch"))


def paused(sim: Simulation, user: User) -> None:
    sim.chapter("two workers", lambda: user.apply(batch(2)))
    sim.chapter(
        "while it is paused nothing is made, scaled, rolled or put back",
        lambda: user.edit("batch", paused=True),
        lambda: user.edit("batch", worker__replicas=5),
        lambda: user.edit("batch", worker__machine__image="debian-13"),
        lambda: user.scale("batch-master", 3),
        lambda: sim.agents["home"].lose("worker"),
    )
    sim.chapter("then all of it follows", lambda: user.edit("batch", paused=False))
    sim.chapter("deletion does not wait for it", lambda: user.edit("batch", paused=True), lambda: user.delete("batch"))


def service_removed(sim: Simulation, user: User) -> None:
    services = [fixed(), scalable("worker", 2), scalable("extra", 4)]
    sim.chapter("two scalable services", lambda: user.apply(batch(services=services)))
    sim.chapter("one is taken out of the manifest", lambda: user.remove_service("batch", "extra"))


def restored(sim: Simulation, user: User) -> None:
    sim.chapter("two sites", lambda: user.apply(batch()))
    sim.finish()
    vms = sim.vms()
    sim.chapter("everything is restored from a backup without its status: no VM is made or lost", user.restore)
    sim.finish()
    assert sim.vms() == vms


def unreadable(sim: Simulation, user: User) -> None:
    def found(name: str, service: str) -> None:
        user.say(f"finds {name} at home, an object of a newer version")
        sim.world.add_stranger(key("batch"), Stranger(name, service, key("home")))

    sim.chapter(
        "a worker that cannot be read is counted and keeps its slot",
        lambda: found("batch-worker-1", "worker"),
        lambda: user.apply(batch(3)),
    )
    sim.chapter("it is not touched when there are too many either", lambda: user.edit("batch", worker__replicas=0))
    sim.chapter("nor is a master: no second one is made", lambda: user.delete("batch"))


def refused(sim: Simulation, user: User) -> None:
    sim.agents["home"].capacity = 4
    sim.chapter("home's cloud takes four VMs and nobody knows: three workers are refused", lambda: user.apply(batch(6)))
    sim.chapter("the mark expires, and nothing moves", lambda: sim.wait(90))
    sim.chapter("one more worker tries again, in vain", lambda: user.edit("batch", worker__replicas=7))
    sim.chapter("a lost one gets its own place back, full or not", lambda: sim.agents["home"].lose("worker"))


def full_everywhere(sim: Simulation, user: User) -> None:
    sim.agents["home"].capacity, sim.agents["aws"].capacity = 2, 3
    sim.chapter("two clouds that hold five VMs together", lambda: user.apply(batch(6)))
    sim.chapter("a while later they are asked again", lambda: sim.wait(90))


def unreachable(sim: Simulation, user: User) -> None:
    def lost() -> None:
        sim.agents["aws"].reachable = False

    def back() -> None:
        sim.agents["aws"].reachable = True

    sim.chapter("two sites", lambda: user.apply(batch(6)))
    sim.chapter("aws cannot be reached: nothing is replaced because of it", lost)
    sim.chapter("nor rolled there", lambda: user.edit("batch", worker__machine__image="debian-13"))
    sim.chapter("it answers again", back)


def context_broken(sim: Simulation, user: User) -> None:
    sim.chapter("three workers", lambda: user.apply(batch(3)))
    sim.chapter(
        "a template that does not render disturbs nobody",
        lambda: user.context("worker", "{{ services.mastr.address }}"),
    )
    sim.chapter("it is mended", lambda: user.context("worker", "server {{ services.master.address }} again"))


def who_goes_first(sim: Simulation, user: User) -> None:
    sim.chapter("six workers on two sites", lambda: user.apply(batch(6)))
    sim.chapter(
        "the cheap one goes before the others, wherever it is",
        lambda: user.mark("batch", "worker", "aws", 10),
        lambda: user.mark("batch", "worker", "home", -1),
        lambda: user.edit("batch", worker__replicas=5),
    )
    sim.chapter("then the last preference, its dear one last", lambda: user.edit("batch", worker__replicas=3))


def late(sim: Simulation, user: User) -> None:
    def never_ready() -> None:
        sim.agents["home"].stuck.add("master")
        user.apply(batch(2))

    sim.chapter("a master that starts and never gets ready", never_ready)
    for attempt in ("first", "second", "third"):
        sim.chapter(f"its {attempt} ten minutes are over", lambda: sim.wait(600))


THREE_SMALL = tuple(account(name, quota={"instances": 3}) for name in ("one", "two", "three"))

CASES = {
    "first-site-then-burst": Case("First site, then burst", burst),
    "scale-by-cluster-service": Case("Scaled where the manifest leaves replicas out", scale_subresource),
    "put-back": Case("A scale of what the manifest holds is put back", put_back),
    "balanced": Case("Balanced, up and down", balanced, tuple(account(name) for name in ("a", "b", "c", "d"))),
    "rolling-update": Case("Rolling update, a quarter at a time", rolling),
    "rolling-update-with-surge": Case("Rolling update with surge", rolling_with_surge),
    "surge-without-room": Case("A surge that has no room", surge_without_room),
    "on-delete": Case("OnDelete", on_delete),
    "master-replaced": Case("A new master, and workers that follow it", master_replaced),
    "cordoned": Case("An account is cordoned", cordoned),
    "drained": Case("An account leaves the placement", drained),
    "drained-into-little-room": Case(
        "An account leaves the placement, and the others have little room", drained_into_little_room
    ),
    "quota-lowered": Case("The quota is lowered", quota_lowered),
    "max-instances": Case("maxInstances", max_instances),
    "max-sites": Case("maxSites", max_sites, THREE_SMALL),
    "burst-off": Case("Bursting switched off", burst_off),
    "min-instances": Case("minInstances", min_instances),
    "only-the-master-fits": Case(
        "Where only the master fits",
        only_the_master_fits,
        (account("one", quota={"instances": 1}), account("two", quota={"instances": 1}), account("three")),
    ),
    "fixed-service-fails": Case("A fixed service that fails three times", fixed_fails),
    "scalable-service-fails": Case("A scalable service that fails", scalable_fails),
    "fairness": Case("Two clusters and one account", fairness, (account("one", quota={"instances": 10}),)),
    "deletion-order": Case("The order of deletion", deletion_order),
    "paused": Case("Paused", paused),
    "service-removed": Case("A service is taken out of the manifest", service_removed),
    "restored": Case("Restored without status", restored),
    "unreadable": Case("Instances that cannot be read", unreadable),
    "refused": Case("A cloud that refuses though the quota says otherwise", refused, (account("home"), account("aws"))),
    "full-everywhere": Case("Full everywhere", full_everywhere, (account("home"), account("aws"))),
    "unreachable": Case("An account that cannot be reached", unreachable),
    "context-broken": Case("A context that does not render", context_broken),
    "who-goes-first": Case("Who goes first", who_goes_first),
    "late": Case("A master that never gets ready", late),
}
