"""Runs the real planner in a small world with simulated agents and users, in one order of events or another.

Modelled on how Cluster API tests its rollout planner: the steps of all actors, in their default order or at random from
a seed, with the rules checked at every step and a transcript that reads like a story.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace

from cloudherd.api import CloudAccount, ObjectKey
from cloudherd.api.conditions import find
from cloudherd.plan.cluster import plan_cluster
from cloudherd.plan.model import Memory, Plan
from tests.unit.plan import rules
from tests.unit.plan.agents import Agent
from tests.unit.plan.objects import key
from tests.unit.plan.world import World, is_quiet

ROUNDS = 400


class Simulation:
    """Without a seed all happens in its default order: users, then the gateway, then the agents, again and again. With
    one, who acts and in which order is chance; with `trouble` users do not wait for their turn either, writes fail and
    the gateway is restarted.
    """

    def __init__(self, *accounts: CloudAccount, seed: int | None = None, trouble: bool = False) -> None:
        self.world = World(*accounts)
        self.random = None if seed is None else random.Random(seed)
        self.trouble = trouble
        self.agents = {one.name: self._agent(one.key) for one in accounts}
        self.story: list[str] = []
        self.outcomes: list[tuple[tuple[str, ...], ...]] = []
        self._said: dict[ObjectKey, str] = {}
        self.restarts = True
        if self.random and trouble:
            self.world.fails = lambda _: self._chance(0.1)

    def _agent(self, account: ObjectKey) -> Agent:
        return Agent(self.world, account, acts=lambda: self.random is None or self._chance(0.75))

    def _chance(self, share: float) -> bool:
        return self.random is not None and self.random.random() < share

    # -- time

    def chapter(self, title: str, *acts: Callable[[], object]) -> None:
        """What users do, and all that follows from it until nothing moves any more."""
        self.story += ["", f"== {title}"]
        for act in acts:
            act()
        if self.trouble and self._chance(0.5):
            for _ in range(int(self.random.random() * 8) if self.random else 0):
                self._round(self.random)
        else:
            self.settle()
            self._sum_up()

    def finish(self) -> None:
        """With no more trouble, all comes to rest."""
        self.world.fails = lambda _: False
        self.settle()

    def settle(self) -> None:
        """Rounds until one in the default order changes nothing."""
        for number in range(ROUNDS):
            self.restarts = number < ROUNDS // 4  # a gateway that forgets without end waits for nothing
            changes = self.world.changes
            self._round(self.random)
            if self.world.changes == changes:
                self._calm_round()
                if self.world.changes == changes and not self.world.woken:
                    self._check_quiet()
                    return
        raise AssertionError("nothing ever settles:\n" + "\n".join(self.story[-40:]))

    def vms(self) -> dict[str, list[int]]:
        """The numbers of the VMs at every cloud: a new one has a new number."""
        return {name: sorted(vm.number for vm in agent.vms.values()) for name, agent in self.agents.items()}

    def _calm_round(self) -> None:
        """One in the default order, in which nobody is left out and nothing fails."""
        random_, fails, self.random, self.world.fails = self.random, self.world.fails, None, lambda _: False
        self._round(None)
        self.random, self.world.fails = random_, fails

    def wait(self, seconds: float) -> None:
        """Lets time pass at once: back-offs end, full marks expire. The gateway has timers of its own."""
        self.story.append(f"[time]    {seconds:g} s pass")
        self.world.monotonic += seconds
        self.world.woken |= self.world.clusters.keys()

    def _round(self, order: random.Random | None) -> None:
        self.world.monotonic += 1
        tasks: list[ObjectKey | str] = [*sorted(self.world.clusters), *self.agents]
        if order:
            order.shuffle(tasks)
            tasks = [task for task in tasks if self._chance(0.8)]
            if self.trouble and self.restarts and self._chance(0.02):
                self.world.restart_gateway()
        for task in tasks:
            if isinstance(task, ObjectKey):
                self._gateway(task)
            else:
                self._agent_looks(task)

    def _agent_looks(self, name: str) -> None:
        told: dict[str, list[str]] = defaultdict(list)
        self.agents[name].look(lambda what, whom: told[what].append(whom))
        for what, whom in told.items():
            names = some(one for one in whom if one)
            self.story.append(f"[agent]   {name}: {names} {what}" if names else f"[agent]   {name} {what}")

    # -- the gateway

    def _gateway(self, cluster: ObjectKey) -> None:
        while cluster in self.world.woken:
            self.world.woken.discard(cluster)
            if cluster not in self.world.clusters:
                return
            plan = self._plan(cluster)
            self._tell(cluster, plan)
            self.world.carry_out(cluster, plan)
            self.world.write_status(cluster, plan)
            if self.random:
                break
        self._tell_ready(cluster)

    def _plan(self, cluster: ObjectKey) -> Plan:
        """One plan, which is checked; and once more before anything of it is seen, which must be the same."""
        world = self.world
        view, memory = world.view(world.clusters[cluster]), world.memories.get(cluster, Memory())
        plan = plan_cluster(view, world.ledger, memory, world.now, world.monotonic)
        rules.check(world, view, plan)
        world.memories[cluster] = plan.memory
        world.woken |= set(world.ledger.planned(cluster, plan.holds, plan.waits_for))
        if self.random is None or self._chance(0.1):
            shuffled = replace(view, instances=tuple(reversed(view.instances)))
            again = plan_cluster(shuffled, world.ledger, plan.memory, world.now, world.monotonic)
            assert replace(again, memory=plan.memory) == plan, f"planned twice, it says two things:\n{plan}\n{again}"
        return plan

    def _check_quiet(self) -> None:
        """Nobody has been forgotten: no plan has anything to do, whether its cluster was woken or not."""
        for cluster in sorted(self.world.clusters):
            plan = self._plan(cluster)
            known = self.world.clusters[cluster]
            assert is_quiet(plan), f"nothing moves, but {cluster} still has something to do: {plan}"
            assert plan.status == known.status, f"the status of {cluster} is not what it should be"

    # -- the story

    def _tell(self, cluster: ObjectKey, plan: Plan) -> None:
        made: dict[str, list[str]] = defaultdict(list)
        for one in plan.create:
            made[one.account.name].append(one.name)
        gone: dict[str, list[str]] = defaultdict(list)
        for deletion in plan.delete:
            gone[f"{deletion.reason}: {deletion.message}"].append(deletion.instance.name)
        for update in plan.update_services:
            verb = "puts back" if update.put_back else "changes"
            self._write(cluster, f"{verb} {update.service.name}: {dict(update.changes)}")
        for why, names in gone.items():
            self._write(cluster, f"deletes {some(names)} ({why})")
        for account, names in made.items():
            self._write(cluster, f"creates {some(names)} at {account}")
        if plan.add_finalizer:
            self._write(cluster, "takes it on")
        if plan.remove_finalizer:
            self._write(cluster, "lets the cluster go")

    def _tell_ready(self, cluster: ObjectKey) -> None:
        known = self.world.clusters.get(cluster)
        ready = find(known.status.conditions, "Ready") if known else None
        text = f"Ready={ready.status}, {ready.message}" if ready else ""
        if text and text != self._said.get(cluster):
            self._said[cluster] = text
            self._write(cluster, f"says {text}")

    def _write(self, cluster: ObjectKey, text: str) -> None:
        self.story.append(f"[gateway] {cluster.name}: {text}")

    def _sum_up(self) -> None:
        """What stands at the end of a chapter."""
        outcome: list[tuple[str, ...]] = []
        for cluster in sorted(self.world.clusters):
            for site in self.world.clusters[cluster].status.sites:
                name = site.account_ref.name
                outcome.append((cluster.name, name, site.state, *self._at(cluster.name, name)))
            for one in self.world.clusters[cluster].status.conditions:
                self.story.append(f"   {cluster.name} {one.type}={one.status} {one.reason}: {one.message}")
                outcome.append((cluster.name, one.type, one.status, one.reason))
        self.story += ["   " + " ".join(line) for line in outcome if not line[1][0].isupper()] or ["   nothing is left"]
        self.outcomes.append(tuple(outcome))

    def _at(self, cluster: str, account: str) -> list[str]:
        """Each service at a site, with the server that its VMs know."""
        found = []
        for name in sorted({one.spec.service_name for one in self.world.of(cluster, account=account)}):
            instances = self.world.of(cluster, name, account)
            known = {self._known(one.spec.user_data_ref.name) for one in instances} - {""}
            talks = " knows its master" if known == self._masters(cluster, account) and known else ""
            ready = sum(rules.is_ready(one) for one in instances)
            found.append(f"{name} {ready}/{len(instances)}{talks}")
        return found

    def _known(self, secret: str) -> str:
        named = re.search(r"server (\S+)", self.world.user_data.get(secret, b"").decode())
        return named[1] if named else ""

    def _masters(self, cluster: str, account: str) -> set[str]:
        masters = self.world.of(cluster, "master", account)
        return {one.status.addresses.first for one in masters if one.status.addresses}

    def user(self, text: str) -> None:
        self.story.append(f"[user]    {text}")


def some(names: Iterable[str]) -> str:
    """batch-worker-0..3, batch-worker-7."""
    runs: list[list[tuple[str, int]]] = []
    for stem, slot in sorted((name.rpartition("-")[0], int(name.rpartition("-")[2])) for name in names):
        if runs and runs[-1][-1] == (stem, slot - 1):
            runs[-1].append((stem, slot))
        else:
            runs.append([(stem, slot)])
    return ", ".join(f"{run[0][0]}-{run[0][1]}" + (f"..{run[-1][1]}" if len(run) > 1 else "") for run in runs)


__all__ = ["Simulation", "key", "some"]
