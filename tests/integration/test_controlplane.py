"""The control plane for development and tests behaves as a cluster does, and comes back as the same one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from devenv import controlplane
from devenv.audit import AuditLog
from devenv.controlplane import ControlPlane
from devenv.failure import Failure
from devenv.process import Supervisor, runs
from tests.integration.waiting import eventually

pytestmark = pytest.mark.integration


def done(plane: ControlPlane, *arguments: str, input: str | None = None) -> str:  # noqa: A002
    result = plane.kubectl(*arguments, input=input)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    name = f"plane-{uuid4().hex[:8]}"
    done(control_plane, "create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


def config_map(name: str, **metadata: object) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}})


def test_it_serves_a_release_that_our_crds_can_rely_on(control_plane: ControlPlane) -> None:
    server = json.loads(done(control_plane, "version", "-o", "json"))["serverVersion"]
    assert int(server["minor"].rstrip("+")) >= 32


def test_who_was_given_nothing_may_do_nothing_until_a_role_says_so(control_plane: ControlPlane, namespace: str) -> None:
    done(control_plane, "-n", namespace, "create", "serviceaccount", "guest")
    token = done(control_plane, "-n", namespace, "create", "token", "guest").strip()
    # kubectl's own configuration would present the administrator's token
    server = json.loads(done(control_plane, "config", "view", "-o", "json", "--raw", "--minify"))["clusters"][0][
        "cluster"
    ]
    config = control_plane.supervisor.directory / "guest.kubeconfig"
    content = {
        "clusters": [{"name": "c", "cluster": server}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    config.write_text(json.dumps(content))

    def guest(*arguments: str) -> subprocess.CompletedProcess[str]:
        return control_plane.kubectl(f"--kubeconfig={config}", "-n", namespace, *arguments)

    assert "Forbidden" in guest("get", "configmaps").stderr
    done(
        control_plane,
        "-n",
        namespace,
        "create",
        "rolebinding",
        "b",
        "--clusterrole=view",
        f"--serviceaccount={namespace}:guest",
    )
    eventually(lambda: guest("get", "configmaps").returncode == 0)
    assert "Forbidden" in guest("get", "secrets").stderr


def test_a_namespace_ends_with_all_that_is_in_it(control_plane: ControlPlane, namespace: str) -> None:
    done(control_plane, "-n", namespace, "create", "configmap", "inside")
    done(control_plane, "delete", "namespace", namespace)
    assert "NotFound" in control_plane.kubectl("get", "namespace", namespace).stderr


def test_what_an_object_owns_is_collected_after_it(control_plane: ControlPlane, namespace: str) -> None:
    done(control_plane, "-n", namespace, "create", "-f", "-", input=config_map("owner"))
    uid = done(control_plane, "-n", namespace, "get", "configmap", "owner", "-o", "jsonpath={.metadata.uid}")
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    done(control_plane, "-n", namespace, "create", "-f", "-", input=config_map("owned", ownerReferences=[owner]))
    done(control_plane, "-n", namespace, "delete", "configmap", "owner")
    eventually(lambda: "NotFound" in control_plane.kubectl("-n", namespace, "get", "configmap", "owned").stderr)


def test_every_namespace_gets_a_service_account_and_the_ca(control_plane: ControlPlane, namespace: str) -> None:
    wanted = ("serviceaccount/default", "configmap/kube-root-ca.crt")
    eventually(lambda: control_plane.kubectl("-n", namespace, "get", *wanted).returncode == 0)


def test_the_audit_log_holds_every_write_once_and_no_read(control_plane: ControlPlane, namespace: str) -> None:
    if not control_plane.audit_log.is_file():
        pytest.skip("only our own control plane keeps an audit log")
    audit = AuditLog(control_plane.audit_log)
    start = audit.position()

    def writes() -> list[tuple[str, str, str, int]]:
        found = [write for write in audit.writes(start) if write.namespace == namespace and write.name == "counted"]
        return [(write.verb, write.resource, write.manager, write.status) for write in found]

    done(control_plane, "-n", namespace, "create", "configmap", "counted", "--field-manager=tester")
    done(control_plane, "-n", namespace, "get", "configmap", "counted")
    control_plane.kubectl("-n", namespace, "create", "configmap", "counted", "--field-manager=tester")
    done(control_plane, "-n", namespace, "delete", "configmap", "counted")
    expected = [
        ("create", "configmaps", "tester", 201),
        ("create", "configmaps", "tester", 409),
        ("delete", "configmaps", "kubectl", 200),
    ]
    eventually(lambda: writes() == expected, writes)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], ControlPlane]]:
    """Makes our own control plane in this test's directory, whatever else is named; the same one each time."""
    monkeypatch.delenv("CLOUDHERD_KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    supervisor = Supervisor(tmp_path, tied=True)
    yield lambda: controlplane.choose(supervisor, tied=True)
    supervisor.stop("controlplane")


def pid_of(plane: ControlPlane) -> int:
    pid = plane.supervisor.pid("controlplane")
    assert pid
    return pid


def kill(plane: ControlPlane) -> None:
    pid = pid_of(plane)
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_started_again_it_is_the_same_cluster_whether_it_was_stopped_or_killed(own: Callable[[], ControlPlane]) -> None:
    plane = own()
    with plane:
        kubeconfig = plane.kubeconfig.read_text()
        done(plane, "create", "configmap", "kept")
        token = done(plane, "create", "token", "default").strip()
        first = pid_of(plane)
    assert not runs(first, plane.processes[0].command)
    with own() as again:
        done(again, "get", "configmap", "kept")
        kill(again)
        again.start()
        done(again, "get", "configmap", "kept")
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        reviewed = json.loads(done(again, "create", "-o", "json", "-f", "-", input=json.dumps(review)))
        assert reviewed["status"]["user"]["username"] == "system:serviceaccount:default:default"
        assert again.kubeconfig.read_text() == kubeconfig


def test_a_first_start_that_was_cut_short_does_not_spoil_the_next(own: Callable[[], ControlPlane]) -> None:
    plane = own()
    plane.supervisor.start(plane.processes[0])
    eventually((plane.state / "etcd" / "member" / "wal").exists)
    kill(plane)
    with own() as again:
        done(again, "get", "namespace", "default")


def test_a_second_one_on_the_same_state_is_refused_in_one_line(own: Callable[[], ControlPlane], tmp_path: Path) -> None:
    with own() as plane:
        second = Supervisor(tmp_path / "second", tied=True)
        second.start(plane.processes[0])
        with pytest.raises(Failure, match="is in use by another control plane"):
            second.wait_ready(plane.processes[0])
        second.stop("controlplane")
        done(plane, "get", "namespace", "default")


TEST_RUN = """
import os, sys
from pathlib import Path
from devenv import controlplane
from devenv.failure import Failure
from devenv.process import Supervisor
plane = controlplane.choose(Supervisor(Path(sys.argv[1]), tied=True), tied=True)
plane.start()
os.kill(os.getpid(), 9)
"""


def test_it_ends_with_the_test_run_that_started_it_even_if_that_is_killed(
    own: Callable[[], ControlPlane], tmp_path: Path
) -> None:
    plane = own()
    subprocess.run([sys.executable, "-c", TEST_RUN, str(tmp_path)], check=False)
    pid = int((tmp_path / "controlplane.pid").read_text())
    eventually(lambda: not runs(pid, plane.processes[0].command))
