"""Starts, finds again and stops the processes of a development setup, by files in one directory.

`<name>.pid` holds the ID of the process that does the work itself, `<name>.command` its command line, `<name>.log` what
it says; `<name>.ready` is made by the process itself once it is. A process counts as ours only while the system shows
that command line under that ID: nothing else is ever signalled, though IDs are used again and files outlive a machine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from devenv.failure import Failure

_READY_TIMEOUT = 180.0
_STOP_TIMEOUT = 15.0
_POLL = 0.05


@dataclass(frozen=True)
class Process:
    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)  # beside our own
    directory: Path | None = None  # to run in
    ready: Callable[[], bool] | None = None  # left out, it makes the file that $CLOUDHERD_READY_FILE names


class Supervisor:
    """Keeps the processes whose files lie in one directory.

    They outlive the command that starts them and hold none of its pipes; unless they are `tied` to it, for tests: then
    each has a pipe as its standard input that ends with us, however we end.
    """

    def __init__(self, directory: Path, *, tied: bool = False) -> None:
        self.directory = directory
        self._tied = tied
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        directory.mkdir(parents=True, exist_ok=True)

    def log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def pid(self, name: str) -> int | None:
        """The process ID, if it runs."""
        if child := self._children.get(name):
            return child.pid if child.poll() is None else None
        try:
            pid = int(self._file(name, "pid").read_text())
            command = json.loads(self._file(name, "command").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if runs(pid, command) else None

    def start(self, process: Process) -> bool:
        """Starts what does not run, and says whether it had to. Does not wait."""
        if self.pid(process.name):
            return False
        restarted = self._file(process.name, "pid").exists()
        ready_file = self._file(process.name, "ready").absolute()
        ready_file.unlink(missing_ok=True)
        with self.log(process.name).open("ab" if restarted else "wb") as log:
            try:
                child = subprocess.Popen(
                    process.command,
                    cwd=process.directory,
                    env={**os.environ, **process.environment, "CLOUDHERD_READY_FILE": str(ready_file)},
                    stdin=subprocess.PIPE if self._tied else subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            except OSError as error:
                raise Failure(f"{process.name} cannot be started: {error}") from error
        self._children[process.name] = child
        self._file(process.name, "command").write_text(json.dumps(process.command))
        self._file(process.name, "pid").write_text(f"{child.pid}\n")
        return True

    def wait_ready(self, process: Process) -> None:
        ready = process.ready or self._file(process.name, "ready").exists
        deadline = time.monotonic() + _READY_TIMEOUT
        while True:
            if not self.pid(process.name):
                raise Failure(f"{process.name} ended before it was ready; {self._last_words(process.name)}")
            if ready():
                return
            if time.monotonic() > deadline:
                raise Failure(
                    f"{process.name} is not ready after {_READY_TIMEOUT:.0f} s; {self._last_words(process.name)}"
                )
            time.sleep(_POLL)

    def stop(self, name: str) -> bool:
        """Ends the process and waits for its end; says whether it ran. Its log stays."""
        pid = self.pid(name)
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
                self.wait_gone(name)
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # its group: itself, if it would not listen, and what it left behind
            self.wait_gone(name)
        if (child := self._children.pop(name, None)) and child.stdin:
            child.stdin.close()
        for suffix in ("pid", "command", "ready"):
            self._file(name, suffix).unlink(missing_ok=True)
        return pid is not None

    def wait_gone(self, name: str) -> None:
        """Until it has ended, but no longer than one that was killed may take."""
        deadline = time.monotonic() + _STOP_TIMEOUT
        while self.pid(name) and time.monotonic() < deadline:
            time.sleep(_POLL)

    def _last_words(self, name: str) -> str:
        lines = self.log(name).read_text(errors="replace").strip().splitlines()
        return f"the last line of {self.log(name)} is: {lines[-1] if lines else '(nothing)'}"

    def _file(self, name: str, suffix: str) -> Path:
        return self.directory / f"{name}.{suffix}"


def runs(pid: int, command: Sequence[str]) -> bool:
    """Whether the process lives and was started with this command; one that only waits to be collected does not."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1] == list(command)
        except (FileNotFoundError, ProcessLookupError):
            return False
    shown = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip().endswith(" ".join(command[1:]))  # some systems show another path of the program
