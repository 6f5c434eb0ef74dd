"""Which control plane is taken; that they work is for tests/integration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from devenv import toolchain
from devenv.controlplane import ControlPlane, choose
from devenv.failure import Failure
from devenv.process import Supervisor


@pytest.fixture(autouse=True)
def _nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "program", lambda name: Path("/built") / name)


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "somebody's"
    path.touch()
    return path


@pytest.fixture
def binaries(tmp_path: Path) -> Path:
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in ("etcd", "kube-apiserver"):
        (directory / name).touch()
    return directory


def chosen(tmp_path: Path, environ: Mapping[str, str]) -> ControlPlane:
    return choose(Supervisor(tmp_path / "plane"), environ=environ)


def programs(plane: ControlPlane) -> list[str]:
    return [process.command[0] for process in plane.processes]


def test_a_named_kubeconfig_comes_first_and_nothing_is_started(
    tmp_path: Path, kubeconfig: Path, binaries: Path
) -> None:
    plane = chosen(tmp_path, {"CLOUDHERD_KUBECONFIG": str(kubeconfig), "KUBEBUILDER_ASSETS": str(binaries)})
    assert plane.kubeconfig == kubeconfig
    assert programs(plane) == []


def test_named_binaries_come_next_and_run_under_their_own_names(tmp_path: Path, binaries: Path) -> None:
    plane = chosen(tmp_path, {"CLOUDHERD_KUBECONFIG": "", "KUBEBUILDER_ASSETS": str(binaries)})
    assert programs(plane) == [f"{binaries}/etcd", f"{binaries}/kube-apiserver"]
    assert [process.name for process in plane.processes] == ["etcd", "controlplane"]


def test_controllers_run_where_the_binaries_hold_them(tmp_path: Path, binaries: Path) -> None:
    (binaries / "kube-controller-manager").touch()
    plane = chosen(tmp_path, {"KUBEBUILDER_ASSETS": str(binaries)})
    assert [process.name for process in plane.processes] == ["etcd", "controlplane", "controllers"]


def test_our_own_program_is_taken_where_nothing_is_named(tmp_path: Path) -> None:
    assert programs(chosen(tmp_path, {})) == ["/built/controlplane"]


def test_binaries_chosen_again_keep_port_and_token(tmp_path: Path, binaries: Path) -> None:
    first, second = (
        json.loads(chosen(tmp_path, {"KUBEBUILDER_ASSETS": str(binaries)}).kubeconfig.read_text()) for _ in range(2)
    )
    assert first == second
    assert first["users"][0]["user"]["token"]


def test_a_kubeconfig_that_is_not_there_is_said_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="CLOUDHERD_KUBECONFIG names /nowhere, which is no file: correct it, or unset it"):
        chosen(tmp_path, {"CLOUDHERD_KUBECONFIG": "/nowhere"})


def test_binaries_that_are_not_there_are_named(tmp_path: Path, binaries: Path) -> None:
    (binaries / "etcd").unlink()
    with pytest.raises(Failure, match="which holds no etcd"):
        chosen(tmp_path, {"KUBEBUILDER_ASSETS": str(binaries)})
