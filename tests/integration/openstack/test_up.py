"""make up CLOUDS=openstack and make down, with the operator itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from devenv import up
from devenv.controlplane.assets import free_port
from devenv.up import listens

pytestmark = pytest.mark.openstack

CHECKOUT = Path(__file__).parents[3]
UP = "import sys; from pathlib import Path; from devenv.up import up; up(Path(sys.argv[1]), *map(int, sys.argv[2:]))"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Of a checkout that nobody else works in."""
    for name in ("CLOUDHERD_KUBECONFIG", "KUBEBUILDER_ASSETS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDS", "openstack")
    for name in ("crds", "operator"):
        shutil.copytree(CHECKOUT / name, tmp_path / name)
    yield tmp_path
    up.down(tmp_path)


def test_the_examples_account_becomes_ready_and_down_leaves_nothing(root: Path) -> None:
    local, ports = root / ".local", (free_port(), free_port())
    subprocess.run([sys.executable, "-c", UP, str(root), *map(str, ports)], cwd=CHECKOUT, check=True)
    pids = [int(path.read_text()) for path in local.rglob("*.pid") if path.with_suffix(".command").exists()]
    assert len(pids) > 13, "etcd, API server and operator beside OpenStack's"

    kubectl = [f"{local}/bin/kubectl", f"--kubeconfig={local}/kubeconfig"]
    subprocess.run([*kubectl, "apply", "-f", "-"], input=account_at(ports[1]), text=True, check=True)
    ready = ["-n", "physics", "wait", "--for=condition=Ready", "--timeout=90s", "cloudaccount/home"]
    subprocess.run([*kubectl, *ready], check=True)
    look = [*kubectl, "-n", "physics", "get", "cloudaccount", "home", "-o", "json"]
    said = subprocess.run(look, capture_output=True, check=True)
    assert json.loads(said.stdout)["status"]["limit"]["instances"] == 4

    up.down(root)
    assert [pid for pid in pids if lives(pid)] == []
    assert not any(map(listens, ports))
    assert {path.suffix for path in (local / "openstack").iterdir()} == {".log"}


def lives(pid: int) -> bool:
    """One that only waits to be collected does not."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return False


def account_at(keystone_port: int) -> str:
    """The example's, with its namespace and its Secret."""
    text = (CHECKOUT / "examples" / "openstack" / "1-accounts.yaml").read_text()
    wanted = ("physics", "home", "openstack-keys")
    found = [one for one in yaml.safe_load_all(text) if one["metadata"]["name"] in wanted]
    assert text.count(":35357") == 1
    return yaml.safe_dump_all(found).replace(":35357", f":{keystone_port}")
