"""A provider in a package of its own, as docs/providers.md tells it: the example is installed, found and conforms."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "provider"
MADE = """
from cloudherd.clouds.factory import ThreadedCloudFactory
from cloudherd.clouds.registry import Registry

registry = Registry()
ThreadedCloudFactory(registry)("physics.shelf", "shelf", {"options": {"file": "shelf.db"}}, {})
print(*registry.names, registry.provider("shelf").__module__)
"""

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One in which the example is installed, in a directory of its own."""
    directory = tmp_path_factory.mktemp("provider")
    source = shutil.copytree(EXAMPLE, directory / "source", ignore=shutil.ignore_patterns("__pycache__"))
    installed = directory / "installed"
    flags = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(installed)]
    run([sys.executable, "-m", "pip", "install", *flags, str(source)], dict(os.environ))
    return {**os.environ, "PYTHONPATH": str(installed)}


def run(command: list[str], environment: dict[str, str], directory: Path | None = None) -> str:
    done = subprocess.run(
        command, env=environment, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_found_by_its_entry_point(environment: dict[str, str], tmp_path: Path) -> None:
    said = run([sys.executable, "-c", MADE], environment, tmp_path).split()
    assert {"ec2", "simulated", "shelf"} <= {*said[:-1]}
    assert said[-1] == "shelf_cloud"


def test_it_passes_the_conformance_suite(environment: dict[str, str], tmp_path: Path) -> None:
    said = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "shelf_cloud"], environment,
               tmp_path)  # fmt: skip
    summary = said.splitlines()[-1]
    assert "passed" in summary
    assert "failed" not in summary
