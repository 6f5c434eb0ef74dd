"""`make e2e-kind`: the end-to-end tests on a kind cluster of their own, which is gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from devenv import toolchain
from devenv.failure import Failure

VERSION = "v0.33.0"
_CLUSTER = "cloudherd-e2e"


def run(root: Path) -> None:
    if not _docker_answers():
        raise Failure("e2e-kind needs a Docker engine, and `docker info` names none: start one, or use `make test`")
    kind = shutil.which("kind") or str(toolchain.installed("sigs.k8s.io/kind", VERSION))
    with tempfile.TemporaryDirectory() as directory:
        kubeconfig = f"{directory}/kubeconfig"
        cluster = ["--name", _CLUSTER, "--kubeconfig", kubeconfig]
        try:
            _checked([kind, "create", "cluster", *cluster, "--wait", "3m"], root)
            tests = [sys.executable, "-m", "pytest", "tests/e2e"]
            _checked(tests, root, CLOUDHERD_KUBECONFIG=kubeconfig)
        finally:
            _checked([kind, "delete", "cluster", *cluster], root)


def _docker_answers() -> bool:
    """A docker command may be there without an engine."""
    try:
        return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _checked(command: list[str], root: Path, **environment: str) -> None:
    result = subprocess.run(command, cwd=root, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, check=False)
    if result.returncode != 0:
        raise Failure(f"`{' '.join(command[:3])}` ended with status {result.returncode}")
