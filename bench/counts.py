"""What was asked of the API server and of the clouds between two moments, by their own books."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from cloudherd.clouds.simulated import SimulatedCloud
from devenv.audit import AuditLog, Write

OPERATOR = "cloudherd"
_SAMPLE = re.compile(r"^(\w+)\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
READS = ("GET", "LIST", "WATCH")
APART = ("events", "leases")


@dataclass
class Counts:
    """Writes of the operator by `verb resource[/subresource]`; reads of everybody's but ours by `VERB resource`; bytes
    that the server sent to readers; calls to clouds by operation."""

    writes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)
    bytes_read: float = 0
    calls: Counter[str] = field(default_factory=Counter)

    @property
    def on_instances(self) -> int:
        return sum(count for name, count in self.writes.items() if _resource(name) == "instances")

    @property
    def on_others(self) -> int:
        """Of other kinds, Events and Leases apart."""
        return sum(count for name, count in self.writes.items() if _resource(name) not in ("instances", *APART))

    @property
    def all_writes(self) -> int:
        return self.on_instances + self.on_others

    @property
    def but_listings(self) -> int:
        return self.calls.total() - self.calls["list_vms"]

    def wire(self) -> dict[str, object]:
        return {
            "writes": dict(sorted(self.writes.items())),
            "refused": dict(sorted(self.refused.items())),
            "reads": dict(sorted(self.reads.items())),
            "bytesRead": int(self.bytes_read),
            "cloudCalls": dict(sorted(self.calls.items())),
        }


def _resource(name: str) -> str:
    return name.split()[1].partition("/")[0]


@dataclass(frozen=True)
class Moment:
    """Where all books stand."""

    audit: int
    reads: Mapping[str, float]
    bytes_read: float
    calls: Mapping[str, int]


def moment(log: AuditLog, metrics: str, clouds: Mapping[str, SimulatedCloud]) -> Moment:
    reads, sent = served(metrics)
    return Moment(log.position(), reads, sent, {name: _last_call(cloud) for name, cloud in clouds.items()})


def since(then: Moment, log: AuditLog, metrics: str, clouds: Mapping[str, SimulatedCloud]) -> Counts:
    counts = Counts()
    for write in log.writes(then.audit):
        if is_operators(write):
            name = f"{write.verb} {write.resource}{'/' + write.subresource if write.subresource else ''}"
            (counts.writes if write.status < 300 else counts.refused)[name] += 1
    reads, sent = served(metrics)
    counts.reads = Counter({name: int(now - then.reads.get(name, 0)) for name, now in reads.items()})
    counts.reads = +counts.reads
    counts.bytes_read = sent - then.bytes_read
    for name, cloud in clouds.items():
        counts.calls.update(call.operation for call in cloud.calls(after=then.calls[name]))
    return counts


def is_operators(write: Write) -> bool:
    return write.manager.startswith(OPERATOR)


def _last_call(cloud: SimulatedCloud) -> int:
    calls = cloud.calls()
    return calls[-1].number if calls else 0


def served(metrics: str) -> tuple[dict[str, float], float]:
    """Reads of the kinds that the operator reads, and bytes sent in answer to reads of any."""
    reads: dict[str, float] = defaultdict(float)
    sent = 0.0
    for name, labels, value in _SAMPLE.findall(metrics):
        if name == "apiserver_request_total":
            found = dict(_LABEL.findall(labels))
            if found["verb"] in READS and (found["group"] == "cloudherd.dev" or found["resource"] == "secrets"):
                reads[f"{found['verb']} {found['resource']}"] += float(value)
        elif name in ("apiserver_response_sizes_sum", "apiserver_watch_events_sizes_sum"):
            found = dict(_LABEL.findall(labels))
            if found.get("verb", "WATCH") in READS and found.get("group") == "cloudherd.dev":
                sent += float(value)
    return dict(reads), sent
