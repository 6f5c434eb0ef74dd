"""What must always hold, judged at every change from the API server's and the clouds' own state, never from ours.

The numbers are those of the design's list "What must always hold".
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from cloudherd.clouds.protocol import LaunchRequest, VMState
from cloudherd.runtime import kinds
from cloudherd.runtime.ports import Kind, Object
from tests.fakes.apiserver import Call
from tests.fakes.cloud import Machine
from tests.faults.checks import ORPHAN_AGE, STALE, before_any_write, before_launch, before_sweep
from tests.faults.history import History, Record
from tests.faults.sky import Sky
from tests.faults.truth import Unit, condition, deleting, identity, is_managed, machines, named, vm_of

LOST = ("VMVanished", "VMStopped", "VMError")


class Invariants:
    """Says what is violated to `violated`. `steps` counts the judgements."""

    def __init__(self, history: History, skies: Mapping[str, Sky], violated: Callable[[str], None]) -> None:
        self._history, self._skies, self._violated = history, skies, violated
        self.steps = 0
        self.launches: Counter[str] = Counter()
        self.destroyed: list[str] = []
        history.listeners.append(self._changed)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # -- at the clouds

    def asked(self, sky: Sky, request: LaunchRequest) -> None:
        """Rule 1: recorded first. Rule 4: tags that are the Instance's own. And what must have been looked at."""
        self.steps += 1
        tags = request.tags
        record = self._history.records.get(tags.get("cloudherd-id", ""))
        if record is None:
            self._violated(f"rule 1: {sky.name} is asked for {request.name}, of which there never was an Instance")
            return
        own = (tags.get("cloudherd-account"), tags.get("cloudherd-namespace"))
        if own != (sky.name, record.unit.namespace) or record.account != sky.name:
            self._violated(f"rule 4: {request.name} is asked of {sky.name} with the tags {dict(tags)}")
        self._all(before_any_write(self._history, sky, sky.caller))
        self._all(before_launch(self._history, sky, record, request))

    def _all(self, violations: Iterable[str]) -> None:
        for text in violations:
            self._violated(text)

    def launched(self, sky: Sky, machine: Machine) -> None:
        """Rule 4: one VM for one Instance, ever; but one that went before anybody was told of it is made again. Rules 2
        and 7 when the VM comes into being.
        """
        self.steps += 1
        id_ = identity(machine)
        self.launches[id_] += 1
        beside = any(identity(one) == id_ and one is not machine for _, one in machines(self._skies, coming=True))
        record = self._history.records.get(id_)
        if beside or (record is not None and record.named - {"", machine.id}):
            self._violated(f"rule 4: {machine.id} is VM number {self.launches[id_]} of Instance {machine.request.name}")
        wait = machine.made_at - self._now()
        asyncio.get_running_loop().call_later(wait, self._came, sky, machine) if wait > 0 else self._came(sky, machine)

    def _came(self, sky: Sky, machine: Machine) -> None:
        self.steps += 1
        record = self._history.records.get(identity(machine))
        if record is None or machine.gone_at <= self._now():
            return
        if record.now is None and not (record.held and record.forced):
            self._violated(f"rule 1: {machine.id} comes into being after its Instance {machine.request.name} is gone")
        self._ceiling(record)
        self._quota(sky, record)
        self._neighbours(sky, record, machine.request)

    def _ceiling(self, record: Record) -> None:
        """Rule 2."""
        unit = record.unit
        count = sum(of.unit == unit for sky, one in machines(self._skies) if (of := self._record_of(sky, one)))
        most = self._history.ceilings[unit].most_since(record.created_at - STALE)
        if count > most:
            self._violated(f"rule 2: {count} VMs of {unit}, but no more than {most} were asked for with surge")

    def _record_of(self, sky: Sky, machine: Machine) -> Record | None:
        """The record whose VM this is; None where it is foreign, or was taken from its record by force."""
        record = self._history.records.get(identity(machine))
        mine = record is not None and not record.forced and is_managed(machine, sky, self._history.records)
        return record if mine else None

    def _quota(self, sky: Sky, record: Record) -> None:
        """Rule 7."""
        count = sum(self._record_of(sky, one) is not None for one in sky.alive())
        most = self._history.quotas[sky.name].most_since(record.created_at - STALE)
        if count > most:
            self._violated(f"rule 7: {count} VMs on {sky.name}, whose quota is {most}")

    def _neighbours(self, sky: Sky, record: Record, request: LaunchRequest) -> None:
        """Rule 6: what boots knows the address of a fixed VM of its cluster at its own site."""
        text = request.user_data.decode(errors="replace")
        if "HOST=" not in text:
            return
        host = text.split("HOST=")[1].split()[0]
        masters = [
            one
            for one in sky.machines.values()
            if (of := self._history.records.get(identity(one)))
            and of.unit.account
            and of.unit.cluster == record.unit.cluster
        ]
        if not any(host == sky.address_of(one.id) for one in masters):
            self._violated(
                f"rule 6: {request.name} boots at {sky.name} with the neighbour {host}, which was never there"
            )

    def destroying(self, sky: Sky, machine: Machine) -> None:
        """Rule 5: only ours. Rules 1 and 12: only with its record deleted, or as an orphan that is old enough."""
        self.steps += 1
        self.destroyed.append(machine.id)
        self._all(before_any_write(self._history, sky, sky.caller))
        if not is_managed(machine, sky, self._history.records):
            self._violated(f"rule 5: {sky.name} is told to end {machine.id} {machine.request.name}, which is foreign")
            return
        record = self._history.records.get(identity(machine))
        if record is not None and record.now is not None:
            other = vm_of(record.now)
            if not deleting(record.now) and other in ("", machine.id):
                self._violated(f"rule 1: {machine.id} is ended though its Instance {machine.request.name} stands")
            return
        since = machine.made_at if record is None else max(machine.made_at, record.gone_at or 0.0)
        # Who made it may end it at once, if its Instance went before its answer could be written down.
        unrecorded = record is not None and not record.vm_id and sky.made_by[machine.id] is sky.caller
        if unrecorded:
            return
        if self._now() < since + ORPHAN_AGE - 1:
            self._violated(f"rule 5: the orphan {machine.id} is ended {self._now() - since:.0f} s after it became one")
        self._all(before_sweep(self._history, sky, sky.caller, self._now()))

    # -- in the API server

    def created(self, record: Object) -> None:
        """Rule 3: the gateway names an Instance by the lowest free slot of its service in the whole cluster."""
        self.steps += 1
        namespace, name = named(record)
        cluster, service = record["spec"]["clusterName"], record["spec"]["serviceName"]
        slot = name.removeprefix(f"{cluster}-{service}-")
        if not slot.isdecimal() or str(int(slot)) != slot:
            self._violated(f"rule 3: {name} is no slot of {cluster}-{service}")
            return
        units = (Unit(namespace, cluster, service, account) for account in ("", *self._skies))
        ceilings = (self._history.ceilings[unit] for unit in units if unit in self._history.ceilings)
        most = sum(one.most_since(self._now() - STALE) for one in ceilings)
        if int(slot) >= most:
            self._violated(f"rule 3: {name} is made, though {cluster}-{service} never needs more than {most} slots")

    def called(self, call: Call, before: Object | None) -> None:
        """Rule 12: who deletes what, judged as the call arrives."""
        if call.verb != "delete" or call.kind != kinds.INSTANCE or call.manager == "kubectl" or before is None:
            return
        self.steps += 1
        spec = before["spec"]
        cluster = self._history.current[kinds.VIRTUAL_CLUSTER].get((call.namespace, spec["clusterName"]))
        ref = spec["accountRef"]
        account = self._history.current[kinds.CLOUD_ACCOUNT].get((ref["namespace"], ref["name"]))
        if cluster is None and (account is None or not deleting(account)):
            self._violated(
                f"rule 12: Instance {call.name} is deleted, but there is no VirtualCluster {spec['clusterName']}"
            )
        since = self._history.records[spec["id"]].unreadable_since
        if since is not None and since < self._now() - STALE:
            self._violated(f"rule 12: Instance {call.name} is deleted, though it cannot be read")

    def _changed(self, kind: Kind, before: Object | None, after: Object | None) -> None:
        self.steps += 1
        if kind == kinds.CLOUD_ACCOUNT and after is None and before is not None and deleting(before):
            self._account_gone(".".join(named(before)))
        if kind != kinds.INSTANCE:
            return
        if after is None and before is not None:
            self._record_gone(before)
        elif before is not None and after is not None:
            self._record_changed(before, after)

    def _account_gone(self, account: str) -> None:
        """Rule 1: nothing takes the keys before the VMs."""
        bound = {one.id for one in self._history.of_account(account)}
        for _, one in machines(self._skies):
            if identity(one) in bound:
                self._violated(f"rule 1: CloudAccount {account} is gone, but {one.id} {one.request.name} runs there")

    def _record_gone(self, record: Object) -> None:
        """Rule 1: the record goes last."""
        if "cloudherd.dev/abandon" in record["metadata"].get("annotations", {}) or not deleting(record):
            return
        for _, one in machines(self._skies, coming=True):
            if identity(one) == record["spec"]["id"]:
                state = "runs" if one.made_at <= self._now() else f"comes at {one.made_at:.0f} s"
                self._violated(f"rule 1: Instance {named(record)[1]} is gone, but its VM {one.id} {state}")

    def _record_changed(self, before: Object, after: Object) -> None:
        """Rules 1 and 11: a VM that runs is never called lost, and a record never names another VM."""
        old, new = vm_of(before), vm_of(after)
        if old and new and old != new and before["metadata"]["uid"] == after["metadata"]["uid"]:
            self._violated(f"rule 11: Instance {named(after)[1]} was {old} and is now {new}")
        ready = condition(after, "Ready")
        failed = after["status"].get("phase") == "Failed" and before.get("status", {}).get("phase") != "Failed"
        if not failed or ready.get("reason") not in LOST:
            return
        machine = next((one for _, one in machines(self._skies) if one.id == new), None)
        if machine is not None and machine.state(self._now()) in (VMState.RUNNING, VMState.PENDING):
            self._violated(f"rule 1: Instance {named(after)[1]} is called {ready['reason']}, but {new} runs")
