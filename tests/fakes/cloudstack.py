"""A CloudStack management server for tests: signed requests over real HTTP, and asynchronous jobs.

Answers as the API's documentation and source say (signature version 3, error codes, pages by offset with a count,
Destroyed VMs that linger); no real server was at hand. Each job takes `STEP` seconds, on its way a VM is Stopped with a
job, then Starting. One on its way is refused as in use; a stop that is not forced fails where the guest is deaf.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote_plus
from uuid import UUID, uuid5

from tests.fakes.httpserver import Reply, Request, Server

STEP = 0.04
_SPACE = UUID("8c5c9d0e-5f3e-4c55-9d4e-2f6a1d1b7c3e")
Json = dict[str, Any]


def uuid(text: str) -> str:
    return str(uuid5(_SPACE, text))


class Refused(Exception):
    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


@dataclass
class User:
    name: str
    api_key: str
    secret: str
    limits: dict[str, int] = field(default_factory=dict)


@dataclass
class Machine:
    """`ready_at` and `ended_at` are when its jobs are done; `fails` is what its start ends in instead."""

    id: str
    owner: str
    fields: dict[str, str]
    made_at: float
    number: int
    fails: tuple[int, str] | None = None
    ended_at: float | None = None
    forced: str = ""
    passing: tuple[str, float] | None = None
    """A state until then, on the way to `forced`."""
    tags: dict[str, str] = field(default_factory=dict)

    def state(self, now: float) -> str:
        if self.ended_at is not None:
            return "Destroyed" if now >= self.ended_at else "Stopping"
        if self.passing and now < self.passing[1]:
            return self.passing[0]
        if self.forced:
            return self.forced
        if now < self.made_at + STEP / 2:
            return "Stopped"
        if now < self.made_at + STEP:
            return "Starting"
        return "Error" if self.fails else "Running"


class CloudStack(Server):
    def __init__(self) -> None:
        super().__init__()
        self.users = [User("alice", "alices-key", "alices-secret"), User("bob", "bobs-key", "bobs-secret")]
        self.zones = [{"id": uuid("zone"), "name": "north"}]
        self.offerings = [
            {"id": uuid("small"), "name": "Small Instance", "cpunumber": 1, "memory": 512, "iscustomized": False},
            {"id": uuid("large"), "name": "Large Instance", "cpunumber": 8, "memory": 16384, "iscustomized": False},
            {"id": uuid("custom"), "name": "Custom", "iscustomized": True},
        ]
        self.templates = [{"id": uuid(name), "name": name} for name in ("debian-12", "other")]
        self.networks = [{"id": uuid("net"), "name": "campus"}]
        self.groups = [{"id": uuid("default"), "name": "default"}]
        self.machines: list[Machine] = []
        self.page_limit = 500
        self.actions: list[tuple[str, str]] = []
        """What was taken to change a VM, with its ID before it."""
        self.host_cpus = 10**6
        self.expunge_allowed = False
        self.deaf = False  # or guests do not shut down when they are told to
        self.tag_fails: tuple[int, str] | None = None
        self.jobs: dict[str, Callable[[float], tuple[int, Json]]] = {}
        self.after_page: list[Callable[[], object]] = []  # done one by one after each page of a listing of VMs

    # -- the wire

    def operation(self, request: Request) -> str:
        return self._fields(request).get("command", "")

    def _fields(self, request: Request) -> dict[str, str]:
        return dict(parse_qsl(request.query) + parse_qsl(request.body.decode(errors="replace")))

    def serve(self, request: Request) -> Reply:
        fields = self._fields(request)
        command = fields.get("command", "")
        name = f"{command.lower()}response"
        try:
            user = self._signed(fields)
            call: Callable[[User, dict[str, str]], Json] | None = getattr(self, f"do_{command}", None)
            if request.path != "/client/api":
                return Reply(404, b"<html>not here</html>", "text/html")
            if call is None:
                name = "errorresponse"
                raise Refused(432, f"The given command:{command} does not exist or it is not available for user")
            return _json(200, {name: call(user, fields)})
        except Refused as refused:
            told = {"uuidList": [], "errorcode": refused.code, "cserrorcode": 9999, "errortext": str(refused)}
            return _json(refused.code, {name: told})

    def _signed(self, fields: dict[str, str]) -> User:
        """The signature as the API's documentation describes it, and newer servers insist on."""
        wrong = Refused(401, "unable to verify user credentials and/or request signature")
        signature = fields.get("signature", "")
        user = next((one for one in self.users if one.api_key == fields.get("apiKey")), None)
        pairs = sorted((key, value) for key, value in fields.items() if key != "signature")
        java = [f"{key}={quote_plus(value, safe='*').replace('~', '%7E').replace('+', '%20')}" for key, value in pairs]
        text = "&".join(sorted(pair.lower() for pair in java))
        made = hmac.new((user.secret if user else "").encode(), text.encode(), hashlib.sha1).digest()
        if user is None or not hmac.compare_digest(b64encode(made).decode(), signature):
            raise wrong
        expires = datetime.strptime(fields.get("expires", ""), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        if fields.get("signatureVersion") != "3" or not 0 < (expires - datetime.now(UTC)).total_seconds() <= 900:
            raise wrong
        return user

    # -- what a caller may ask

    def do_listAccounts(self, user: User, fields: dict[str, str]) -> Json:
        told = {key: str(user.limits.get(key, "Unlimited")) for key in ("vmlimit", "cpulimit", "memorylimit")}
        return self._page([{"id": uuid(user.name), "name": user.name, **told}], fields, "account")

    def do_listProjects(self, user: User, fields: dict[str, str]) -> Json:
        return self._page([{"id": fields["id"], "name": "p", "vmlimit": "7"}], fields, "project")

    def do_listZones(self, user: User, fields: dict[str, str]) -> Json:
        return self._page(self.zones, fields, "zone")

    def do_listServiceOfferings(self, user: User, fields: dict[str, str]) -> Json:
        return self._page(self.offerings, fields, "serviceoffering")

    def do_listNetworks(self, user: User, fields: dict[str, str]) -> Json:
        return self._page(self.networks, fields, "network")

    def do_listSecurityGroups(self, user: User, fields: dict[str, str]) -> Json:
        return self._page(self.groups, fields, "securitygroup")

    def do_listTemplates(self, user: User, fields: dict[str, str]) -> Json:
        if "id" in fields:
            self._known(self.templates, fields["id"], "id")
        found = [one for one in self.templates if fields.get("id") in (None, one["id"])]
        return self._page([one for one in found if fields.get("name") in (None, one["name"])], fields, "template")

    def do_listVirtualMachines(self, user: User, fields: dict[str, str]) -> Json:
        mine = [one for one in reversed(self.machines) if one.owner == _owner(user, fields)]
        if "id" in fields and fields["id"] not in {one.id for one in mine}:
            raise Refused(431, _no_entity("id", fields["id"]))
        now = time.monotonic()
        found = [self._told(one, now) for one in mine if fields.get("id") in (None, one.id)]
        page = self._page(found, fields, "virtualmachine")
        if self.after_page:
            self.after_page.pop(0)()
        return page

    def do_deployVirtualMachine(self, user: User, fields: dict[str, str]) -> Json:
        for name, known in (
            ("zoneid", self.zones),
            ("serviceofferingid", self.offerings),
            ("templateid", self.templates),
            ("networkids", self.networks),
        ):
            if name in fields or name != "networkids":
                self._known(known, fields[name], name)
        if len(fields.get("userdata", "")) > 32768:
            raise Refused(431, "User data is too long")
        living = self.living(_owner(user, fields))
        if fields["name"] in {one.fields["name"] for one in living}:
            raise Refused(431, f"The vm with hostName {fields['name']} already exists in the network domain: cs1cloud")
        self._check_limits(user, living, fields)
        number = len(self.machines) + 1
        machine = Machine(uuid(f"vm {number}"), _owner(user, fields), fields, time.monotonic(), number)
        if sum(self._cpus(one) for one in self.living()) + self._cpus(machine) > self.host_cpus:
            machine.fails = (533, f"Unable to create a deployment for VM[User|i-2-{number}-VM]")
        self.machines.append(machine)
        return {"id": machine.id, "jobid": self._job(f"deploy {number}", machine.fails)}

    def do_destroyVirtualMachine(self, user: User, fields: dict[str, str]) -> Json:
        if "expunge" in fields and not self.expunge_allowed:
            raise Refused(531, "Parameter expunge can be passed by Admin only. Or when the global setting is set.")
        machine = self._own(user, fields)
        self.actions.append((machine.id, "destroy"))
        if machine.ended_at is None:
            machine.ended_at = time.monotonic() + STEP
        if "expunge" in fields:
            self.machines.remove(machine)
        return {"jobid": self._job(f"destroy {machine.number}", None)}

    def do_stopVirtualMachine(self, user: User, fields: dict[str, str]) -> Json:
        machine = self._at_hand(user, fields)
        if machine.state(time.monotonic()) == "Stopped":
            return {"jobid": self._job(f"stop {machine.number}", None)}
        if self.deaf and fields.get("forced") != "true":
            return self._power(machine, "Stopping", "Running", (530, f"Unable to stop VM {machine.id}"))
        return self._power(machine, "Stopping", "Stopped")

    def do_startVirtualMachine(self, user: User, fields: dict[str, str]) -> Json:
        machine = self._at_hand(user, fields)
        if machine.state(time.monotonic()) != "Stopped":
            failed = (431, f"The virtual machine {machine.id} is already running")
            return {"jobid": self._job(f"start {machine.number}", failed)}
        return self._power(machine, "Starting", "Running")

    def _power(self, machine: Machine, by: str, to: str, fails: tuple[int, str] | None = None) -> Json:
        machine.passing, machine.forced = (by, time.monotonic() + STEP), to
        return {"jobid": self._job(f"{by} {machine.number}", fails)}

    def do_createTags(self, user: User, fields: dict[str, str]) -> Json:
        (machine,) = (one for one in self.machines if one.id == fields["resourceids"])
        for number in range(len([key for key in fields if key.endswith(".key")])):
            machine.tags[fields[f"tags[{number}].key"]] = fields[f"tags[{number}].value"]
        return {"jobid": self._job(f"tags {machine.number}", self.tag_fails)}

    def do_queryAsyncJobResult(self, user: User, fields: dict[str, str]) -> Json:
        status, result = self.jobs[fields["jobid"]](time.monotonic())
        return {"jobid": fields["jobid"], "jobstatus": status, "jobresultcode": 0, **result}

    # -- what a test looks at

    def living(self, owner: str = "") -> list[Machine]:
        now = time.monotonic()
        return [one for one in self.machines if one.state(now) != "Destroyed" and owner in ("", one.owner)]

    def user_data(self, vm_id: str) -> bytes:
        (machine,) = (one for one in self.machines if one.id == vm_id)
        return b64decode(machine.fields.get("userdata", ""))

    # -- within

    def _own(self, user: User, fields: dict[str, str]) -> Machine:
        machine = next((one for one in self.machines if one.id == fields["id"] and one.owner == user.name), None)
        if machine is None:
            raise Refused(431, _no_entity("id", fields["id"]))
        return machine

    def _at_hand(self, user: User, fields: dict[str, str]) -> Machine:
        machine = self._own(user, fields)
        state = machine.state(time.monotonic())
        if state in ("Starting", "Stopping"):
            raise Refused(536, f"The virtual machine {machine.id} is in use, for it is {state}")
        forced = " by force" if fields.get("forced") == "true" else ""
        self.actions.append((machine.id, f"{fields['command'].removesuffix('VirtualMachine')}{forced}"))
        return machine

    def _job(self, what: str, fails: tuple[int, str] | None) -> str:
        job_id, done_at = uuid(f"job {what} {len(self.jobs)}"), time.monotonic() + STEP

        def status(now: float) -> tuple[int, Json]:
            if now < done_at:
                return 0, {}
            if fails:
                return 2, {"jobresult": {"errorcode": fails[0], "errortext": fails[1]}}
            return 1, {"jobresult": {"success": True}}

        self.jobs[job_id] = status
        return job_id

    def _check_limits(self, user: User, living: list[Machine], fields: dict[str, str]) -> None:
        offering = self._offering(fields)
        wanted = {"vmlimit": ("user_vm", len(living) + 1)}
        wanted["cpulimit"] = ("cpu", sum(map(self._cpus, living)) + offering["cpunumber"])
        for name, (type_, total) in wanted.items():
            if total > user.limits.get(name, total):
                words = f"Maximum amount of resources of Type = '{type_}' for Account Name = {user.name} is exceeded"
                raise Refused(535, words)

    def _offering(self, fields: dict[str, str]) -> Json:
        return next(one for one in self.offerings if one["id"] == fields["serviceofferingid"])

    def _cpus(self, machine: Machine) -> int:
        return int(self._offering(machine.fields)["cpunumber"])

    def _known(self, known: list[Json], wanted: str, name: str) -> None:
        if wanted not in {one["id"] for one in known}:
            raise Refused(431, _no_entity(name, wanted))

    def _told(self, machine: Machine, now: float) -> Json:
        state = machine.state(now)
        told: Json = {"id": machine.id, "name": machine.fields["name"], "state": state, "account": machine.owner}
        told |= {"displayname": machine.fields.get("displayname", machine.fields["name"])}
        told |= {"serviceofferingid": machine.fields["serviceofferingid"], "zonename": "north"}
        address = {"ipaddress": f"10.1.{machine.number >> 8}.{machine.number & 255}"}
        told["nic"] = [address] if state == "Running" else []
        told["tags"] = [{"key": key, "value": value} for key, value in machine.tags.items()]
        if now < machine.made_at + STEP:
            told |= {"jobid": uuid("x"), "jobstatus": 0}
        return told

    def _page(self, found: list[Json], fields: dict[str, str], name: str) -> Json:
        size, page = int(fields["pagesize"]), int(fields["page"])
        if size > self.page_limit:
            raise Refused(431, f"Page size can not exceed max allowed page size value: {self.page_limit}")
        shown = found[(page - 1) * size : page * size]
        return {"count": len(found), name: shown} if found else {}


def _owner(user: User, fields: dict[str, str]) -> str:
    return fields.get("projectid", user.name)


def _no_entity(name: str, value: str) -> str:
    return (
        f"Unable to execute API command due to invalid value. Invalid parameter {name} value={value} due to incorrect "
        "long value format, or entity does not exist or due to incorrect parameter annotation for the field in api cmd."
    )


def _json(status: int, content: Json) -> Reply:
    return Reply(status, json.dumps(content).encode(), "application/json")
