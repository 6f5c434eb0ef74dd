from __future__ import annotations

import sys
from pathlib import Path

import pytest

from devenv import venv


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("requirements-dev.lock", "pyproject.toml"):
        (tmp_path / name).write_text(name)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    monkeypatch.setattr(venv, "ROOT", tmp_path)
    monkeypatch.setattr(venv, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(venv, "PYTHON", tmp_path / ".venv/bin/python")
    monkeypatch.setattr(venv, "STAMP", tmp_path / ".venv/stamp")
    return tmp_path


def done(checkout: Path) -> None:
    venv.PYTHON.touch()
    venv.STAMP.write_text(venv.wanted())


def test_an_environment_made_from_this_lock_at_this_place_is_right(checkout: Path) -> None:
    assert not venv.right()
    done(checkout)
    assert venv.right()


@pytest.mark.parametrize("name", ["requirements-dev.lock", "pyproject.toml"])
def test_another_lock_asks_for_another_environment(name: str, checkout: Path) -> None:
    done(checkout)
    (checkout / name).write_text("changed")
    assert not venv.right()


def test_a_checkout_that_moved_asks_for_another_environment(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done(checkout)
    elsewhere = checkout.with_name("elsewhere")
    checkout.rename(elsewhere)
    for name in ("ROOT", "VENV", "PYTHON", "STAMP"):
        monkeypatch.setattr(venv, name, elsewhere / getattr(venv, name).relative_to(checkout))
    assert not venv.right()


def test_an_old_python_is_told_in_one_line_how_to_name_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    assert "needs Python 3.11 or newer" in (venv.missing() or "")


def test_a_python_without_venv_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert "module ensurepip is missing: install it" in (venv.missing() or "")


def test_a_command_that_fails_ends_in_one_line_with_its_own_reason(checkout: Path) -> None:
    failing = "print('much'); print('ERROR: no such package'); print('a notice'); raise SystemExit(1)"
    with pytest.raises(SystemExit, match=r"^pip install failed: ERROR: no such package$"):
        venv.run("pip install", sys.executable, "-c", failing)
