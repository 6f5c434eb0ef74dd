"""A VM of the tests' OpenNebula: its states, as a real oned went through them, and its XML, short and whole."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field

STEP = 0.03  # seconds in each passing state
PENDING, HOLD, ACTIVE, POWEROFF, DONE = 1, 2, 3, 8, 6
PROLOG, BOOT, RUNNING, EPILOG, SHUTDOWN, BOOT_FAILURE = 1, 2, 3, 11, 12, 36
SAVE_SUSPEND, SHUTDOWN_POWEROFF, BOOT_POWEROFF, BOOT_SUSPENDED = 6, 18, 20, 21
NAMES = {PROLOG: "PROLOG", BOOT: "BOOT", EPILOG: "EPILOG", SHUTDOWN: "SHUTDOWN"}

Version = tuple[int, int]

Vectors = list[tuple[str, str | dict[str, str]]]
"""A template: attributes, some of them with values of their own, some of them more than once."""


def vectors(root: ET.Element) -> Vectors:
    return [(one.tag, {part.tag: part.text or "" for part in one} if len(one) else one.text or "") for one in root]


def single(template: Vectors, name: str, otherwise: str = "") -> str:
    return next((value for key, value in template if key == name and isinstance(value, str)), otherwise)


def several(template: Vectors, name: str) -> list[dict[str, str]]:
    return [value for key, value in template if key == name and isinstance(value, dict)]


def put(parent: ET.Element, values: Mapping[str, object]) -> None:
    for key, value in values.items():
        ET.SubElement(parent, key).text = str(value)


def write(parent: ET.Element, template: Vectors) -> None:
    for key, value in template:
        if isinstance(value, dict):
            put(ET.SubElement(parent, key), value)
        else:
            ET.SubElement(parent, key).text = value


@dataclass
class Machine:
    id: int
    uid: int
    name: str
    template: Vectors
    made_at: float
    user_template: dict[str, str] = field(default_factory=dict)
    placed_at: float | None = None
    ending_at: float | None = None
    done_at: float | None = None
    forced: tuple[int, int] | None = None
    passing: tuple[int, float] | None = None
    """An LCM_STATE until then, on the way to `forced`."""

    def state(self, now: float) -> tuple[int, int]:
        """STATE and LCM_STATE."""
        if self.done_at is not None and now >= self.done_at:
            return DONE, 0
        if self.ending_at is not None:
            return ACTIVE, SHUTDOWN if now < self.ending_at + STEP else EPILOG
        if self.passing and now < self.passing[1]:
            return ACTIVE, self.passing[0]
        if self.forced:
            return self.forced
        if self.placed_at is None:
            return PENDING, 0
        passed = now - self.placed_at
        return ACTIVE, PROLOG if passed < STEP else BOOT if passed < 2 * STEP else RUNNING

    def xml(self, now: float, made: int, *, short: Version | None) -> ET.Element:
        """`made`: when it was, by the server's own clock. `short`: as that version's listings show it."""
        root = ET.Element("VM")
        state, lcm = self.state(now)
        put(root, {"ID": self.id, "UID": self.uid, "GID": 100, "UNAME": f"u{self.uid}", "GNAME": "users"})
        put(root, {"NAME": self.name, "LAST_POLL": 0, "STATE": state, "LCM_STATE": lcm, "RESCHED": 0})
        put(root, {"STIME": made, "ETIME": 0, "DEPLOY_ID": ""})
        parts = [(key, value) for key, value in self.template if not short or key in ("CPU", "MEMORY", "NIC", "DISK")]
        write(ET.SubElement(root, "TEMPLATE"), parts)
        ET.SubElement(root, "MONITORING")
        told = {key: value for key, value in self.user_template.items() if not short or key in _shown(short)}
        put(ET.SubElement(root, "USER_TEMPLATE"), told)
        ET.SubElement(root, "HISTORY_RECORDS")
        return root


def _shown(version: Version) -> tuple[str, ...]:
    """Of a user template, in a listing."""
    return ("LABELS", "ERROR", "SCHED_MESSAGE") if version >= (6, 4) else ("LABELS",)
