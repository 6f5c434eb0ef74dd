"""OpenStack from PyPI, in an environment of its own in the user's cache, with databases that are ready to copy.

Made once per version of what is here, outside the checkout; takes some minutes. The database server and the message
broker are the machine's (Debian's packages): neither is on PyPI.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devenv import openstack_tables
from devenv.failure import Failure
from devenv.files import locked
from devenv.toolchain import cache_directory

HERE = Path(__file__).parent
CONSTRAINTS = HERE / "openstack-constraints.txt"
PLUGINS = HERE / "openstack_plugins"
PACKAGES = ("keystone", "glance", "nova", "openstack-placement", "neutron", "pyuwsgi", "PyMySQL")
DEBIAN = ("mariadb-server-core", "rabbitmq-server")
_NEEDED = ("mariadbd", "mariadb-install-db", "/usr/lib/rabbitmq/bin/rabbitmq-server", "epmd")
_ENTRY_POINT = "[neutron.ml2.mechanism_drivers]\ncloudherd_agentless = cloudherd_agentless:Agentless\n"


@dataclass(frozen=True)
class Installed:
    """`databases` is a directory of MariaDB's with all tables made and nothing of a cloud in them, to be copied."""

    venv: Path
    databases: Path


def installed() -> Installed:
    """Makes it where this version of it was never made here. Failure, in a sentence, where it cannot be."""
    _machine_has_what_it_needs()
    directory = cache_directory() / f"openstack-{_key(CONSTRAINTS, *PLUGINS.glob('*.py'))}"
    found = Installed(directory / "venv", directory / f"databases-{_key(Path(openstack_tables.__file__))}")
    if not found.databases.exists():
        with locked(cache_directory() / "openstack.lock"):
            _make(found)
    return found


def _key(*sources: Path) -> str:
    digest = hashlib.sha256(f"{platform.machine()} {sys.version_info[:2]} {PACKAGES}".encode())
    for path in sorted(sources):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _make(wanted: Installed) -> None:
    stamp = wanted.venv / "complete"
    if not stamp.exists():
        print(f"installing OpenStack from PyPI into {wanted.venv}, once: this takes some minutes", flush=True)
        shutil.rmtree(wanted.venv, ignore_errors=True)  # its programs hold its path: it is made where it stays
        _install(wanted.venv)
        stamp.touch()
    if not wanted.databases.exists():
        print("making the tables of OpenStack's databases, once: this takes a minute or two", flush=True)
        with tempfile.TemporaryDirectory(dir=wanted.venv.parent, prefix="unfinished-") as unfinished:
            openstack_tables.make(wanted.venv, Path(unfinished)).replace(wanted.databases)


def _install(venv: Path) -> None:
    _run("python -m venv", [sys.executable, "-m", "venv", str(venv)])
    pip = [f"{venv}/bin/pip", "install", "--quiet", "--disable-pip-version-check", "-c", str(CONSTRAINTS)]
    _run("pip install", [*pip, *PACKAGES])
    (packages,) = venv.glob("lib/python*/site-packages")
    shutil.copy(PLUGINS / "cloudherd_host.py", packages / "nova" / "virt")
    shutil.copy(PLUGINS / "cloudherd_agentless.py", packages)
    metadata = packages / "cloudherd_agentless-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: cloudherd-agentless\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(_ENTRY_POINT)


def _machine_has_what_it_needs() -> None:
    if all(map(shutil.which, _NEEDED)):
        return
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *DEBIAN]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        packages = " ".join(DEBIAN)
        raise Failure(
            f"OpenStack's services need MariaDB and RabbitMQ: install them (on Debian: apt install {packages})"
        )
    print(f"installing {', '.join(DEBIAN)}", flush=True)
    policy = Path("/usr/sbin/policy-rc.d")  # Debian asks it whether a package may start its service
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        _run("apt-get update", ["apt-get", "update", "-qq"])
        _run("apt-get install", command)
    finally:
        if ours:
            policy.unlink()


def _run(what: str, command: Sequence[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # thousands of files, compiled once instead of at each start
    result = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        lines = (result.stdout + result.stderr).strip().splitlines() or ["no reason given"]
        errors = [line for line in lines if line.startswith("ERROR: ") and line != "ERROR: Exception:"]
        raise Failure(f"{what} failed: {errors[0] if errors else lines[-1]}")


if __name__ == "__main__":
    try:
        installed()
    except Failure as failure:
        sys.exit(str(failure))
