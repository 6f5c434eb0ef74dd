"""The control plane of a development setup or a test: which one it is, and its start and end.

First match wins: the cluster of the kubeconfig that $CLOUDHERD_KUBECONFIG names, which is never started, stopped or
emptied by us; etcd and kube-apiserver in the directory that $KUBEBUILDER_ASSETS names; our own program, beside this.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from devenv import toolchain
from devenv.controlplane import assets
from devenv.failure import Failure
from devenv.process import Process, Supervisor


@dataclass(frozen=True)
class ControlPlane:
    """One control plane with its kubectl. As a context manager it runs for as long as the block does.

    Its state (objects, port, token, certificates) stays in `state` when it stops and is taken up by the next start.
    """

    kubeconfig: Path
    kubectl_program: Path
    state: Path
    supervisor: Supervisor
    processes: tuple[Process, ...]  # in the order of their start; none if the cluster is somebody else's

    @property
    def audit_log(self) -> Path:
        """One JSON object per finished write; only our own program keeps it."""
        return self.state / "audit.log"

    def start(self) -> Path:
        """Starts what does not run, waits until the API answers, and returns the kubeconfig."""
        for process in self.processes:
            self.supervisor.start(process)
            self.supervisor.wait_ready(process)
        if not self.processes:
            self.kubectl("get", "--raw", "/readyz", check=True)
        return self.kubeconfig

    def stop(self) -> None:
        for process in reversed(self.processes):
            self.supervisor.stop(process.name)

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - as subprocess calls it
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Runs kubectl as the administrator. With `check`, its failing is a Failure that holds its last line."""
        command = [str(self.kubectl_program), f"--kubeconfig={self.kubeconfig}", *arguments]
        result = subprocess.run(command, input=input or "", capture_output=True, text=True, check=False)
        if check and result.returncode != 0:
            reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise Failure(f"kubectl {' '.join(arguments)} failed: {reason}")
        return result

    def __enter__(self) -> ControlPlane:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.stop()


def choose(
    supervisor: Supervisor,
    *,
    environ: Mapping[str, str] = os.environ,
    tied: bool = False,
    arguments: Sequence[str] = (),
) -> ControlPlane:
    """The control plane whose files lie in the supervisor's directory; not started yet.

    tied: it ends with us. arguments: more of them for kube-apiserver.
    """
    state = supervisor.directory.absolute() / "controlplane"
    kubeconfig = supervisor.directory.absolute() / "kubeconfig"
    kubectl = toolchain.program("kubectl")
    processes: tuple[Process, ...] = ()
    if given := environ.get("CLOUDHERD_KUBECONFIG"):
        kubeconfig = Path(given).absolute()
        if not kubeconfig.is_file():
            raise Failure(f"CLOUDHERD_KUBECONFIG names {given}, which is no file: correct it, or unset it")
    elif directory := environ.get("KUBEBUILDER_ASSETS"):
        processes = assets.processes(Path(directory), state, kubeconfig, arguments)
    else:
        command = [str(toolchain.program("controlplane")), "-dir", str(state), "-kubeconfig", str(kubeconfig), "-audit"]
        if tied:
            command.append("-exit-with-stdin")
        processes = (Process("controlplane", [*command, "--", *arguments]),)
    return ControlPlane(kubeconfig, kubectl, state, supervisor, processes)
