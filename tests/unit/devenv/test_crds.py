"""crds/ holds what the models say, and somebody notices when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv import crds


def test_the_files_do_not_drift_from_the_models() -> None:
    assert crds.drift(crds.DIRECTORY) == [], "run `make crds` and commit what it writes"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(crds, "DIRECTORY", tmp_path / "crds")
    crds.main([])
    return tmp_path / "crds"


def test_what_is_missing_differs_or_belongs_to_no_kind_is_drift(directory: Path) -> None:
    (directory / "instances.yaml").unlink()
    (directory / "contexts.yaml").write_text("kind: Other\n")
    (directory / "gone.yaml").write_text("")
    assert crds.drift(directory) == ["contexts.yaml", "gone.yaml", "instances.yaml"]


def test_the_check_fails_on_drift_and_writes_nothing(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert crds.main(["--check"]) == 0
    (directory / "instances.yaml").write_text("")
    capsys.readouterr()
    assert crds.main(["--check"]) == 1
    assert "instances.yaml: run `make crds`" in capsys.readouterr().out
    assert (directory / "instances.yaml").read_text() == ""


def test_writing_mends_the_drift(directory: Path) -> None:
    (directory / "instances.yaml").unlink()
    (directory / "gone.yaml").write_text("")
    assert crds.main([]) == 0
    assert crds.drift(directory) == []
