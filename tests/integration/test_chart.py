"""The chart, by Helm itself: what it renders is what the repository holds, and what it installs lets an operator work.

Pods do not run here, so the operator is started as the Deployment would: its arguments, its settings, its account.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from controllers.settings import PREFIX, Settings
from devenv import access, controlplane, helm
from devenv.controlplane import ControlPlane
from devenv.controlplane.assets import free_port
from devenv.process import Process, Supervisor
from tests.integration.kubectl import done
from tests.integration.manifests import SIMULATED, changed
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "cloudherd"
NAMESPACE = "herd"
Manifest = dict[str, Any]
ONE, APART = (), ("--set", "agent.separate=true")


def run_helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(helm.program()), *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def rendered(*flags: str) -> list[Manifest]:
    output = done(run_helm("template", "x", str(CHART), "--namespace", NAMESPACE, "--kube-version=1.36.2", *flags))
    return [each for each in yaml.safe_load_all(output) if each]


def of_kind(kind: str, manifests: list[Manifest]) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] == kind}


def documents(directory: Path) -> list[Manifest]:
    return [each for path in directory.glob("*.yaml") for each in yaml.safe_load_all(path.read_text())]


# -- what it renders


def test_the_chart_passes_helm_s_own_lint() -> None:
    assert "0 chart(s) failed" in done(run_helm("lint", "--strict", str(CHART)))


def test_the_crds_are_those_of_the_repository_and_are_kept() -> None:
    found = of_kind("CustomResourceDefinition", rendered())
    for crd in found.values():
        assert crd["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert found == of_kind("CustomResourceDefinition", documents(ROOT / "crds"))


def test_the_crds_can_go_with_the_release_or_be_left_out() -> None:
    loose = of_kind("CustomResourceDefinition", rendered("--set", "crds.keep=false"))
    assert loose == of_kind("CustomResourceDefinition", documents(ROOT / "crds"))
    assert of_kind("CustomResourceDefinition", rendered("--set", "crds.enabled=false")) == {}


def test_a_packaged_chart_renders_the_same(tmp_path: Path) -> None:
    """Of the link to crds/ a package holds the files."""
    done(run_helm("package", str(CHART), "--destination", str(tmp_path)))
    (package,) = tmp_path.iterdir()
    output = done(run_helm("template", "x", str(package), "--namespace", NAMESPACE, "--kube-version=1.36.2"))
    assert [each for each in yaml.safe_load_all(output) if each] == rendered()


def test_the_roles_are_the_files_that_make_up_applies() -> None:
    for kind in ("ClusterRole", "Role"):
        assert of_kind(kind, rendered()) == of_kind(kind, documents(access.RBAC))


@pytest.mark.parametrize(("flags", "programs"), [(ONE, ["all_in_one"]), (APART, ["gateway", "agent"])])
def test_the_bindings_are_those_that_make_up_makes(flags: tuple[str, ...], programs: list[str]) -> None:
    ours = [each for program in programs for each in access.account_and_bindings(program)]
    for kind in ("ServiceAccount", "ClusterRoleBinding", "RoleBinding"):
        theirs = of_kind(kind, rendered(*flags))
        for each in theirs.values():
            del each["metadata"]["labels"]
        assert json.dumps(theirs, sort_keys=True) == json.dumps(of_kind(kind, ours), sort_keys=True).replace(
            access.NAMESPACE, NAMESPACE
        )


@pytest.mark.parametrize(("flags", "programs"), [(ONE, {"all_in_one"}), (APART, {"gateway", "agent"})])
def test_one_process_at_a_time_runs_each_program(flags: tuple[str, ...], programs: set[str]) -> None:
    found = of_kind("Deployment", rendered(*flags))
    assert {each["spec"]["template"]["spec"]["containers"][0]["args"][-1] for each in found.values()} == {
        f"operator/{program}.py" for program in programs
    }
    for name, each in found.items():
        assert (each["spec"]["replicas"], each["spec"]["strategy"]) == (1, {"type": "Recreate"})
        assert each["spec"]["template"]["spec"]["serviceAccountName"] == name
        labels, selector = each["spec"]["template"]["metadata"]["labels"], each["spec"]["selector"]["matchLabels"]
        assert selector.items() <= labels.items()


def test_every_setting_of_the_chart_is_one_of_the_operator_s() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    allowed = schema["properties"]["settings"]["propertyNames"]["enum"]
    own = {each["name"] for each in _container(rendered())["env"]} - {f"{PREFIX}SIMULATED_DIR"}
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert own | {f"{PREFIX}{name}" for name in allowed} <= known
    (given,) = (each for each in _container(rendered("--set-string", "settings.RENDER_WORKERS=5"))["env"]
                if each["name"] == "CLOUDHERD_RENDER_WORKERS")  # fmt: skip
    assert given["value"] == "5"


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("--set=agent.seperate=true", "seperate"),
        ("--set-string=agent.separate=yes", "separate"),
        ("--set-string=settings.ORPHAN_AGE=5", "ORPHAN_AGE"),
        ("--set=replicas=2", "replicas"),
        ("--kube-version=1.31.0", "requires kubeVersion"),
    ],
)
def test_wrong_values_are_refused_by_name(flags: str, told: str) -> None:
    answer = run_helm("template", "x", str(CHART), "--kube-version=1.36.2", flags)
    assert answer.returncode != 0
    assert told in answer.stderr


def test_prometheus_is_told_where_the_metrics_are() -> None:
    (deployment,) = of_kind("Deployment", rendered()).values()
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    (port,) = (one["containerPort"] for one in _container(rendered())["ports"] if one["name"] == "metrics")
    (served,) = (one["value"] for one in _container(rendered())["env"] if one["name"] == "CLOUDHERD_METRICS_ADDRESS")
    assert annotations == {"prometheus.io/scrape": "true", "prometheus.io/port": str(port)}
    assert served == f"0.0.0.0:{port}"


def _container(manifests: list[Manifest]) -> Manifest:
    (deployment,) = of_kind("Deployment", manifests).values()
    container: Manifest = deployment["spec"]["template"]["spec"]["containers"][0]
    return container


# -- what it installs


@dataclass
class Cluster:
    """A control plane with nothing of ours in it but the release."""

    plane: ControlPlane
    directory: Path

    def helm(self, verb: str, *flags: str) -> str:
        return done(run_helm(verb, "herd", f"--kubeconfig={self.plane.kubeconfig}", "--namespace", NAMESPACE, *flags))

    def get(self, what: str, *arguments: str) -> Manifest:
        found: Manifest = json.loads(done(self.plane.kubectl("get", what, "-o", "json", *arguments)))
        return found

    def deployments(self) -> list[Manifest]:
        return list(self.get("deployments", "-n", NAMESPACE)["items"])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("chart")
    with controlplane.choose(Supervisor(directory, tied=True), environ={}, tied=True) as plane:
        yield Cluster(plane, directory)


def started(cluster: Cluster, deployment: Manifest) -> tuple[Process, list[str]]:
    """The process that the Deployment's pod would be, and the URLs of its liveness probe and its metrics."""
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    path, port = container["livenessProbe"]["httpGet"]["path"], free_port()
    probe = f"http://127.0.0.1:{port}{path}"
    *flags, program = (probe.join(["--liveness=", ""]) if "liveness" in arg else arg for arg in container["args"])
    name = Path(program).stem
    kubeconfig = access.kubeconfig(cluster.plane, name, cluster.directory / name, namespace=NAMESPACE)
    given = {one["name"]: one.get("value", NAMESPACE) for one in container["env"]}
    given |= {"KUBECONFIG": str(kubeconfig), "CLOUDHERD_SIMULATED_DIR": str(cluster.directory / "clouds")}
    served = given["CLOUDHERD_METRICS_ADDRESS"] = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "devenv.tied", "kopf", "run", *flags, program]
    return Process(name, command, environment=given, directory=ROOT), [probe, f"http://{served}/metrics"]


