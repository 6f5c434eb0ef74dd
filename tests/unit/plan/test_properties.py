"""Whatever is asked for and whatever happens: the rules hold at every step, it comes to rest, and then all is as asked.

The rules are those of `rules.py`, which the simulation checks at every plan.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cloudherd.api import CloudAccount, VirtualCluster
from cloudherd.api.conditions import is_true
from tests.unit.plan.objects import account, cluster, fixed, scalable
from tests.unit.plan.simulation import Simulation
from tests.unit.plan.users import User

NAMES = ("a", "b", "c", "d")
few = st.integers(0, 6)
maybe_few = st.none() | few
flavors = st.sampled_from(["small", "large"])
percent = st.sampled_from([0, 1, 2, "25%", "50%", "100%"])


@st.composite
def accounts(draw: st.DrawFn) -> list[CloudAccount]:
    names = NAMES[: draw(st.integers(1, len(NAMES)))]
    return [account(name, quota=draw(quotas), limit=draw(maybe_few)) for name in names]


quotas = st.fixed_dictionaries(
    {}, optional={"instances": st.integers(0, 8), "cpus": st.sampled_from([2, "3500m", 9]), "memory": st.just("9Gi")}
)
strategies = st.one_of(
    st.builds(lambda down: {"maxUnavailable": down}, st.sampled_from([1, 2, "25%", "50%"])),
    st.builds(lambda up, down: {"maxSurge": up, "maxUnavailable": down}, st.sampled_from([1, 2, "50%"]), percent),
    st.just({"type": "OnDelete"}),
)
bursts = st.fixed_dictionaries(
    {}, optional={"enabled": st.booleans(), "minInstances": st.integers(1, 3), "maxSites": st.integers(1, 3)}
)


@st.composite
def clusters(draw: st.DrawFn, name: str) -> VirtualCluster:
    services = []
    if draw(st.booleans()):
        services.append(fixed("db", draw(st.integers(1, 2)), flavor=draw(flavors)))
    if draw(st.booleans()):
        services.append(fixed("master", 1, dependsOn=[one["name"] for one in services]))
    needed = [one["name"] for one in services][-1:]
    services.append(scalable("worker", draw(maybe_few), flavor=draw(flavors), dependsOn=needed))
    if draw(st.booleans()):
        services.append(scalable("extra", draw(maybe_few), dependsOn=[]))
    order: list[Any] = [{"name": one} for one in draw(st.permutations(NAMES[:3]))]
    order[0] |= draw(st.fixed_dictionaries({}, optional={"maxInstances": st.integers(1, 5)}))
    strategy = draw(st.sampled_from(["Ordered", "Balanced"]))
    return cluster(
        name, *services, accounts=order, strategy=strategy, burst=draw(bursts), updateStrategy=draw(strategies)
    )


Act = Callable[[Simulation, User], object]
clusters_named = st.sampled_from(["x", "y"])
accounts_named = st.sampled_from(NAMES)


def edit(**changes: Any) -> Callable[[str], Act]:
    return lambda name: lambda sim, user: user.edit(name, **changes)


def on_account(act: Callable[[Simulation, User, str], object]) -> st.SearchStrategy[Act]:
    """Something that happens to an account, if there is one of that name."""

    def of(name: str) -> Act:
        return lambda sim, user: act(sim, user, name) if name in sim.agents else None

    return st.builds(of, accounts_named)


def flag(name: str, value: bool) -> Callable[[Simulation, User, str], object]:
    return lambda sim, user, where: setattr(sim.agents[where], name, value)


def break_master(sim: Simulation, user: User, where: str) -> None:
    sim.agents[where].faults["master"] = "it broke"


acts: st.SearchStrategy[Act] = st.one_of(
    st.builds(lambda name, count: lambda sim, user: user.scale(f"{name}-worker", count), clusters_named, few),
    st.builds(lambda name, count: edit(worker__replicas=count)(name), clusters_named, maybe_few),
    st.builds(lambda name, image: edit(worker__machine__image=image)(name), clusters_named, st.just("debian-13")),
    st.builds(lambda name, paused: edit(paused=paused)(name), clusters_named, st.booleans()),
    st.builds(
        lambda name, order: edit(placement__accounts=[{"name": one} for one in order])(name),
        clusters_named,
        st.lists(accounts_named, min_size=1, max_size=3, unique=True),
    ),
    st.builds(lambda template: lambda sim, user: user.context("server", template), st.sampled_from(["v2", "v3"])),
    st.builds(lambda name, what: lambda sim, user: user.delete_instance(name, what), clusters_named, st.just("worker")),
    on_account(lambda sim, user, where: sim.agents[where].lose("worker")),
    on_account(lambda sim, user, where: sim.agents[where].lose("master")),
    on_account(lambda sim, user, where: user.cordon(where)),
    on_account(lambda sim, user, where: user.uncordon(where)),
    on_account(lambda sim, user, where: user.quota(where, 3)),
    on_account(flag("reachable", False)),
    on_account(flag("reachable", True)),
    on_account(break_master),
    st.just(lambda sim, user: sim.wait(120)),
    st.just(lambda sim, user: sim.world.restart_gateway()),
)


@settings(max_examples=150, deadline=None)
@given(
    accounts(),
    st.tuples(clusters("x"), clusters("y")),
    st.lists(acts, max_size=6),
    st.lists(st.none() | st.integers(1, 5), min_size=4, max_size=4),
    st.integers(0, 10**6),
)
def test_the_rules_hold_and_in_the_end_all_is_as_asked(
    where: list[CloudAccount],
    two: tuple[VirtualCluster, VirtualCluster],
    story: list[Act],
    capacities: list[int | None],
    seed: int,
) -> None:
    sim = Simulation(*where, seed=seed, trouble=True)
    user = User(sim)
    for agent, capacity in zip(sim.agents.values(), capacities, strict=False):
        agent.capacity = capacity
    sim.chapter("two clusters", lambda: user.apply(*two))
    for act in story:
        sim.chapter("something happens", partial(act, sim, user))
    for name, agent in sim.agents.items():
        agent.reachable = True
        agent.faults.clear()
        user.uncordon(name)
    for name in ("x", "y"):
        user.edit(name, paused=False)
    sim.finish()
    sim.wait(3600)  # all back-offs and full marks are over
    sim.finish()
    for one in sim.world.clusters.values():
        conditions = one.status.conditions
        assert is_true(conditions, "Ready") or not is_true(conditions, "Placed") or _stuck(conditions), conditions


def _stuck(conditions: Any) -> bool:
    """A surge, or what is to be moved, has no place."""
    progressing = next(one for one in conditions if one.type == "Progressing")
    return "no place for" in progressing.message
