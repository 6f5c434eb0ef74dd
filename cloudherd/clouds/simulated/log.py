"""The log of calls to a simulated cloud: what reached it and what it answered, in the order of the events."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudherd.clouds.protocol import CloudError

OK = "ok"


@dataclass(slots=True)
class Entry:
    """A line being written. `arguments` are those that matter; never user data, never credentials."""

    operation: str
    vm: str = ""
    token: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    made: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A line of the log. `outcome` is `ok` or an ErrorKind as its caller saw it, `code` the cloud's word for it.

    `made` says that this call made the VM `vm`, whatever its caller got to know of it.
    """

    number: int
    at: float
    operation: str
    vm: str
    token: str
    arguments: Mapping[str, Any]
    outcome: str
    code: str
    made: bool


def append(db: sqlite3.Connection, at: float, entry: Entry, error: CloudError | None) -> None:
    outcome, code = (error.kind.value, error.code) if error else (OK, "")
    arguments = json.dumps(entry.arguments) if entry.arguments else "{}"
    values = (at, entry.operation, entry.vm, entry.token, arguments, outcome, code, entry.made)
    db.execute("INSERT INTO call VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", values)


def read(db: sqlite3.Connection, operation: str, after: int) -> Iterator[Call]:
    """In order, those after the number `after`; of one operation only where one is named."""
    rows = db.execute(
        "SELECT * FROM call WHERE number > ? AND (? = '' OR operation = ?) ORDER BY number",
        (after, operation, operation),
    )
    for number, at, name, vm, token, arguments, outcome, code, made in rows:
        yield Call(number, at, name, vm, token, json.loads(arguments), outcome, code, bool(made))
