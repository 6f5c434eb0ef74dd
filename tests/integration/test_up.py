"""make up and make down, with an operator that only says that it watches."""

from __future__ import annotations

import http.server
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv import up
from devenv.controlplane.assets import free_port
from devenv.failure import Failure
from devenv.process import Supervisor
from tests.integration.waiting import eventually

pytestmark = pytest.mark.integration

CHECKOUT = Path(__file__).parents[2]
OPERATOR = """
import os, pathlib
import kopf

@kopf.on.startup()
def ready(**_):
    pathlib.Path(os.environ["CLOUDHERD_SIMULATED_DIR"]).mkdir(exist_ok=True)
    pathlib.Path(os.environ["CLOUDHERD_READY_FILE"]).touch()
"""
NAMES = ("controlplane", "moto", "operator")


class Setup:
    """A checkout with this project's CRDs and an operator of the test's own."""

    def __init__(self, root: Path) -> None:
        self.root, self.local, self.port = root, root / ".local", free_port()
        (root / "operator").mkdir()
        (root / "operator" / "all_in_one.py").write_text(OPERATOR)
        shutil.copytree(CHECKOUT / "crds", root / "crds")
        self.supervisor = Supervisor(self.local)

    def up(self) -> str:
        """In a process of its own, as make runs it; its output ends only when nothing holds its pipes."""
        program = (
            "import sys; from pathlib import Path; from devenv.up import up; up(Path(sys.argv[1]), int(sys.argv[2]))"
        )
        command = [sys.executable, "-c", program, str(self.root), str(self.port)]
        result = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def pids(self) -> dict[str, int | None]:
        return {name: self.supervisor.pid(name) for name in NAMES}

    def kubectl(self, *arguments: str) -> str:
        command = [str(self.local / "bin/kubectl"), f"--kubeconfig={self.local}/kubeconfig", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Setup]:
    monkeypatch.delenv("CLOUDHERD_KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    setup = Setup(tmp_path)
    yield setup
    up.down(tmp_path)


def test_up_starts_what_is_missing_and_down_ends_and_forgets_it_all(setup: Setup) -> None:
    setup.up()
    first = setup.pids()
    assert all(first.values()), first
    assert "instances.cloudherd.dev" in setup.kubectl("get", "crds", "-o", "name")
    setup.kubectl("create", "configmap", "kept")
    kubeconfig = (setup.local / "kubeconfig").read_text()

    setup.up()
    assert setup.pids() == first, "what lives is left alone"

    for name in ("controlplane", "operator"):
        os.kill(int((setup.local / f"{name}.pid").read_text()), signal.SIGKILL)
    eventually(lambda: not setup.supervisor.pid("controlplane") and not setup.supervisor.pid("operator"))
    setup.up()
    second = setup.pids()
    assert all(second.values())
    assert {name for name in NAMES if first[name] == second[name]} == {"moto"}, "only what was dead is started"
    setup.kubectl("get", "configmap", "kept")
    assert (setup.local / "kubeconfig").read_text() == kubeconfig

    up.down(setup.root)
    assert not any(setup.pids().values())
    assert {path.name for path in setup.local.iterdir()} == {"bin", "lock", *(f"{name}.log" for name in NAMES)}


def test_a_server_that_listens_already_is_left_to_serve_instead_of_moto(setup: Setup) -> None:
    with http.server.HTTPServer(("127.0.0.1", setup.port), http.server.BaseHTTPRequestHandler):
        assert f"port {setup.port}: something listens there already" in setup.up()
        assert setup.pids()["moto"] is None


def test_an_operator_that_dies_is_told_with_its_last_words(setup: Setup) -> None:
    (setup.root / "operator" / "all_in_one.py").write_text("raise RuntimeError('no such setting')")
    with pytest.raises(Failure, match=r"operator ended before it was ready; .*operator\.log is: .*no such setting"):
        up.up(setup.root, setup.port)
