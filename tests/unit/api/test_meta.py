"""Reading is lenient: what an older or a newer CRD let in can still be read, down to what code could not go on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from cloudherd.api import CloudAccount, Context, Instance, ObjectKey, Resource, VirtualCluster
from cloudherd.api.meta import timestamp

EXAMPLES = Path(__file__).parents[3] / "examples" / "two-clouds"
MODELS: dict[str, type[Resource]] = {model.kind: model for model in (CloudAccount, Context, VirtualCluster)}


def manifests() -> list[dict[str, Any]]:
    documents = [
        document for path in sorted(EXAMPLES.glob("*.yaml")) for document in yaml.safe_load_all(path.read_text())
    ]
    return [document for document in documents if document["kind"] in MODELS]


def read(manifest: dict[str, Any]) -> Resource:
    return MODELS[manifest["kind"]].model_validate(manifest)


def manifest(kind: str) -> dict[str, Any]:
    return next(document for document in manifests() if document["kind"] == kind)


def test_the_examples_hold_every_kind_that_users_write() -> None:
    assert {document["kind"] for document in manifests()} == set(MODELS)


@pytest.mark.parametrize(
    "document", manifests(), ids=lambda document: f"{document['kind']}-{document['metadata']['name']}"
)
def test_what_an_example_says_is_read_and_written_back(document: dict[str, Any]) -> None:
    resource = read(document)
    assert resource.key == ObjectKey("physics", document["metadata"]["name"])
    assert said(document["spec"], resource.wire()["spec"])
    assert read({"kind": document["kind"], **resource.wire()}) == resource


def said(manifest: Any, wire: Any) -> bool:
    """All that the manifest says stands in what was read."""
    if isinstance(manifest, dict):
        return all(key in wire and said(value, wire[key]) for key, value in manifest.items())
    if isinstance(manifest, list):
        return len(manifest) == len(wire) and all(map(said, manifest, wire))
    return bool(manifest == wire)


def test_unknown_fields_are_ignored_at_every_depth() -> None:
    document = manifest("VirtualCluster")
    before = read(document)
    document["spec"]["shininess"] = 1
    document["spec"]["services"][0]["machine"]["gpu"] = {"count": 1}
    document["status"] = {"mood": "good"}
    assert read(document).wire() == before.wire()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("services", 0, "name"), "Not_A-DNS.Label" * 10),
        (("services", 0, "replicas"), 1_000_000_000),
        (("services", 0, "dependsOn"), ["x"] * 100),
        (("services", 0, "machine", "tags"), {f"cloudherd-{number}": "x" * 1000 for number in range(100)}),
        (("placement", "accounts"), []),
        (("placement", "burst", "minInstances"), 0),
        (("updateStrategy", "maxUnavailable"), 10**9),
    ],
)
def test_bounds_and_forms_are_the_api_servers_business(path: tuple[str | int, ...], value: Any) -> None:
    document = manifest("VirtualCluster")
    assert read(changed(document, path, value)).wire()["spec"] != read(manifest("VirtualCluster")).wire()["spec"]


@pytest.mark.parametrize(
    ("kind", "path", "value", "says"),
    [
        ("VirtualCluster", ("services", 0, "type"), "Elastic", "Fixed"),
        ("VirtualCluster", ("services", 0, "readiness", "timeout"), "soon", "1h30m"),
        ("VirtualCluster", ("updateStrategy", "maxSurge"), "some", "25%"),
        ("VirtualCluster", ("services", 0, "replicas"), "many", "integer"),
        ("VirtualCluster", ("placement",), None, "placement"),
        ("CloudAccount", ("pollInterval",), "1 minute", "1h30m"),
        ("CloudAccount", ("quota",), {"memory": "lots"}, "256Gi"),
    ],
)
def test_what_code_could_not_go_on_with_is_refused(
    kind: str, path: tuple[str | int, ...], value: Any, says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        read(changed(manifest(kind), path, value))


def changed(document: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    at: Any = document["spec"]
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return document


def test_left_out_means_what_the_contract_says() -> None:
    document = manifest("VirtualCluster")
    for field in ("updateStrategy", "paused"):
        del document["spec"][field]
    del document["spec"]["placement"]["burst"]
    del document["spec"]["services"][0]["readiness"]
    spec = read(document).wire()["spec"]
    assert spec["updateStrategy"] == {"type": "RollingUpdate", "maxUnavailable": "25%", "maxSurge": 0}
    assert spec["placement"]["burst"] == {"enabled": True, "minInstances": 1}
    assert spec["services"][0]["readiness"] == {"when": "Running", "timeout": "10m"}
    assert spec["paused"] is False
    assert "minReplicas" not in spec["services"][0]


def test_quantities_may_be_numbers_or_words() -> None:
    account = CloudAccount.model_validate(
        {"metadata": {"name": "a"}, "spec": {"provider": "ec2", "quota": {"cpus": 64, "memory": "256Gi"}}}
    )
    assert (account.spec.quota.cpu_count, account.spec.quota.memory_bytes) == (64, 256 * 1024**3)


def test_an_instance_without_a_status_is_pending() -> None:
    instance = Instance.model_validate(
        {
            "metadata": {"name": "batch-worker-0", "namespace": "physics"},
            "spec": {
                "id": "6f0c0b5e-0000-4000-8000-000000000001",
                "clusterName": "batch",
                "serviceName": "worker",
                "accountRef": {"namespace": "physics", "name": "home"},
                "flavor": "sim.small",
                "image": "sim-debian-12",
                "userDataRef": {"name": "x"},
                "revision": "7d9f8c",
            },
        }
    )
    assert instance.status.phase == "Pending"
    assert str(instance.account) == "physics/home"
    assert instance.vm_name == "batch-worker-0-6f0c0b5e"


def test_times_are_whole_seconds_in_utc() -> None:
    assert timestamp(1.9) == "1970-01-01T00:00:01Z"
