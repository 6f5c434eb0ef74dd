"""What the chart's roles allow and what they do not, asked of the API server with the operator's own tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from devenv import access
from devenv.controlplane import ControlPlane
from tests.integration.kubectl import done

pytestmark = pytest.mark.integration

Program = str


@pytest.fixture(scope="module")
def kubeconfigs(crds: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> dict[Program, Path]:
    """By program of operator/."""
    directory = tmp_path_factory.mktemp("access")
    access.grant(crds)
    programs = ("all_in_one", "gateway", "agent")
    return {program: access.kubeconfig(crds, program, directory / program) for program in programs}


def may(plane: ControlPlane, kubeconfig: Path, question: str) -> bool:
    answer = plane.kubectl(f"--kubeconfig={kubeconfig}", "auth", "can-i", *question.split())
    assert answer.stdout.strip() in ("yes", "no"), answer.stderr
    return answer.stdout.strip() == "yes"


@pytest.mark.parametrize(
    ("question", "gateway", "agent"),
    [
        ("create instances.cloudherd.dev -n physics", True, False),
        ("delete instances.cloudherd.dev -n physics", True, False),
        ("patch instances.cloudherd.dev -n physics", False, True),
        ("update instances.cloudherd.dev -n physics", False, True),
        ("patch instances.cloudherd.dev --subresource=status -n physics", False, True),
        ("patch cloudaccounts.cloudherd.dev --subresource=status -n physics", False, True),
        ("delete cloudaccounts.cloudherd.dev -n physics", False, False),
        ("patch virtualclusters.cloudherd.dev -n physics", True, False),
        ("update virtualclusters.cloudherd.dev -n physics", True, False),
        ("list virtualclusters.cloudherd.dev -n physics", True, False),
        ("delete virtualclusters.cloudherd.dev -n physics", False, False),
        ("get contexts.cloudherd.dev -n physics", True, False),
        ("create secrets -n physics", True, False),
        ("delete secrets -n physics", True, False),
        ("patch secrets -n physics", False, True),
        ("get configmap/cloudherd-installation -n cloudherd-system", False, True),
        ("get configmap/another -n cloudherd-system", False, False),
        ("get configmap/cloudherd-installation -n physics", False, False),
        ("patch leases.coordination.k8s.io -n cloudherd-system", True, True),
        ("patch leases.coordination.k8s.io -n physics", False, False),
        ("get pods -n cloudherd-system", False, False),
    ],
)
def test_each_role_has_its_own_rights(
    crds: ControlPlane, kubeconfigs: dict[Program, Path], question: str, gateway: bool, agent: bool
) -> None:
    asked = {program: may(crds, path, question) for program, path in kubeconfigs.items()}
    assert asked == {"gateway": gateway, "agent": agent, "all_in_one": gateway or agent}


@pytest.fixture
def editor(crds: ControlPlane) -> Iterator[str]:
    """Somebody with the role cloudherd-edit (and view) in a namespace; its name. The flags to speak as them."""
    namespace = f"editors-{uuid4().hex[:8]}"
    done(crds.kubectl("create", "namespace", namespace))
    for role in ("view", "edit"):
        binding = ["create", "rolebinding", role, f"--clusterrole=cloudherd-{role}", "--user=ana", "-n", namespace]
        done(crds.kubectl(*binding))
    yield namespace
    done(crds.kubectl("delete", "namespace", namespace))


def test_who_edits_a_namespace_writes_clusters_and_not_accounts(
    crds: ControlPlane, kubeconfigs: dict[Program, Path], editor: str
) -> None:
    def can(question: str) -> bool:
        return may(crds, crds.kubeconfig, f"{question} --as=ana -n {editor}")

    assert can("create virtualclusters.cloudherd.dev")
    assert can("patch clusterservices.cloudherd.dev --subresource=scale")
    assert can("delete instances.cloudherd.dev")
    assert can("get cloudaccounts.cloudherd.dev")
    assert not can("create cloudaccounts.cloudherd.dev")
    assert not can("create instances.cloudherd.dev")
    assert not can("patch virtualclusters.cloudherd.dev --subresource=status")


def test_kubernetes_own_roles_include_ours(crds: ControlPlane, kubeconfigs: dict[Program, Path]) -> None:
    found = json.loads(done(crds.kubectl("get", "clusterroles", "-o", "json")))["items"]
    labels = {one["metadata"]["name"]: one["metadata"].get("labels", {}) for one in found}
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    aggregated = {
        role: sorted(label.removeprefix(prefix) for label in labels[f"cloudherd-{role}"] if label.startswith(prefix))
        for role in ("view", "edit", "admin")
    }
    assert aggregated == {"view": ["admin", "edit", "view"], "edit": ["admin", "edit"], "admin": ["admin"]}
