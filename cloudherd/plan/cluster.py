"""The plan of one virtual cluster: everything at once, from what is observed to what is to be done.

Pure: reads the view, the ledger and the memory it is given, and returns data. Its order is the order of thought: what
is asked for, what is there, what is outdated, where the missing go, what may be made now, what must go.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from cloudherd.api import ObjectKey
from cloudherd.api.instance import Resources
from cloudherd.api.meta import GROUP
from cloudherd.plan.amount import NOTHING, Amount
from cloudherd.plan.assignment import Ask, Assignment
from cloudherd.plan.candidates import Candidate
from cloudherd.plan.capacity import Ledger
from cloudherd.plan.creation import creations
from cloudherd.plan.dependencies import loop_in
from cloudherd.plan.desired import Desired, desired
from cloudherd.plan.failures import because, held_back, remembered
from cloudherd.plan.model import ClusterView, CreateInstance, DeleteInstance, Memory, Plan
from cloudherd.plan.notes import notes
from cloudherd.plan.observed import Observed, observe
from cloudherd.plan.picture import Picture
from cloudherd.plan.placement import place
from cloudherd.plan.records import At
from cloudherd.plan.removal import removals
from cloudherd.plan.rollout import surge_wanted
from cloudherd.plan.room import Room
from cloudherd.plan.service_status import service_statuses
from cloudherd.plan.status import refused_status, status
from cloudherd.plan.teardown import teardown
from cloudherd.plan.vm import Vm, vms_of

FINALIZER = f"{GROUP}/cluster"


def plan_cluster(view: ClusterView, ledger: Ledger, memory: Memory, now: float, monotonic: float) -> Plan:
    """What to do for this cluster now. `now` is Unix seconds for timestamps, `monotonic` for waits."""
    cluster = view.cluster
    if cluster.deleting:
        return teardown(view, now) if FINALIZER in cluster.metadata.finalizers else Plan()
    if FINALIZER not in cluster.metadata.finalizers:
        return Plan(add_finalizer=True)
    if view.conflict:
        return Plan(status=refused_status(view, "NameTaken", view.conflict, now), memory=memory)
    if circle := loop_in(cluster.spec):
        why = f"spec.services depend on one another in a circle, {circle}; remove one of these from dependsOn"
        return Plan(status=refused_status(view, "DependencyCircle", why, now), memory=memory)
    vms = vms_of(view.instances, memory.vms)
    return _Planner(view, vms, ledger, remembered(view, vms, memory, now, monotonic), now, monotonic).run()


class _Planner:
    """One plan's working: each step reads what the steps before it found."""

    def __init__(
        self, view: ClusterView, vms: Sequence[Vm], ledger: Ledger, memory: Memory, now: float, monotonic: float
    ) -> None:
        self.view, self.ledger, self.memory, self.now, self.monotonic = view, ledger, memory, now, monotonic
        self.desired: Desired = desired(view)
        self.observed: Observed = observe(view, vms, self.desired.counts, memory, monotonic)
        self.rooms = {candidate.key: self._room(candidate) for candidate in self.observed.order}

    def run(self) -> Plan:
        assignment = place(self.observed.order, self.rooms, self._ask())
        if not self.observed.active:
            return self._plan(assignment, [], [])
        create = creations(self.observed, assignment, self.rooms, self.ledger)
        return self._plan(assignment, create, removals(self.observed, assignment))

    # -- what the accounts can take

    def _room(self, candidate: Candidate) -> Room:
        """With what this plan knows before the ledger and the account's status say it."""
        if candidate.account is None:
            return Room(NOTHING, 0, 0, 0, "")
        room = self.ledger.room(candidate.account, self.view.cluster.key, candidate.max_instances)
        for vm in self.observed.records.late:
            if vm.account == candidate.key:
                room.give_back(Amount.of(vm.instance.spec.resources), vm.instance.spec.flavor)
        for vm in self.observed.records.failed:
            if vm.account == candidate.key and vm.verdict and vm.verdict.reason == "CloudFull":
                room.full = (*room.full, (vm.instance.spec.flavor, "", vm.verdict.message))
        return room

    # -- what is to be placed

    def _ask(self) -> Ask:
        observed, found = self.observed, self.observed.records
        missing, surge = Counter[str](), Counter[str]()
        for service in observed.scalable:
            want, kept = observed.counts[service.name], found.kept(service.name)
            going = len(observed.rolling.get(service.name, ())) + len(observed.moving[service.name])
            surge[service.name] = surge_wanted(want, kept, going, observed.limits(service))
            missing[service.name] = max(0, want + surge[service.name] - kept)
        named = {candidate.key for candidate in observed.order}
        return Ask(
            fixed=observed.fixed,
            scalable=observed.scalable,
            counts=observed.counts,
            alive={
                (one.name, key): found.kept_at(one.name, key)
                for one in self.view.cluster.spec.services
                for key in named
            },
            missing=missing,
            moving={name: len(instances) for name, instances in observed.moving.items()},
            surge=surge,
            fixed_surge=self._fixed_surge(),
            complete={key for key in named if observed.is_complete(key)},
            occupied=named.intersection(found.accounts()),
            placement=self.view.cluster.spec.placement,
            backing_off={
                at: because(f"is not tried for {at[0]} for now, since launches failed there", one)
                for at, one in held_back(self.memory, self.monotonic).items()
            },
        )

    def _fixed_surge(self) -> Counter[At]:
        surge: Counter[At] = Counter()
        for service in self.observed.fixed:
            old = Counter(one.account for one in self.observed.rolling.get(service.name, ()))
            for account, count in old.items():
                want, kept = self.observed.counts[service.name], self.observed.records.kept_at(service.name, account)
                surge[service.name, account] = surge_wanted(want, kept, count, self.observed.limits(service))
        return surge

    # -- the plan

    def _plan(self, assignment: Assignment, create: list[CreateInstance], delete: list[DeleteInstance]) -> Plan:
        renders, active = tuple(self.observed.outcomes.renders()), self.observed.active
        updates = tuple(self.desired.update) if active else ()
        picture = Picture(self.observed, assignment, len(delete), self.memory, self.now, self.monotonic)
        # Until all is rendered it is not known what is outdated, and the last status stays.
        told = None if renders else status(picture)
        return Plan(
            create_services=tuple(self.desired.create) if active else (),
            update_services=updates,
            renders=renders,
            user_data=tuple({one.user_data.secret: one.user_data for one in create}.values()),
            create=tuple(create),
            delete=tuple(delete),
            drop_user_data=self._unused_user_data(create) if active and not renders else (),
            drop_services=tuple(self.desired.drop) if active else (),
            service_status={} if renders else service_statuses(picture, updates),
            status=told,
            notes=tuple(notes(picture, told, create, delete, updates)),
            holds=self._holds(assignment) if active else {},
            waits_for=assignment.waits if active else {},
            candidates=frozenset(candidate.key for candidate in self.observed.order),
            memory=self.memory,
            again_in=self._again_in(),
        )

    def _unused_user_data(self, create: list[CreateInstance]) -> tuple[str, ...]:
        """Secrets that no record names and no VM will boot with. An unreadable record may name any: none goes then."""
        unused = self.view.user_data - self.observed.outcomes.secrets() - {one.user_data.secret for one in create}
        if self.view.strangers or not unused:
            return ()
        return tuple(sorted(unused - {one.spec.user_data_ref.name for one in self.view.instances}))

    def _holds(self, assignment: Assignment) -> dict[ObjectKey, tuple[Resources, ...]]:
        holds: dict[ObjectKey, tuple[Resources, ...]] = defaultdict(tuple)
        for (name, key), count in (*assignment.places.items(), *assignment.spare.items()):
            if count:
                holds[key] += (self.observed.outcomes.candidates[key].offers[name].resources,) * count
        return dict(holds)

    def _again_in(self) -> float | None:
        times = [seconds for seconds in self.observed.seconds_left.values() if seconds > 0]
        times += [one.until - self.monotonic for one in held_back(self.memory, self.monotonic).values()]
        return min(times, default=None)
