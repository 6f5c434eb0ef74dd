"""A whole setup in one directory, for the demo and the end-to-end tests: control plane, CRDs, moto and operators,
beside
whatever else runs on the machine.

Its moto listens on a free port, so that the examples' port 5000 stays whoever's it is; `manifest` says where they
point.
Everything ends with the process that made it, however that ends.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from cloudherd.clouds.simulated.control import SimulatedCloud
from devenv import controlplane
from devenv.controlplane import ControlPlane
from devenv.controlplane.assets import free_port
from devenv.process import Process, Supervisor
from devenv.up import apply_crds, listens

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples" / "two-clouds"
EXAMPLE_ENDPOINT = "http://127.0.0.1:5000"


@dataclass
class Stage:
    """`directory` holds all state and logs. A context manager: control plane and moto run within the block."""

    directory: Path
    plane: ControlPlane = field(init=False)
    supervisor: Supervisor = field(init=False)
    moto_port: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(self.directory, tied=True)
        self.plane = controlplane.choose(self.supervisor, tied=True)

    def __enter__(self) -> Stage:
        try:
            self.plane.start()
            apply_crds(self.plane, ROOT / "crds")
            self.start_moto()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._stop()

    def _stop(self) -> None:
        for name in ("operator", "gateway", "agent", "moto"):
            self.supervisor.stop(name)
        self.plane.stop()

    # -- moto

    @property
    def moto_url(self) -> str:
        return f"http://127.0.0.1:{self.moto_port}"

    def start_moto(self) -> None:
        """On the same port as before, so that accounts find it again."""
        self.moto_port = self.moto_port or free_port()
        command = [sys.executable, "-m", "devenv.moto", "--port", str(self.moto_port)]
        moto = Process("moto", command, directory=ROOT, ready=lambda: listens(self.moto_port))
        self.supervisor.start(moto)
        self.supervisor.wait_ready(moto)

    def manifest(self, path: Path) -> str:
        """A manifest of the examples, with its EC2 endpoint at this stage's moto."""
        return path.read_text().replace(EXAMPLE_ENDPOINT, self.moto_url)

    def simulated(self, account: str) -> SimulatedCloud:
        """The truth at the simulated cloud of an account, `<namespace>.<name>`."""
        return SimulatedCloud.of(account, self.directory / "clouds")

    # -- operators

    def start_operator(self, name: str = "operator", program: str = "all_in_one", **settings: str) -> None:
        """Returns when it has listed everything. `settings` are CLOUDHERD_ settings by their names in lower case."""
        process = self._operator(name, program, {f"CLOUDHERD_{key.upper()}": value for key, value in settings.items()})
        self.supervisor.start(process)
        self.supervisor.wait_ready(process)

    def _operator(self, name: str, program: str, settings: Mapping[str, str]) -> Process:
        environment = {
            "KUBECONFIG": str(self.plane.kubeconfig),
            "CLOUDHERD_SIMULATED_DIR": str(self.directory / "clouds"),
            **settings,
        }
        command = [sys.executable, "-m", "kopf", "run", "--all-namespaces", str(ROOT / "operator" / f"{program}.py")]
        return Process(name, command, environment=environment, directory=ROOT)

    def kill(self, name: str = "operator") -> None:
        """SIGKILL, as a node that dies: nothing is cleaned up."""
        pid = self.supervisor.pid(name)
        if pid:
            os.kill(pid, signal.SIGKILL)
        self.supervisor.stop(name)
