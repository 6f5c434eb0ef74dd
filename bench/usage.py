"""What a process and its children have used, as Linux tells it under /proc."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds of a process, its children, and those of them that have ended; memory of the process itself, and in
    all, in MB."""

    cpu: float
    resident: float
    peak: float
    family: float


def usage(pid: int) -> Usage:
    family = _family(pid)
    cpu = sum(_cpu(each) for each in family)
    resident, peak = _memory(pid, "VmRSS"), _memory(pid, "VmHWM")
    return Usage(cpu, resident, peak, sum(_memory(each, "VmRSS") for each in family))


def _family(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found


def _stat(pid: int) -> list[str]:
    """From the state on; empty where the process has ended."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _cpu(pid: int) -> float:
    return sum(int(ticks) for ticks in _stat(pid)[11:15]) / _TICKS


def _memory(pid: int, what: str) -> float:
    try:
        found = re.search(rf"^{what}:\s+(\d+) kB", (PROC / str(pid) / "status").read_text(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return int(found[1]) / 1024 if found else 0.0
