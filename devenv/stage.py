"""A whole setup in one directory, for the demo and the end-to-end tests: control plane, CRDs, moto and operators,
beside whatever else runs on the machine.

Its moto listens on a free port, so that the examples' port 5000 stays whoever's it is; `manifest` says where they
point. Everything ends with the process that made it, however that ends.
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
from devenv import access, controlplane
from devenv.controlplane import ControlPlane
from devenv.controlplane.assets import free_port
from devenv.process import Process, Supervisor
from devenv.up import apply_crds, listens

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples" / "two-clouds"
EXAMPLE_ENDPOINT = "http://127.0.0.1:5000"
TIED = (sys.executable, "-m", "devenv.tied")

ONE_PROCESS: Mapping[str, str] = {"operator": "all_in_one"}
TWO_PROCESSES: Mapping[str, str] = {"gateway": "gateway", "agent": "agent"}


@dataclass
class Stage:
    """`directory` holds all state and logs. A context manager: control plane and moto run within the block."""

    directory: Path
    plane: ControlPlane = field(init=False)
    supervisor: Supervisor = field(init=False)
    moto_port: int = field(init=False, default=0)
    _operators: dict[str, Process] = field(init=False, default_factory=dict)
    _said: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(self.directory, tied=True)
        self.plane = controlplane.choose(self.supervisor, tied=True)

    def __enter__(self) -> Stage:
        try:
            self.plane.start()
            apply_crds(self.plane, ROOT / "crds")
            access.grant(self.plane)
            self.start_moto()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._stop()

    def _stop(self) -> None:
        self.stop_operators()
        self.supervisor.stop("moto")
        self.plane.stop()

    # -- moto

    @property
    def moto_url(self) -> str:
        return f"http://127.0.0.1:{self.moto_port}"

    def start_moto(self) -> None:
        """On the same port as before, so that accounts find it again."""
        self.moto_port = self.moto_port or free_port()
        command = [*TIED, "devenv.moto", "--port", str(self.moto_port)]
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

    def run_operators(self, programs: Mapping[str, str] = ONE_PROCESS, /, **settings: str) -> None:
        """Exactly these run afterwards, and have listed everything; one that runs with these settings goes on.

        `settings` are CLOUDHERD_ settings by their names in lower case.
        """
        wanted = {name: self._operator(name, program, settings) for name, program in programs.items()}
        for name, process in self._operators.copy().items():
            if wanted.get(name) != process:
                self._stop_operator(name)
        for name, process in wanted.items():
            self._operators[name] = process
            self.supervisor.start(process)
        for process in wanted.values():
            self.supervisor.wait_ready(process)

    def ensure_operators(self) -> None:
        """Starts the one process where neither it nor both of the two run."""
        running = {name for name in self._operators if self.supervisor.pid(name)}
        if running not in ({*ONE_PROCESS}, {*TWO_PROCESSES}):
            self.run_operators()

    def start_operator(self, name: str = "operator", program: str = "all_in_one", **settings: str) -> None:
        """Beside those that run. Returns when it has listed everything."""
        process = self._operator(name, program, settings)
        self._operators[name] = process
        self.supervisor.start(process)
        self.supervisor.wait_ready(process)

    def stop_operators(self) -> None:
        """As Kubernetes does it: SIGTERM, and SIGKILL later."""
        for name in [*self._operators]:
            self._stop_operator(name)

    def said(self) -> str:
        """What all operators logged so far, those that were stopped or killed included."""
        logs = (self.supervisor.log(name) for name in {*ONE_PROCESS, *TWO_PROCESSES, *self._operators})
        return "".join([*self._said, *(log.read_text(errors="replace") for log in logs if log.exists())])

    def _stop_operator(self, name: str) -> None:
        self.supervisor.stop(name)
        del self._operators[name]
        self._said.append(self.supervisor.log(name).read_text(errors="replace"))

    def _operator(self, name: str, program: str, settings: Mapping[str, str]) -> Process:
        kubeconfig = self.directory / f"{program}.kubeconfig"
        if not kubeconfig.exists():
            access.kubeconfig(self.plane, program, kubeconfig)
        environment = {
            "KUBECONFIG": str(kubeconfig),
            "CLOUDHERD_SIMULATED_DIR": str(self.directory / "clouds"),
            **{f"CLOUDHERD_{key.upper()}": value for key, value in settings.items()},
        }
        command = [*TIED, "kopf", "run", "--all-namespaces", str(ROOT / "operator" / f"{program}.py")]
        return Process(name, command, environment=environment, directory=ROOT)

    def kill(self, name: str = "operator") -> None:
        """SIGKILL, as a node that dies: nothing is cleaned up. Its log goes on when it is started again."""
        pid = self.supervisor.pid(name)
        if pid:
            os.killpg(pid, signal.SIGKILL)
        self.supervisor.wait_gone(name)
        self._operators.pop(name, None)
