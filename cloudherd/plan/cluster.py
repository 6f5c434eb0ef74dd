"""The plan of one virtual cluster: everything at once, from what is observed to what is to be done.

Pure: reads the view, the ledger and the memory it is given, and returns data. Its order is the order of thought: what
is
asked for, what is there, what is outdated, where the missing go, what may be made now, what must go.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

from cloudherd.api import ObjectKey
from cloudherd.api.instance import Resources
from cloudherd.api.meta import GROUP
from cloudherd.api.quantity import parse_duration
from cloudherd.plan.candidates import Candidate, candidates, services_of
from cloudherd.plan.capacity import Ledger, Room
from cloudherd.plan.creation import creations
from cloudherd.plan.dependencies import loop_in
from cloudherd.plan.desired import Desired, desired
from cloudherd.plan.failures import CLOSE_AFTER, held_back, remembered, timed_out
from cloudherd.plan.model import ClusterView, CreateInstance, DeleteInstance, Memory, Note, Plan, UserData
from cloudherd.plan.outcomes import Outcomes
from cloudherd.plan.placement import Assignment, place
from cloudherd.plan.records import Records, records
from cloudherd.plan.removal import Removal
from cloudherd.plan.rollout import bounds, surge_wanted
from cloudherd.plan.status import Picture, refused_status, service_statuses, status
from cloudherd.plan.teardown import teardown

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
    return _Planner(view, ledger, remembered(view, memory, monotonic), now, monotonic).run()


class _Planner:
    """One plan's working: each step reads what the steps before it found."""

    def __init__(self, view: ClusterView, ledger: Ledger, memory: Memory, now: float, monotonic: float) -> None:
        self.view, self.ledger, self.memory, self.now, self.monotonic = view, ledger, memory, now, monotonic
        spec = view.cluster.spec
        self.fixed, self.scalable = services_of(view.cluster)
        timeouts = {service.name: parse_duration(service.readiness.timeout) for service in spec.services}
        self.seconds_left = timed_out(view, memory, monotonic, timeouts)
        self.desired: Desired = desired(view)
        self.records: Records = records(view, self.seconds_left)
        self.order = [self._with_failures(candidate) for candidate in candidates(view)]
        by_key = {candidate.key: candidate for candidate in self.order}
        self.rooms = {one.key: self._room(one) for one in self.order if one.account}
        self.outcomes = Outcomes(view, self.records, self.desired.counts, by_key)
        self.outdated, self.unsure = self.outcomes.outdated()
        self.alive = Counter({at: len(found) for at, found in self.records.alive.items()})

    def run(self) -> Plan:
        assignment = self._place(self._missing(), self.alive)
        spare = self._spare(assignment)
        create: list[CreateInstance] = []
        delete: list[DeleteInstance] = []
        if not self.view.cluster.spec.paused and not self.view.namespace_ends:
            create = creations(self.view, assignment, self.outcomes, self.records, self.rooms, self.ledger)
            delete = Removal(
                self.view,
                self.records,
                self.desired.counts,
                [candidate.key for candidate in self.order],
                assignment,
                spare,
                self.outdated,
                self.unsure,
            ).run()
        return self._plan(assignment, spare, create, delete)

    # -- what the accounts can take

    def _with_failures(self, candidate: Candidate) -> Candidate:
        """A site whose fixed service failed three times in a row is passed over until its back-off has passed. A
        gateway that
        has just started remembers it from the status."""
        if candidate.blocked:
            return candidate
        for service in self.fixed:
            count, until = self.memory.failures.get((service.name, candidate.key), (0, 0.0))
            if count >= CLOSE_AFTER and until > self.monotonic:
                why = f"is passed over for now: {service.name} failed {count} times in a row there"
                return replace(candidate, blocked=why)
        for site in self.view.cluster.status.sites if not self.memory.failures else ():
            key = ObjectKey(site.account_ref.namespace, site.account_ref.name)
            if key == candidate.key and site.retry_after and site.retry_after.timestamp() > self.now:
                return replace(candidate, blocked=f"is passed over for now: {site.reason}")
        return candidate

    def _room(self, candidate: Candidate) -> Room:
        assert candidate.account
        room = self.ledger.room(candidate.account, self.view.cluster.key, candidate.max_instances)
        for one in self.view.instances:
            if one.account != candidate.key:
                continue
            ready = one.condition("Ready")
            if one.status.phase == "Failed" and ready and ready.reason == "CloudFull":
                # The account's own mark may still be on its way to us.
                room.full = (*room.full, (one.spec.flavor, "", ready.message))
            elif one.status.provider_id and (one.deleting or one.status.phase == "Failed"):
                room.returning[one.spec.flavor] = room.returning.get(one.spec.flavor, 0) + 1
        return room

    # -- where the missing go

    def _surge(self, want: int, kept: int, outdated: int) -> int:
        strategy = self.view.cluster.spec.update_strategy
        return surge_wanted(want, kept, outdated, bounds(strategy, want)) if strategy.type == "RollingUpdate" else 0

    def _missing(self) -> Counter[str]:
        missing: Counter[str] = Counter()
        for service in self.scalable:
            want, kept = self.desired.counts[service.name], self.records.kept(service.name)
            extra = self._surge(want, kept, len(self.outdated.get(service.name, ())))
            missing[service.name] = max(0, want + extra - kept)
        return missing

    def _fixed_wanted(self) -> dict[tuple[str, ObjectKey], int]:
        wanted = {}
        for service in self.fixed:
            want = self.desired.counts[service.name]
            for candidate in self.order:
                old = sum(one.account == candidate.key for one in self.outdated.get(service.name, ()))
                extra = self._surge(want, self.alive[service.name, candidate.key], old)
                wanted[service.name, candidate.key] = want + extra
        return wanted

    def _place(self, missing: Counter[str], alive: Counter[tuple[str, ObjectKey]]) -> Assignment:
        held = held_back(self.memory, self.monotonic)
        backing_off = {at: f"is not tried for {at[0]} for now, since launches failed there" for at in held}
        services = (self.fixed, self.scalable)
        placement = self.view.cluster.spec.placement
        return place(self.order, self.rooms, services, self._fixed_wanted(), alive, missing, placement, backing_off)

    def _spare(self, assignment: Assignment) -> Assignment:
        """Places for what stands on accounts that the placement no longer names: it moves only when one is held for
        it.
        """
        named = {candidate.key for candidate in self.order}
        moving: Counter[str] = Counter()
        for (name, key), found in self.records.alive.items():
            if key not in named and any(service.name == name for service in self.scalable):
                moving[name] += len(found)
        return self._place(moving, self.alive + assignment.places) if moving else Assignment()

    # -- the plan

    def _plan(
        self, assignment: Assignment, spare: Assignment, create: list[CreateInstance], delete: list[DeleteInstance]
    ) -> Plan:
        view = self.view
        picture = Picture(
            view,
            self.records,
            self.desired.counts,
            assignment,
            self.outcomes,
            self.order,
            self.outdated,
            self.unsure,
            len(delete),
            0,
            self.memory.failures,
            self.now,
            self.monotonic,
        )
        put_back = {one.service.spec.service_name: one for one in self.desired.update if one.put_back}
        held = assignment.places + spare.places
        unplaced = assignment.unplaced.total()
        return Plan(
            create_services=tuple(self.desired.create),
            update_services=tuple(self.desired.update),
            renders=tuple(self.outcomes.renders()),
            user_data=tuple(self._user_data(create)),
            create=tuple(create),
            delete=tuple(delete),
            drop_user_data=self._unused_user_data(create),
            drop_services=tuple(self.desired.drop),
            service_status=service_statuses(picture, put_back),
            status=status(picture),
            notes=tuple(self._notes(assignment, delete)),
            holds=self._holds(held),
            waits_for=dict.fromkeys(assignment.room_wanted, unplaced) if unplaced else {},
            candidates=frozenset(candidate.key for candidate in self.order),
            memory=self.memory,
            again_in=self._again_in(),
        )

    def _user_data(self, create: list[CreateInstance]) -> list[UserData]:
        return list({one.user_data.secret: one.user_data for one in create}.values())

    def _unused_user_data(self, create: list[CreateInstance]) -> tuple[str, ...]:
        """Secrets that no record names and no VM will boot with. An unreadable record may name any, so none goes
        then.
        """
        if self.view.strangers or self.outcomes.renders() or self.view.cluster.spec.paused:
            return ()
        used = {one.spec.user_data_ref.name for one in self.view.instances} | self.outcomes.secrets()
        return tuple(sorted(self.view.user_data - used - {one.user_data.secret for one in create}))

    def _holds(self, places: Counter[tuple[str, ObjectKey]]) -> dict[ObjectKey, tuple[Resources, ...]]:
        holds: dict[ObjectKey, list[Resources]] = defaultdict(list)
        for (name, key), count in places.items():
            holds[key] += [self.outcomes.candidates[key].offers[name].resources] * count
        return {key: tuple(held) for key, held in holds.items()}

    def _notes(self, assignment: Assignment, delete: list[DeleteInstance]) -> list[Note]:
        before = {
            ObjectKey(site.account_ref.namespace, site.account_ref.name) for site in self.view.cluster.status.sites
        }
        notes = [
            Note("Normal", "SiteOpened", f"the cluster opens a site at {key.namespace}.{key.name}")
            for key in assignment.sites
            if key not in before
        ]
        by_reason: dict[tuple[str, str], list[str]] = defaultdict(list)
        for one in delete:
            by_reason[one.reason, one.message].append(one.instance.name)
        for (reason, message), names in by_reason.items():
            kind = (
                "Normal"
                if reason in ("ScaledDown", "Updated", "SiteClosed", "ServiceRemoved", "Drained")
                else "Warning"
            )
            some = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            notes.append(Note(kind, reason, f"deleting {some}: {message}"))
        return notes

    def _again_in(self) -> float | None:
        times = [seconds for seconds in self.seconds_left.values() if seconds > 0]
        times += held_back(self.memory, self.monotonic).values()
        return min(times, default=None)
