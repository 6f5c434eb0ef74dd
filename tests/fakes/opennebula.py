"""An OpenNebula front-end for tests: XML-RPC over real HTTP, answering as a real oned 7.5 was seen to answer.

No request token, names that are not unique, short listings, error classes that tell little, a scheduler that lets VMs
wait for a host for ever, no end for what boots, and VMs that stay known by their ID when they are done. An older
`version` answers as its source says, where that differs.
"""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET
import xmlrpc.client
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.httpserver import Reply, Request, Server
from tests.fakes.opennebula_machine import (
    ACTIVE,
    BOOT_FAILURE,
    BOOT_POWEROFF,
    BOOT_SUSPENDED,
    DONE,
    NAMES,
    PENDING,
    RUNNING,
    SAVE_SUSPEND,
    SHUTDOWN,
    SHUTDOWN_POWEROFF,
    STEP,
    Machine,
    Vectors,
    Version,
    put,
    several,
    single,
    vectors,
    write,
)

AUTHENTICATION, AUTHORIZATION, NO_EXISTS, ACTION, API, INTERNAL, ALLOCATE = (
    *(0x100, 0x200, 0x400, 0x800, 0x1000, 0x2000),
    0x4000,
)
REST = {
    "poweroff": (SHUTDOWN_POWEROFF, (8, 0)),
    "poweroff-hard": (SHUTDOWN_POWEROFF, (8, 0)),
    "suspend": (SAVE_SUSPEND, (5, 0)),
}
WAKING = {(8, 0): BOOT_POWEROFF, (5, 0): BOOT_SUSPENDED}
_NO_WORD = re.compile(r"\$(?![A-Za-z])")
_WORD = re.compile(r"\$[A-Za-z_]+(\[\w+\])?")


class Refused(Exception):
    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


@dataclass
class User:
    id: int
    name: str
    password: str
    quota: dict[str, float] = field(default_factory=dict)


