"""The results as a table for people and a file for machines."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

Results = dict[str, Any]
Row = tuple[str, str, str]


def machine() -> dict[str, object]:
    info = Path("/proc/cpuinfo").read_text()
    model = next((line.partition(": ")[2] for line in info.splitlines() if line.startswith("model name")), "")
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 1024**2
    return {"cpus": os.cpu_count(), "cpu": model, "memoryGB": memory, "python": f"Python {platform.python_version()}"}


def revision(root: Path) -> str:
    """The checkout's commit; empty where there is none."""
    answer = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip()


def write(results: Results, path: Path) -> None:
    path.write_text(json.dumps(results, indent=1) + "\n")


def table(results: Results) -> str:
    rows = [row for name, rows_of in _ROWS.items() if name in results for row in rows_of(results[name])]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{name:<{widths[0]}}  {value:>{widths[1]}}  {target}".rstrip() for name, value, target in rows]
    where = results["machine"]
    head = f"{results['scale']} VMs; {where['cpus']} cores ({where['cpu']}), {where['memoryGB']} GB, {where['python']}"
    return "\n".join([head, "", *lines])


def _converge(found: Results) -> list[Row]:
    floor, what = found["floor"], found["what"]
    ratio = found["seconds"] / floor["seconds"]
    others = found["otherWritesPerVm"]
    return [
        (f"converge {what}: {found['vms']} VMs", f"{found['seconds']:.1f} s", ""),
        ("  VMs a second", f"{found['vmsPerSecond']:.0f}", ""),
        ("  floor", f"{floor['seconds']:.1f} s", ""),
        ("  wall / floor", f"{ratio:.2f}", "<= 1.5"),
        ("  CPU per VM, operator", f"{found['operatorCpuMsPerVm']:.1f} ms", ""),
        (
            "  CPU per VM, API server (floor)",
            f"{found['serverCpuMsPerVm']:.1f} ({floor['serverCpuMsPerVm']:.1f}) ms",
            "",
        ),
        ("  writes per VM, on its Instance", f"{found['writesPerVm']:.2f}", "<= 3"),
        ("  writes per VM, other kinds", f"{others:.2f}", ""),
        ("  cloud calls per VM, but listings", f"{found['cloudCallsPerVm']:.3f}", "<= 1.05"),
        ("  operator's memory then", f"{found['operatorMemoryMB']:.0f} MB", ""),
    ]


def _teardown(found: Results) -> list[Row]:
    return [
        (f"teardown {found['what']}", f"{found['seconds']:.1f} s", ""),
        ("  writes per VM, on its Instance", f"{found['writesPerVm']:.2f}", "<= 2"),
        ("  CPU per VM, operator", f"{found['operatorCpuMsPerVm']:.1f} ms", ""),
    ]


def _idle(found: Results) -> list[Row]:
    return [
        (f"idle for {found['seconds']:.0f} s: writes", f"{found['writesInAll']}", "0"),
        ("  CPU of one core", f"{found['operatorCpuPercent']:.2f} %", "<= 1 %"),
        ("  memory (peak)", f"{found['memoryMB']:.0f} ({found['peakMemoryMB']:.0f}) MB", "<= 260 MB"),
        ("  read from the API server", f"{found['bytesRead'] / 1000:.1f} kB", ""),
    ]


def _latency(what: str, target: str) -> Any:
    def rows(found: Results) -> list[Row]:
        shares = (f"{1000 * found[one]:.0f}" for one in ("p50", "p95", "p99"))
        return [(f"{what}, p50/p95/p99", f"{'/'.join(shares)} ms", target)]

    return rows


def _churn(found: Results) -> list[Row]:
    return [
        (f"churn: {found['lost']} VMs vanish; whole again", f"{found['seconds']:.1f} s", ""),
        ("  writes / cloud calls", f"{found['writesInAll']} / {sum(found['cloudCalls'].values())}", ""),
    ]


def _restart(found: Results) -> list[Row]:
    return [
        ("restart: acts on a change again", f"{found['seconds']:.1f} s", "<= 10 s"),
        ("  reads / writes", f"{found['requests']} / {found['writesInAll']}", ""),
        ("  CPU until it rests", f"{found['operatorCpuSeconds']:.1f} s", ""),
    ]


def _plan(found: Results) -> list[Row]:
    return [
        (
            f"plan of {found['vms']} Instances, {found['accounts']} accounts",
            f"{found['oneNextMs']:.0f} ms",
            "<= 100 ms",
        ),
        ("  the first in a process", f"{found['oneFirstMs']:.0f} ms", ""),
        (f"  of {found['clusters']} small clusters, all", f"{found['allManyMs']:.0f} ms", ""),
    ]


_ROWS = {
    "plan": _plan,
    "convergeMany": _converge,
    "idle": _idle,
    "react": _latency("react: scale to launch", "p95 <= 500 ms"),
    "full": _latency("  full to the next cloud", "<= 2000 ms"),
    "churn": _churn,
    "restart": _restart,
    "teardownMany": _teardown,
    "convergeOne": _converge,
    "teardownOne": _teardown,
}
