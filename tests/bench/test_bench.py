"""`make bench` at its smallest, for regressions: what is counted and what is a ratio, never how long anything takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SMALLEST = 100

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
Results = dict[str, Any]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    path = tmp_path_factory.mktemp("bench") / "results.json"
    command = [sys.executable, "-m", "bench", str(SMALLEST), "--results", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "wall / floor" in done.stdout
    found: Results = json.loads(path.read_text())
    return found


@pytest.mark.parametrize("what", ["convergeMany", "convergeOne"])
def test_a_vm_costs_three_writes_of_its_record_and_one_call(results: Results, what: str) -> None:
    found = results[what]
    assert found["writesPerVm"] <= 3.0
    assert found["otherWritesPerVm"] <= 2.5
    assert found["cloudCallsPerVm"] <= 1.05
    assert found["refused"] == {}


@pytest.mark.parametrize("what", ["convergeMany", "convergeOne"])
def test_the_operator_works_less_than_the_server_of_a_bare_client(results: Results, what: str) -> None:
    found = results[what]
    assert found["operatorCpuMsPerVm"] <= found["floor"]["serverCpuMsPerVm"]


@pytest.mark.parametrize("what", ["teardownMany", "teardownOne"])
def test_the_end_of_a_vm_costs_two_writes(results: Results, what: str) -> None:
    assert results[what]["writesPerVm"] <= 2.0


def test_nothing_is_written_while_nothing_changes(results: Results) -> None:
    assert results["idle"]["writes"] == {}


def test_lost_vms_cost_what_new_ones_do_and_their_records_end(results: Results) -> None:
    """Failed is a sixth write; who depends on a lost master is replaced too."""
    writes = results["churn"]["writes"]
    made = writes["create instances"]
    assert results["churn"]["lost"] <= made <= results["churn"]["vms"]
    assert sum(count for name, count in writes.items() if " instances" in name) <= 6 * made


def test_a_restart_reads_each_kind_once(results: Results) -> None:
    lists = {name: count for name, count in results["restart"]["reads"].items() if name.startswith("LIST")}
    assert max(lists.values()) <= 2  # kopf lists those that it watches once more
    assert results["restart"]["writes"].get("create instances") == 1
