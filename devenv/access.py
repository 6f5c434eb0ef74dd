"""The operator's access in a development setup: the chart's own roles, so that a right which the chart forgets is
missing here too.

Applies the files of charts/cloudherd/rbac as they are, and writes a kubeconfig with a token for the operator's service
account. The token is good for ten years, or for as long as the cluster grants one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from devenv.controlplane import ControlPlane
from devenv.files import write

RBAC = Path(__file__).resolve().parents[1] / "charts" / "cloudherd" / "rbac"
NAMESPACE = "cloudherd-system"
_LIFETIME = "87600h"
_ROLES = {"all_in_one": ("gateway", "agent"), "gateway": ("gateway",), "agent": ("agent",)}


def grant(plane: ControlPlane) -> None:
    """Makes the operator's namespace, and in it what the chart makes: roles, service accounts and bindings."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    _apply(plane, json.dumps(namespace))
    plane.kubectl("apply", "--server-side", "--force-conflicts", "-n", NAMESPACE, "-f", str(RBAC), check=True)
    objects = [each for program in _ROLES for each in account_and_bindings(program)]
    _apply(plane, json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def kubeconfig(plane: ControlPlane, program: str, path: Path, namespace: str = NAMESPACE) -> Path:
    """Writes to `path` a kubeconfig with the rights that the chart gives to a program of operator/; returns it.

    `grant` comes first. A token that a running operator read there before stays valid.
    """
    token = plane.kubectl(
        "create", "token", _account(program), "-n", namespace, f"--duration={_LIFETIME}", check=True
    ).stdout.strip()
    shown = plane.kubectl("config", "view", "--raw", "--flatten", "--minify", "-o", "json", check=True).stdout
    config = json.loads(shown)
    for user in config["users"]:
        user["user"] = {"token": token}
    write(path, json.dumps(config, indent=1))
    return path


def _account(program: str) -> str:
    return "cloudherd" if program == "all_in_one" else f"cloudherd-{program}"


def account_and_bindings(program: str) -> list[dict[str, Any]]:
    """What the chart makes for a program of operator/, but for its labels."""
    name, roles = _account(program), _ROLES[program]
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": NAMESPACE}}
    return [account, *(_binding(kind, f"cloudherd-{role}", name) for role in roles for kind in ("ClusterRole", "Role"))]


def _binding(kind: str, role: str, account: str) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    metadata = {"name": f"{account}-as-{role}"}
    if kind == "Role":
        metadata["namespace"] = NAMESPACE
    return {
        "apiVersion": f"{group}/v1",
        "kind": f"{kind}Binding",
        "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}],
    }


def _apply(plane: ControlPlane, manifest: str) -> None:
    plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=manifest, check=True)
