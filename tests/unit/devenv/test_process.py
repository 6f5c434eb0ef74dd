from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from devenv.failure import Failure
from devenv.process import Process, Supervisor, runs

READY = "import os, pathlib, signal; pathlib.Path(os.environ['CLOUDHERD_READY_FILE']).touch()\n"


def python(name: str, program: str) -> Process:
    return Process(name, [sys.executable, "-c", program])


WAITING = python("server", READY + "signal.pause()")
STUBBORN = python("server", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY + "signal.pause()")


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path)
    yield supervisor
    supervisor.stop("server")


def started(supervisor: Supervisor, process: Process) -> int:
    supervisor.start(process)
    supervisor.wait_ready(process)
    pid = supervisor.pid(process.name)
    assert pid
    return pid


def kill(pid: int) -> None:
    """Its parent does not collect it, and may never do so: it stays in the process table."""
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def ended(pid: int) -> None:
    with suppress(ProcessLookupError), os.fdopen(os.pidfd_open(pid)) as process:
        select.select([process], [], [])


def test_the_pid_file_names_the_process_that_does_the_work(supervisor: Supervisor) -> None:
    pid = started(supervisor, WAITING)
    assert int((supervisor.directory / "server.pid").read_text()) == pid
    assert runs(pid, WAITING.command)


def test_another_command_finds_the_process_again_and_starts_it_only_when_it_is_dead(supervisor: Supervisor) -> None:
    pid = started(supervisor, WAITING)
    another = Supervisor(supervisor.directory)
    assert another.start(WAITING) is False
    assert another.pid("server") == pid
    kill(pid)
    assert another.pid("server") is None
    assert another.start(WAITING) is True
    another.wait_ready(WAITING)
    assert another.stop("server")


def test_a_stopped_process_leaves_its_log_and_no_other_file(supervisor: Supervisor) -> None:
    pid = started(supervisor, WAITING)
    assert supervisor.stop("server") is True
    assert not runs(pid, WAITING.command)
    assert [path.name for path in supervisor.directory.iterdir()] == ["server.log"]
    assert supervisor.stop("server") is False


def test_a_process_id_that_went_to_somebody_else_is_not_touched(supervisor: Supervisor) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        (supervisor.directory / "server.pid").write_text(str(stranger.pid))
        (supervisor.directory / "server.command").write_text('["/usr/bin/something", "else"]')
        assert supervisor.pid("server") is None
        assert supervisor.stop("server") is False
        assert stranger.poll() is None
        stranger.communicate(b"\n")
        assert stranger.returncode == 0


def test_what_does_not_listen_is_killed_with_all_that_it_started(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devenv.process._STOP_TIMEOUT", 0.1)
    child = "import subprocess, sys; print(subprocess.Popen(['cat'], stdin=subprocess.PIPE).pid, flush=True)\n"
    parent = python("server", child + STUBBORN.command[2])
    pid = started(supervisor, parent)
    grandchild = int(supervisor.log("server").read_text())
    assert runs(grandchild, ["cat"])
    supervisor.stop("server")
    assert not runs(pid, parent.command)
    assert not runs(grandchild, ["cat"])


def test_a_process_that_ends_before_it_is_ready_is_reported_with_its_last_words(supervisor: Supervisor) -> None:
    failing = python("server", "raise SystemExit('the port is taken')")
    supervisor.start(failing)
    with pytest.raises(Failure, match=r"server ended before it was ready; .*server\.log is: the port is taken"):
        supervisor.wait_ready(failing)


def test_a_program_that_is_not_there_is_reported(supervisor: Supervisor) -> None:
    with pytest.raises(Failure, match="server cannot be started"):
        supervisor.start(Process("server", ["/nonexistent/program"]))


def test_a_ready_file_of_the_last_run_does_not_count(supervisor: Supervisor) -> None:
    pid = started(supervisor, WAITING)
    kill(pid)
    ends = python("server", "pass")
    supervisor.start(ends)
    with pytest.raises(Failure, match="before it was ready"):
        supervisor.wait_ready(ends)


def test_a_restart_keeps_the_log_and_a_new_start_begins_another(supervisor: Supervisor) -> None:
    talking = python("server", "print('begun', flush=True)\n" + READY + "signal.pause()")
    kill(started(supervisor, talking))
    supervisor.start(talking)
    supervisor.wait_ready(talking)
    assert supervisor.log("server").read_text() == "begun\nbegun\n"
    supervisor.stop("server")
    started(supervisor, talking)
    assert supervisor.log("server").read_text() == "begun\n"


STARTER = """
import os
import sys
from pathlib import Path
from devenv.process import Process, Supervisor
supervisor = Supervisor(Path(sys.argv[1]), tied=sys.argv[2] == "tied")
process = Process("server", sys.argv[3:])
supervisor.start(process)
supervisor.wait_ready(process)
"""


def test_what_is_started_outlives_its_starter_and_holds_none_of_its_pipes(supervisor: Supervisor) -> None:
    starter = [sys.executable, "-c", STARTER, str(supervisor.directory), "free", *WAITING.command]
    result = subprocess.run(
        starter, capture_output=True, text=True, check=True
    )  # returns when all ends of the pipes are closed
    assert result.stdout == result.stderr == ""
    assert supervisor.pid("server")


def test_a_tied_process_sees_its_standard_input_end_with_its_starter(supervisor: Supervisor) -> None:
    tied = python("server", READY + "input()")
    starter = [
        sys.executable,
        "-c",
        STARTER + "os.kill(os.getpid(), 9)",
        str(supervisor.directory),
        "tied",
        *tied.command,
    ]
    subprocess.run(starter, capture_output=True, check=False)
    ended(int((supervisor.directory / "server.pid").read_text()))
    assert "EOFError" in supervisor.log("server").read_text()
