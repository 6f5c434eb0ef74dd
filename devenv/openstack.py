"""OpenStack on loopback, for development and tests: keystone, glance, placement, neutron and nova, the real ones, with
nova's fake host behind them. Never listens elsewhere.

python -m devenv.openstack DIRECTORY [--keystone-port 35357] [--regions 1]
Says on its last line where keystone listens once all is ready. Ends cleanly on SIGTERM and Ctrl-C; all state ends with
it, and DIRECTORY with the logs stays.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from devenv import openstack_processes as processes
from devenv import openstack_seed as seed
from devenv import openstack_toolchain
from devenv.controlplane.assets import free_port
from devenv.failure import Failure
from devenv.openstack_client import OpenStackClient, Refused
from devenv.openstack_settings import HOST, KEYSTONE_PORT, Layout, Region
from devenv.openstack_tables import REGIONS, write
from devenv.process import Process, Supervisor

LISTENING = "OpenStack: keystone listens on "
_PATIENCE = 180.0


class OpenStack:
    """The services of one keystone and some regions. A context manager: they run within the block."""

    def __init__(self, directory: Path, regions: int = 1, keystone_port: int = 0) -> None:
        self._made = openstack_toolchain.installed()
        self.layout = Layout(
            directory,
            self._made.venv,
            mariadb=free_port(),
            rabbit=free_port(),
            keystone=keystone_port or free_port(),
            regions=tuple(
                Region(name, number, *(free_port() for _ in range(4))) for number, name in enumerate(REGIONS[:regions])
            ),
        )
        self._supervisor = Supervisor(directory, tied=True)
        self._started: list[Process] = []

    @property
    def url(self) -> str:
        """spec.endpoint of accounts."""
        return f"http://{HOST}:{self.layout.keystone}"

    def admin(self, region: str = REGIONS[0]) -> OpenStackClient:
        return OpenStackClient(self.layout.auth_url, region)

    def __enter__(self) -> OpenStack:
        try:
            self._start_all()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.stop()

    def _start_all(self) -> None:
        layout = self.layout
        shutil.copytree(self._made.databases, layout.directory / "mariadb")
        write(layout)
        for region in layout.regions:
            shutil.copy(layout.venv / "etc" / "nova" / "api-paste.ini", layout.etc("nova", region))
            (layout.directory / region.database("nova")).mkdir()
        epmd, rabbit = processes.rabbit(layout, free_port(), free_port())
        self._start(epmd, processes.mariadb(layout))
        apis = (api for region in layout.regions for api in processes.apis(layout, region))
        self._start(rabbit, processes.keystone(layout), *apis)
        seed.identity(self.admin(), layout)
        self._start(*(worker for region in layout.regions for worker in processes.workers(layout, region)))
        for region in layout.regions:
            admin = self.admin(region.name)
            seed.region(admin, region.number)
            self._until(f"the host of {region.name}", lambda admin=admin: _has_host(admin))  # type: ignore[misc]

    def _start(self, *wanted: Process) -> None:
        """Together; returns when all are ready."""
        for process in wanted:
            self._supervisor.start(process)
            self._started.append(process)
        for process in wanted:
            self._supervisor.wait_ready(process)

    def _until(self, what: str, look: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not look():
            dead = [one.name for one in self._started if not self._supervisor.pid(one.name)]
            if dead or time.monotonic() > deadline:
                why = f"{dead[0]} has ended" if dead else f"not within {_PATIENCE:.0f} s"
                raise Failure(f"{what}: {why}; see the logs in {self.layout.directory}")
            time.sleep(0.2)

    # -- one service

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Within the block it does nothing, and what it is asked for waits."""
        pid = self._supervisor.pid(name)
        if not pid:
            raise Failure(f"{name} does not run")
        os.killpg(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(pid, signal.SIGCONT)

    def stop_keystone(self) -> None:
        self._supervisor.stop("keystone")

    def start_keystone(self) -> None:
        keystone = processes.keystone(self.layout)
        self._supervisor.start(keystone)
        self._supervisor.wait_ready(keystone)

    # -- the end

    def stop(self) -> None:
        """Kills them, for only the logs are kept: a good end takes 8 s where nothing else runs, and `make down` waits
        for 15.
        """
        for process in self._started:
            if pid := self._supervisor.pid(process.name):
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
        for process in self._started:
            self._supervisor.stop(process.name)
        for path in self.layout.directory.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.suffix != ".log":
                path.unlink()


def _has_host(admin: OpenStackClient) -> bool:
    try:
        found = admin.call("GET", "compute", "/os-hypervisors/detail")["hypervisors"]
    except Refused:
        return False
    return any(one["state"] == "up" and one["vcpus"] for one in found)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m devenv.openstack", description="OpenStack's services on loopback")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--keystone-port", type=int, default=KEYSTONE_PORT)
    parser.add_argument("--regions", type=int, default=1, choices=range(1, len(REGIONS) + 1))
    wanted = parser.parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit())  # out of whatever is under way, through the cloud's end
    shutil.rmtree(wanted.directory, ignore_errors=True)
    try:
        with OpenStack(wanted.directory.absolute(), wanted.regions, wanted.keystone_port) as cloud:
            cloud.admin().new_project("physics", instances=4)  # the examples'
            print(f"{LISTENING}{cloud.url}", flush=True)
            if ready := os.environ.get("CLOUDHERD_READY_FILE"):
                Path(ready).touch()
            signal.pause()
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
