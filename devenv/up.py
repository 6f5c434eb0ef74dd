"""`make up` and `make down`: control plane, CRDs, moto and operator in the background, their files in `.local`; with
CLOUDS=openstack a region of OpenStack too.

Done again, `up` starts only what is dead. `down` ends all of it and forgets the cluster and the simulated clouds; the
logs stay until the next `up`.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

from devenv import access, controlplane, openstack_toolchain
from devenv.controlplane import ControlPlane
from devenv.controlplane.assets import free_port
from devenv.failure import Failure
from devenv.files import locked, write
from devenv.openstack_settings import KEYSTONE_PORT
from devenv.process import Process, Supervisor

# Whoever uses another ends before it.
_STOP_ORDER = ("operator", "moto", "openstack", "controllers", "controlplane", "etcd")


def up(root: Path, moto_port: int = 5000, keystone_port: int = KEYSTONE_PORT) -> None:
    """Returns when the operator watches. `root` is the checkout."""
    local = root / ".local"
    with locked(local / "lock"):
        supervisor = Supervisor(local)
        plane = controlplane.choose(supervisor)
        link(plane.kubectl_program, local / "bin" / "kubectl")
        clouds = (*_start_moto(supervisor, root, moto_port), *_start_openstack(supervisor, root, keystone_port))
        plane.start()
        if plane.kubeconfig != local / "kubeconfig":
            write(local / "kubeconfig", plane.kubectl("config", "view", "--raw", "--flatten", check=True).stdout)
        apply_crds(plane, root / "crds")
        access.grant(plane)
        kubeconfig = access.kubeconfig(plane, "all_in_one", local / "operator.kubeconfig")
        operator = operator_process(root, local, kubeconfig)
        supervisor.start(operator)
        for process in (*clouds, operator):
            supervisor.wait_ready(process)
    print("up: the operator watches all namespaces. Look with")
    print("    export KUBECONFIG=$PWD/.local/kubeconfig PATH=$PWD/.local/bin:$PATH")
    print("Logs are in .local/*.log; `make down` ends it all.")


def down(root: Path) -> None:
    local = root / ".local"
    with locked(local / "lock"):
        supervisor = Supervisor(local)
        stopped = [name for name in _STOP_ORDER if supervisor.stop(name)]
        for directory in ("controlplane", "clouds"):
            shutil.rmtree(local / directory, ignore_errors=True)
        for name in ("kubeconfig", "operator.kubeconfig"):
            (local / name).unlink(missing_ok=True)
    print(f"down: {', '.join(stopped) or 'nothing'} stopped; the simulated clouds and our own cluster are forgotten")


def apply_crds(plane: ControlPlane, directory: Path) -> None:
    """Brings the cluster's CRDs to those of the directory, and waits until they are served."""
    if not any(directory.glob("*.yaml")):
        raise Failure(f"{directory} holds no CRDs: write them with `make crds`")
    plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(directory), check=True)
    plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(directory), check=True)


def operator_process(root: Path, local: Path, kubeconfig: Path) -> Process:
    """The operator of this checkout, on all namespaces; the simulated clouds' state is in `local`/clouds."""
    program = root / "operator" / "all_in_one.py"
    if not program.is_file():
        raise Failure(f"{program} is missing: is this a whole checkout?")
    liveness = f"--liveness=http://127.0.0.1:{free_port()}/healthz"
    return Process(
        "operator",
        [sys.executable, "-m", "kopf", "run", "--all-namespaces", liveness, str(program)],
        environment={"KUBECONFIG": str(kubeconfig), "CLOUDHERD_SIMULATED_DIR": str(local / "clouds")},
        directory=root,
    )


def _start_moto(supervisor: Supervisor, root: Path, port: int) -> tuple[Process, ...]:
    """What we have to wait for: nothing, where somebody else's server listens."""
    command = [sys.executable, "-m", "devenv.moto", "--port", str(port)]
    moto = Process("moto", command, directory=root, ready=lambda: listens(port))
    if not supervisor.pid("moto") and listens(port):
        print(f"port {port}: something listens there already, so moto is not started")
        return ()
    supervisor.start(moto)
    return (moto,)


def _start_openstack(supervisor: Supervisor, root: Path, keystone_port: int) -> tuple[Process, ...]:
    """Where $CLOUDS asks for it."""
    if "openstack" not in os.environ.get("CLOUDS", "").split():
        return ()
    openstack_toolchain.installed()  # which takes longer than a start may
    state = supervisor.directory / "openstack"
    command = [sys.executable, "-m", "devenv.openstack", str(state), "--keystone-port", str(keystone_port)]
    openstack = Process("openstack", command, directory=root)
    supervisor.start(openstack)
    return (openstack,)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def link(target: Path, link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink() or link.readlink() != target:
        link.unlink(missing_ok=True)
        link.symlink_to(target)
