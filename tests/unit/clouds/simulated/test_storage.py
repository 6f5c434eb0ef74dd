"""A simulated cloud on disk: in its place, whole, and shared by processes that may be killed at any point."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from cloudherd.clouds.protocol import CloudError, Connection, ErrorKind
from cloudherd.clouds.simulated import Simulated, SimulatedCloud, cloud_directory, cloud_path
from cloudherd.clouds.simulated.storage import open_cloud

CREATOR = """
import sys
from pathlib import Path
from cloudherd.clouds.protocol import Connection, LaunchRequest
from cloudherd.clouds.simulated import Simulated

directory, name, count, *dies_before = sys.argv[1:]
if dies_before:
    import os, signal, sqlite3
    connect = sqlite3.connect
    def armed(*args, **kwargs):
        db = connect(*args, **kwargs)
        db.set_trace_callback(lambda sql: sql.startswith(dies_before[0]) and os.kill(os.getpid(), signal.SIGKILL))
        return db
driver = Simulated(directory=Path(directory)).connect(Connection("physics.home"))
if dies_before:
    driver.list_vms()
    driver.close()
    sqlite3.connect = armed
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(count)):
    vm_name = f"{name}-{number}"
    driver.create_vm(LaunchRequest(vm_name, vm_name, "sim.small", "sim-debian-12", {"cloudherd-name": vm_name}))
    print(vm_name, flush=True)
"""


def start(directory: Path, name: str, count: int, *dies_before: str) -> subprocess.Popen[str]:
    """A process that makes so many VMs once it is told to go."""
    command = [sys.executable, "-c", CREATOR, str(directory), name, str(count), *dies_before]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def assert_whole(truth: SimulatedCloud) -> None:
    """The file is sound, and VMs, log and tally tell the same story."""
    with closing(open_cloud(truth.path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT lasting FROM tally").fetchone() == (len(truth.vms()),)
    vms = truth.vms()
    assert [call.vm for call in truth.calls("create_vm") if call.made] == [vm.id for vm in vms]
    assert len({vm.private for vm in vms}) == len({vm.name for vm in vms}) == len(vms)


def test_processes_share_a_cloud(tmp_path: Path) -> None:
    processes = [start(tmp_path, name, 100) for name in ("a", "b")]
    for process in processes:
        go(process)
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    truth = SimulatedCloud.of("physics.home", tmp_path)
    assert {vm.name for vm in truth.vms()} == {f"{name}-{number}" for name in "ab" for number in range(100)}
    assert_whole(truth)


def test_a_process_killed_while_it_works_loses_nothing_that_it_was_told(tmp_path: Path) -> None:
    with start(tmp_path, "a", 1_000_000) as process:
        go(process)
        assert process.stdout is not None
        told = [process.stdout.readline().strip() for _ in range(50)]
        process.kill()
        told += process.stdout.read().split("\n")[:-1]  # without a line that was cut short
    assert process.returncode == -signal.SIGKILL
    truth = SimulatedCloud.of("physics.home", tmp_path)
    names = [vm.name for vm in truth.vms()]
    assert names[: len(told)] == told
    assert len(names) - len(told) in (0, 1)
    assert_whole(truth)


@pytest.mark.parametrize("statement", ["INSERT INTO vm", "INSERT INTO call", "COMMIT"])
def test_a_process_killed_in_the_middle_of_a_call_leaves_no_trace_of_it(tmp_path: Path, statement: str) -> None:
    with start(tmp_path, "a", 1, statement) as process:
        go(process)
    assert process.returncode == -signal.SIGKILL
    truth = SimulatedCloud.of("physics.home", tmp_path)
    assert truth.vms() == []
    assert [call.operation for call in truth.calls()] == ["list_vms"]
    assert_whole(truth)
    with start(tmp_path, "a", 1) as process:
        go(process)
    assert [vm.name for vm in truth.vms()] == ["a-0"]


def test_of_several_that_make_a_cloud_at_once_all_find_the_same_one(tmp_path: Path) -> None:
    path = cloud_path("physics.home", tmp_path)
    with ThreadPoolExecutor(8) as pool:
        for db in pool.map(lambda _: open_cloud(path), range(8)):
            db.execute("INSERT INTO fault (fault) VALUES ('x')")
            db.close()
    with closing(open_cloud(path)) as db:
        assert db.execute("SELECT count(*) FROM fault").fetchone() == (8,)
    assert not list(tmp_path.glob(".new-*"))


def test_a_cloud_lies_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLOUDHERD_SIMULATED_DIR", str(tmp_path / "clouds"))
    Simulated().connect(Connection("physics.home")).list_vms()
    assert (tmp_path / "clouds" / "physics.home.sqlite").is_file()


def test_without_a_word_it_lies_in_the_users_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CLOUDHERD_SIMULATED_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert cloud_directory() == tmp_path / "cloudherd" / "simulated"


def test_the_longest_names_of_accounts_have_files_of_their_own(tmp_path: Path) -> None:
    namespace, name = "n" * 63, "a" * 250
    paths = {cloud_path(f"{namespace}.{name}-{last}", tmp_path) for last in "xy"}
    assert len(paths) == 2
    for path in paths:
        open_cloud(path).close()


@pytest.mark.parametrize("account", ["", "../evil", "a/b", "Physics.home", "physics.", ".home"])
def test_what_is_no_account_has_no_file(account: str) -> None:
    with pytest.raises(CloudError) as caught:
        cloud_path(account)
    assert caught.value.kind is ErrorKind.INVALID


def test_a_place_that_cannot_be_written_is_told_in_one_sentence(tmp_path: Path) -> None:
    occupied = tmp_path / "a-file"
    occupied.touch()
    with pytest.raises(CloudError) as caught:
        Simulated(directory=occupied).connect(Connection("physics.home")).list_vms()
    assert caught.value.kind is ErrorKind.UNREACHABLE
    assert "CLOUDHERD_SIMULATED_DIR" in caught.value.message


def test_a_cloud_of_another_version_is_left_alone(tmp_path: Path) -> None:
    path = cloud_path("physics.home", tmp_path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(CloudError):
        Simulated(directory=tmp_path).connect(Connection("physics.home")).list_vms()


def test_a_cloud_that_comes_back_is_used_again(tmp_path: Path) -> None:
    driver = Simulated(directory=tmp_path).connect(Connection("physics.home"))
    blocker = cloud_path("physics.home", tmp_path)
    blocker.mkdir()
    with pytest.raises(CloudError):
        driver.list_vms()
    blocker.rmdir()
    assert driver.list_vms().vms == ()
