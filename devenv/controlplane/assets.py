"""A control plane from the binaries of $KUBEBUILDER_ASSETS, as controller-runtime's tests use them.

They bring etcd and kube-apiserver. Garbage collection and the end of namespaces need a kube-controller-manager too,
which is started where the directory holds one.
"""

from __future__ import annotations

import http
import http.client
import json
import random
import secrets
import socket
import ssl
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from devenv.failure import Failure
from devenv.files import write
from devenv.process import Process

_CONTROLLERS = (
    "garbage-collector-controller,namespace-controller,serviceaccount-controller,"
    "root-ca-certificate-publisher-controller,horizontal-pod-autoscaler-controller,clusterrole-aggregation-controller"
)


def processes(binaries: Path, state: Path, kubeconfig: Path, arguments: Sequence[str]) -> tuple[Process, ...]:
    """The processes in the order of their start. Writes the kubeconfig, and what has to last, into `state`."""
    for name in ("etcd", "kube-apiserver"):
        if not (binaries / name).is_file():
            raise Failure(f"KUBEBUILDER_ASSETS names {binaries}, which holds no {name}: correct it, or unset it")
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    port, token = _kept(state)
    certificate, key, tokens = state / "pki/apiserver.crt", state / "pki/apiserver.key", state / "tokens.csv"
    write(tokens, f"{token},admin,admin,system:masters\n")
    write(kubeconfig, json.dumps(_kubeconfig(port, token, certificate), indent=1))

    etcd = [
        f"{binaries}/etcd", f"--data-dir={state}/etcd", "--unsafe-no-fsync", "--log-level=error",
        "--listen-client-urls=unix://etcd.sock", "--advertise-client-urls=http://localhost:2379",
        "--listen-peer-urls=unix://peer.sock",
    ]  # fmt: skip
    apiserver = [
        f"{binaries}/kube-apiserver", "--etcd-servers=unix://etcd.sock", f"--cert-dir={certificate.parent}",
        "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={port}",
        f"--token-auth-file={tokens}", "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.0.0.0/24", "--endpoint-reconciler-type=none",
        "--service-account-issuer=https://127.0.0.1/",
        f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
        "--disable-admission-plugins=ServiceAccount", "--shutdown-delay-duration=0s", *arguments,
    ]  # fmt: skip
    found = [
        Process("etcd", etcd, directory=state, ready=lambda: True),
        Process("controlplane", apiserver, directory=state, ready=lambda: _answers(port, token, certificate)),
    ]
    if (binaries / "kube-controller-manager").is_file():
        controllers = [
            f"{binaries}/kube-controller-manager", f"--kubeconfig={kubeconfig}", f"--controllers={_CONTROLLERS}",
            "--leader-elect=false", "--secure-port=0", "--use-service-account-credentials=false",
            "--authentication-skip-lookup=true",
        ]  # fmt: skip
        found.append(Process("controllers", controllers, ready=lambda: True))
    return tuple(found)


def _kept(state: Path) -> tuple[int, str]:
    """Port and token, chosen at the first start, so that the kubeconfig stays valid."""
    file = state / "chosen.json"
    if not file.exists():
        write(file, json.dumps([free_port(), secrets.token_urlsafe(16)]))
    port, token = json.loads(file.read_text())
    return port, token


def free_port() -> int:
    """Below the ports that systems hand out to outgoing connections, so that it is still free when we come back."""
    while True:
        port = random.randrange(20000, 30000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def _kubeconfig(port: int, token: str, certificate: Path) -> dict[str, object]:
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(certificate)}
    name = "cloudherd-dev"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def _answers(port: int, token: str, certificate: Path) -> bool:
    try:
        trusted = ssl.create_default_context(cafile=str(certificate))
        for path in ("/readyz", "/api/v1/namespaces/default"):
            server = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=trusted)
            with closing(server):
                server.request("GET", path, headers={"Authorization": f"Bearer {token}"})
                if server.getresponse().status != http.HTTPStatus.OK:
                    return False
    except (OSError, http.client.HTTPException):
        return False
    return True
