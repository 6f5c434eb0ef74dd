"""The tables of OpenStack's databases, made once by the services' own migrations, which take a minute of CPU time.

What is in them holds no port and no path, so that copies serve any cloud: nova's cells take theirs from nova.conf.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from devenv.controlplane.assets import free_port
from devenv.failure import Failure
from devenv.openstack_processes import ENVIRONMENT, mariadb
from devenv.openstack_settings import PASSWORD, Layout, Region, files
from devenv.process import Supervisor

REGIONS = ("RegionOne", "RegionTwo")
_CELL = "{scheme}://{username}:{password}@{hostname}:{port}/"


def make(venv: Path, directory: Path) -> Path:
    """MariaDB's directory, within `directory`, for as many regions as there are."""
    regions = tuple(Region(name, number, 0, 0, 0, 0) for number, name in enumerate(REGIONS))
    layout = Layout(directory, venv, free_port(), 0, 0, regions)
    write(layout)
    data = directory / "mariadb"
    install = ["mariadb-install-db", f"--defaults-file={directory}/mariadb.cnf", "--skip-test-db"]
    _run([*install, "--auth-root-authentication-method=normal"])
    supervisor = Supervisor(directory, tied=True)
    database = mariadb(layout)
    supervisor.start(database)
    try:
        supervisor.wait_ready(database)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(_chain, _chains(layout)))
    finally:
        supervisor.stop("mariadb")
    return data


def write(layout: Layout) -> None:
    """All configuration files, and keystone's keys, as `keystone-manage fernet_setup` would make them."""
    for path, content in files(layout).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    for name in ("fernet", "credential-keys"):
        (layout.directory / name).mkdir(mode=0o700)
        for key in ("0", "1"):
            (layout.directory / name / key).write_bytes(urlsafe_b64encode(secrets.token_bytes(32)))


def _chains(layout: Layout) -> list[list[list[str]]]:
    """Commands that have to follow one another; the chains may go side by side."""
    keystone = _tool(layout, "keystone-manage", layout.etc("keystone") / "keystone.conf")
    chains = [_nova(layout, region) for region in layout.regions]
    chains += [[*_others(layout, region)] for region in layout.regions]
    return [*chains, [[*keystone, "db_sync"], [*keystone, "bootstrap", "--bootstrap-password", PASSWORD]]]


def _nova(layout: Layout, region: Region) -> list[list[str]]:
    manage = _tool(layout, "nova-manage", layout.etc("nova", region) / "nova.conf")
    cell0 = f"{_CELL}{region.database('nova_cell0')}?{{query}}"
    cell1 = ["--database_connection", f"{_CELL}{{path}}?{{query}}", "--transport-url", f"{_CELL}{{path}}"]
    return [
        [*manage, "api_db", "sync"],
        [*manage, "cell_v2", "map_cell0", "--database_connection", cell0],
        [*manage, "db", "sync"],
        [*manage, "cell_v2", "create_cell", "--name", "cell1", *cell1],
    ]


def _others(layout: Layout, region: Region) -> list[list[str]]:
    etc = layout.etc("neutron", region)
    return [
        [*_tool(layout, "glance-manage", layout.etc("glance", region) / "glance-api.conf"), "db_sync"],
        [*_tool(layout, "placement-manage", layout.etc("placement", region) / "placement.conf"), "db", "sync"],
        [
            *_tool(layout, "neutron-db-manage", etc / "neutron.conf", etc / "plugins" / "ml2" / "ml2_conf.ini"),
            "upgrade",
            "head",
        ],
    ]


def _tool(layout: Layout, name: str, *configuration: Path) -> list[str]:
    return [f"{layout.venv}/bin/{name}", *(word for path in configuration for word in ("--config-file", str(path)))]


def _chain(commands: Sequence[Sequence[str]]) -> None:
    for command in commands:
        _run(command)


def _run(command: Sequence[str]) -> None:
    environment = {**os.environ, **ENVIRONMENT}
    result = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        lines = (result.stdout + result.stderr).strip().splitlines() or ["no reason given"]
        raise Failure(f"{Path(command[0]).name} failed: {lines[-1]}")