class OpenNebula(Server):
    """`ahead`: seconds by which its clock is."""

    def __init__(self, version: Version = (7, 5), ahead: int = 0) -> None:
        super().__init__()
        self.version = version
        self.ahead = ahead
        self.users = [User(3, "alice", "open sesame"), User(4, "bob", "bobs-own-word")]
        self.group_quota: dict[str, float] = {}
        self.default_quota: dict[str, float] = {}
        self.shows_groups = True
        self.templates: dict[int, tuple[str, Vectors]] = {}
        self.images = {7: "debian-12", 8: "twice", 9: "twice"}
        self.owners = {9: "bob"}  # of images; the others are oneadmin's
        self.networks = {1: "campus"}
        self.machines: dict[int, Machine] = {}
        self.actions: list[tuple[str, str]] = []
        """What was taken of vm.action, with the VM's ID before it."""
        self.host_cpus = 1e9
        self.leases = 1 << 16
        self.deaf = False  # or guests do not shut down when they are told to
        self.ends = True  # or a terminate is taken, and the VM runs on
        self.rights = True  # or a group without CREATE on TEMPLATE
        self.add_template("small", CPU="1", MEMORY="2048")

    def add_template(self, name: str, **attributes: str) -> int:
        number = 100 + len(self.templates)
        disk = {"IMAGE": "debian-12", "IMAGE_UNAME": "oneadmin", "DEV_PREFIX": "vd"}
        context = {"NETWORK": "YES", "SSH_PUBLIC_KEY": "$USER[SSH_PUBLIC_KEY]"}
        more: Vectors = [("DISK", disk), ("DISK", {"SIZE": "512"}), ("NIC", {"NETWORK_ID": "1"}), ("CONTEXT", context)]
        self.templates[number] = (name, [*attributes.items(), *more])
        return number

    # -- the wire

    def operation(self, request: Request) -> str:
        try:
            _, method = xmlrpc.client.loads(request.body)
        except Exception:  # noqa: BLE001 - what is no XML-RPC has no name
            return ""
        return (method or "").removeprefix("one.")

    def serve(self, request: Request) -> Reply:
        if request.path != "/RPC2":
            return Reply(404, b"not here")
        parameters, method = xmlrpc.client.loads(request.body)
        name = (method or "").removeprefix("one.")
        call: Callable[..., Any] | None = getattr(self, f"one_{name.replace('.', '_')}", None)
        if call is None:
            return _xml(xmlrpc.client.dumps(xmlrpc.client.Fault(-506, f"Method '{method}' not defined")))
        try:
            told = [True, call(self._user(name, *parameters[:1]), *parameters[1:]), 0, -1]
        except Refused as refused:
            told = [False, f"[one.{name}] {refused}", refused.code, -1, -1]
        except TypeError:
            return _xml(xmlrpc.client.dumps(xmlrpc.client.Fault(-501, "Not enough parameters")))
        return _xml(xmlrpc.client.dumps((told,), methodresponse=True))

    def _user(self, name: str, session: object = "") -> User:
        user = next((one for one in self.users if f"{one.name}:{one.password}" == session), None)
        if user is None:
            raise Refused(AUTHENTICATION, "User couldn't be authenticated, aborting call.")
        self._schedule()
        return user

    # -- what a caller may ask

    def one_user_info(self, user: User, _which: int) -> str:
        root = ET.Element("USER")
        put(root, {"ID": user.id, "GID": 100, "GNAME": "users", "NAME": user.name, "ENABLED": 1})
        self._quotas(root, user.quota, self._used(user.id))
        defaults = ET.SubElement(ET.SubElement(root, "DEFAULT_USER_QUOTAS"), "VM_QUOTA")
        if self.default_quota:
            put(ET.SubElement(defaults, "VM"), self.default_quota)
        return _text(root)

    def one_group_info(self, _user: User, _which: int) -> str:
        if not self.shows_groups:
            raise Refused(AUTHORIZATION, "Not authorized to perform USE GROUP [100].")
        root = ET.Element("GROUP")
        put(root, {"ID": 100, "NAME": "users"})
        self._quotas(root, self.group_quota, self._used(None))
        return _text(root)

    def one_templatepool_info(self, _user: User, _filter: int, _start: int, _end: int) -> str:
        return _pool("VMTEMPLATE_POOL", [self._template_xml(number) for number in self.templates])

    def one_template_info(self, _user: User, number: int) -> str:
        if number not in self.templates:
            raise Refused(NO_EXISTS, f"Error getting virtual machine template [{number}].")
        return _text(self._template_xml(number))

    def one_imagepool_info(self, _user: User, _filter: int, _start: int, _end: int) -> str:
        return _pool("IMAGE_POOL", [_named("IMAGE", *one, self.owners.get(one[0])) for one in self.images.items()])

    def one_vnpool_info(self, _user: User, _filter: int, _start: int, _end: int) -> str:
        return _pool("VNET_POOL", [_named("VNET", *one) for one in self.networks.items()])

    def one_secgrouppool_info(self, _user: User, _filter: int, _start: int, _end: int) -> str:
        return _pool("SECURITY_GROUP_POOL", [_named("SECURITY_GROUP", 0, "default")])

    def one_vmpool_info(self, user: User, which: int, _start: int, _end: int, state: int) -> str:
        now = time.monotonic()
        found = [one for one in self.machines.values() if which != -3 or one.uid == user.id]
        shown = [one for one in reversed(found) if state == -2 or one.state(now)[0] != DONE]
        return _pool("VM_POOL", [self._vm(one, short=True) for one in shown])

    def one_vm_info(self, _user: User, number: int) -> str:
        return _text(self._vm(self._machine(number), short=False))

    def one_template_instantiate(self, user: User, number: int, name: str, hold: bool, extra: str, _copy: bool) -> int:
        if number not in self.templates:
            raise Refused(NO_EXISTS, f"Error getting virtual machine template [{number}].")
        if not self.rights and extra:
            raise Refused(AUTHORIZATION, "Not authorized to perform CREATE TEMPLATE.")
        if re.search(r"[&|:\\\";/'#{}$<>\s]", name):
            raise Refused(
                ALLOCATE, "Error allocating a new virtual machine template. Invalid NAME, char is not allowed."
            )
        base, over = self.templates[number][1], vectors(ET.fromstring(extra))
        replaced = {key for key, _ in over}
        whole: Vectors = [*over, *((key, value) for key, value in base if key not in replaced)]
        self._check_quota(user, whole)
        machine = Machine(len(self.machines) + 1000, user.id, name, self._resolved(whole), time.monotonic())
        known = ("CPU", "MEMORY", "DISK", "NIC", "CONTEXT")
        machine.user_template = {key: value for key, value in whole if key not in known and isinstance(value, str)}
        machine.forced = (2, 0) if hold else None
        self.machines[machine.id] = machine
        return machine.id

    def one_vm_action(self, user: User, action: str, number: int) -> int:
        machine, now = self._machine(number), time.monotonic()
        state, lcm = machine.state(now)
        if machine.uid != user.id:
            raise Refused(AUTHORIZATION, f"Not authorized to perform MANAGE VM [{number}].")
        if action in REST or action == "resume":
            self._power(machine, action, (state, lcm))
            self.actions.append((str(number), action))
            return number
        if state == DONE or (lcm == SHUTDOWN and action == "terminate-hard"):
            return number
        if state == ACTIVE and lcm not in (RUNNING, BOOT_FAILURE):
            words = f'Error performing action "terminate": Could not terminate VM {number}, wrong state {NAMES[lcm]}.'
            raise Refused(ACTION, words)
        self.actions.append((str(number), action))
        if self.ends:
            machine.ending_at = now if (state, lcm) == (ACTIVE, RUNNING) else None
            machine.done_at = now + 2 * STEP if machine.ending_at else now
        return number

    def _power(self, machine: Machine, action: str, state: tuple[int, int]) -> None:
        down = state == (ACTIVE, RUNNING) or (action == "poweroff-hard" and state == (ACTIVE, SHUTDOWN_POWEROFF))
        if state not in WAKING if action == "resume" else not down:
            words = f'Error performing action "{action}": This action is not available for state {state[0]}'
            raise Refused(ACTION, words)
        lcm, machine.forced = REST[action] if action in REST else (WAKING[state], (ACTIVE, RUNNING))
        if self.deaf and action == "poweroff":
            machine.forced = (ACTIVE, RUNNING)  # its driver has waited long enough
        machine.passing = lcm, time.monotonic() + STEP

    # -- what a test looks at and changes behind the callers' backs

    def living(self) -> list[Machine]:
        now = time.monotonic()
        return [one for one in self.machines.values() if one.state(now)[0] != DONE]

    def user_data(self, vm_id: str) -> bytes:
        """As a guest reads them: decoded only where CONTEXT says that they are encoded."""
        (context,) = several(self.machines[int(vm_id)].template, "CONTEXT")
        data = context.get("USER_DATA", "")
        return b64decode(data) if context.get("USER_DATA_ENCODING") == "base64" else data.encode()

    # -- within

    def _vm(self, machine: Machine, *, short: bool) -> ET.Element:
        now = time.monotonic()
        made = int(time.time() - (now - machine.made_at)) + self.ahead
        return machine.xml(now, made, short=self.version if short else None)

    def _machine(self, number: int) -> Machine:
        if number not in self.machines:
            raise Refused(NO_EXISTS, f"Error getting virtual machine [{number}].")
        return self.machines[number]

    def _schedule(self) -> None:
        now, living = time.monotonic(), self.living()
        free = self.host_cpus - sum(float(single(one.template, "CPU")) for one in living if one.placed_at is not None)
        for one in living:
            if one.state(now)[0] != PENDING or now < one.made_at + STEP:
                continue
            wanted = float(single(one.template, "CPU"))
            if wanted <= free:
                one.placed_at, free = now, free - wanted
                one.user_template.pop("SCHED_MESSAGE", None)
            else:
                tried = time.strftime("%a %b %e %H:%M:%S %Y")
                one.user_template["SCHED_MESSAGE"] = f"{tried}: {self._no_host()}"

    def _no_host(self) -> str:
        if self.version >= (7, 2):
            return "[HOST] Not enough CPU on hosts: 0,1,2"
        return (
            "Cannot dispatch VM to any Host. Possible reasons: Not enough capacity in Host or System DS, dispatch limit"
        )

    def _used(self, uid: int | None) -> dict[str, float]:
        living = [one for one in self.living() if uid in (None, one.uid)]
        cpus = sum(float(single(one.template, "CPU")) for one in living)
        memory = sum(float(single(one.template, "MEMORY")) for one in living)
        return {"VMS": len(living), "CPU": cpus, "MEMORY": memory}

    def _quotas(self, root: ET.Element, quota: dict[str, float], used: dict[str, float]) -> None:
        parent = ET.SubElement(root, "VM_QUOTA")
        if not (quota or used["VMS"]):
            return
        vm = ET.SubElement(parent, "VM")
        for name, amount in used.items():
            put(vm, {name: quota.get(name, -1), f"{name}_USED": amount})

    def _check_quota(self, user: User, template: Vectors) -> None:
        wanted = {"VMS": 1.0, **{name: float(single(template, name)) for name in ("CPU", "MEMORY")}}
        holders = ((f"user [{user.id}]", user.quota, user.id), ("group [100]", self.group_quota, None))
        for who, quota, uid in holders:
            used = self._used(uid)
            for name, limit in quota.items():
                if limit >= 0 and used[name] + wanted[name] > limit:
                    words = f"User [{user.id}] : {who} limit of {limit:g} reached for {name} quota in VM."
                    raise Refused(AUTHORIZATION, words)

    def _resolved(self, template: Vectors) -> Vectors:
        """Disks checked, addresses leased, CONTEXT expanded."""
        made: Vectors = []
        for key, value in template:
            if key == "DISK" and isinstance(value, dict):
                image = value.get("IMAGE_ID")
                if image is not None and int(image) not in self.images:
                    raise Refused(ALLOCATE, f"DISK 0: Image with ID: {image} does not exist")
                made.append((key, value))
            elif key == "NIC" and isinstance(value, dict):
                made.append((key, {**value, "IP": self._lease(value.get("NETWORK_ID", ""))}))
            elif key == "CONTEXT" and isinstance(value, dict):
                made.append((key, {name: _expanded(text) for name, text in value.items()}))
            elif key in ("CPU", "MEMORY"):
                made.append((key, value))
        return made

    def _lease(self, network: str) -> str:
        if int(network) not in self.networks:
            raise Refused(ALLOCATE, f"Virtual network with ID: {network} does not exist")
        taken = {nic["IP"] for one in self.living() for nic in several(one.template, "NIC")}
        address = next((f"10.8.{n >> 8}.{n & 255}" for n in range(1, self.leases + 1)
                        if f"10.8.{n >> 8}.{n & 255}" not in taken), "")  # fmt: skip
        if not address:
            words = f"Cannot get IP/MAC lease from virtual network {network}."
            raise Refused(ALLOCATE, f"Error allocating a new virtual machine template. {words}")
        return address

    def _template_xml(self, number: int) -> ET.Element:
        name, template = self.templates[number]
        root = _named("VMTEMPLATE", number, name)
        write(ET.SubElement(root, "TEMPLATE"), template)
        return root


def _expanded(text: str) -> str:
    if _NO_WORD.search(text):
        raise Refused(ALLOCATE, f"Error parsing: {text[:20]}")
    return _WORD.sub("", text)


def _named(tag: str, number: int, name: str, owner: str | None = None) -> ET.Element:
    root = ET.Element(tag)
    put(root, {"ID": number, "UID": 0, "GID": 0, "UNAME": owner or "oneadmin", "GNAME": "oneadmin", "NAME": name})
    return root


def _pool(tag: str, items: list[ET.Element]) -> str:
    root = ET.Element(tag)
    root.extend(items)
    return _text(root)


def _text(root: ET.Element) -> str:
    return ET.tostring(root, encoding="unicode")


def _xml(text: str) -> Reply:
    return Reply(200, text.encode(), "text/xml")
