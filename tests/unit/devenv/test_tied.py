"""What is tied to its caller ends with it, and is the very process that does the work."""

from __future__ import annotations

import signal
import subprocess
import sys


def test_a_tied_module_runs_as_itself_and_ends_with_its_standard_input() -> None:
    command = [sys.executable, "-u", "-m", "devenv.tied", "http.server", "--bind", "127.0.0.1", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert "Serving HTTP" in process.stdout.readline(), "it got its own arguments"
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(30) == -signal.SIGTERM