def works(cluster: Cluster, account: str) -> None:
    """Operators as the Deployments have them are ready and alive, and make a new account Ready."""
    supervisor = cluster.plane.supervisor
    processes = [started(cluster, deployment) for deployment in cluster.deployments()]
    for process, _ in processes:
        supervisor.start(process)
    try:
        for process, urls in processes:
            supervisor.wait_ready(process)
            for url in urls:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    assert answer.status == 200
        manifest = changed(SIMULATED, {"metadata.name": account, "metadata.namespace": "default"})
        done(cluster.plane.kubectl("apply", "-f", "-", input=yaml.safe_dump(manifest)))
        done(cluster.plane.kubectl("wait", "cloudaccount", account, "-n", "default", "--for=condition=Ready"))
    finally:
        for process, _ in processes:
            supervisor.stop(process.name)


def test_a_release_is_installed_upgraded_and_leaves_its_crds(cluster: Cluster) -> None:
    notes = cluster.helm("install", str(CHART), "--create-namespace")
    assert "kubectl get vc,csvc,inst,acct" in notes
    assert [one["metadata"]["name"] for one in cluster.deployments()] == ["cloudherd"]
    works(cluster, "one")
    made = cluster.get("configmap", "cloudherd-installation", "-n", NAMESPACE)["data"]["id"]

    cluster.helm("upgrade", str(CHART), *APART)
    assert [one["metadata"]["name"] for one in cluster.deployments()] == ["cloudherd-agent", "cloudherd-gateway"]
    works(cluster, "two")
    assert cluster.get("configmap", "cloudherd-installation", "-n", NAMESPACE)["data"]["id"] == made

    cluster.helm("uninstall")
    eventually(lambda: not cluster.deployments())
    assert len(cluster.get("cloudaccounts", "-n", "default")["items"]) == 2, "the CRDs and their objects stay"
    assert cluster.get("configmap", "cloudherd-installation", "-n", NAMESPACE)["data"]["id"] == made
