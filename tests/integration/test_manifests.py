"""What `kubectl apply` takes, and what it refuses with a message that names the field and the way out.

Only what the API server can know: what only the controller can know is told by conditions, and tested end to end.
"""

from __future__ import annotations

import pytest
import yaml

from devenv.controlplane import ControlPlane
from tests.integration.kubectl import Namespace, done, refused
from tests.integration.manifests import (
    ACCOUNT,
    CLUSTER,
    CONTEXT,
    EXAMPLES,
    GONE,
    INSTANCE,
    SERVICE,
    SIMULATED,
    WRONG,
    Manifest,
    Wrong,
    changed,
    condition,
)

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("wrong", WRONG, ids=[wrong.title for wrong in WRONG])
def test_a_wrong_manifest_is_refused_by_field(namespace: Namespace, wrong: Wrong) -> None:
    refused(namespace.apply(changed(wrong.manifest, wrong.changes), "--dry-run=server"), *wrong.says)


@pytest.mark.parametrize(
    ("manifest", "changes"),
    [
        (CLUSTER, {"spec.services.1.replicas": GONE, "spec.services.1.minReplicas": GONE}),
        (CLUSTER, {"spec.services.1.maxReplicas": GONE, "spec.updateStrategy": GONE, "spec.placement.burst": GONE}),
        (CLUSTER, {"spec.services.1.name": "w" * 41}),
        (CLUSTER, {"spec.services.1.readiness.timeout": "1h30m", "spec.services.1.machine.deletionGrace": "0s"}),
        (CLUSTER, {"spec.services.1.machine.tags": {"Owner": "physics", "cloud": "herd"}}),
        (CLUSTER, {"spec.updateStrategy": {"maxUnavailable": 0, "maxSurge": 1}}),
        (CLUSTER, {"spec.updateStrategy": {"maxUnavailable": "100%", "maxSurge": "0%"}}),
        (CLUSTER, {"spec.placement.accounts.1.selector": {}}),
        (ACCOUNT, {"spec.quota": {"cpus": "500m", "memory": 1024}, "spec.endpoint": GONE, "spec.region": GONE}),
        (ACCOUNT, {"spec.allowedNamespaces": {"from": "Selector", "selector": {"matchLabels": {"a": ""}}}}),
        (ACCOUNT, {"spec.options": {"deep": {"any": [1, None, {"thing": True}]}}}),
        (SIMULATED, {"spec.simulated": {"capacity": 0, "latencySeconds": 0.25}, "spec.pollInterval": "1s"}),
        (CONTEXT, {"spec.parameters.0.default": GONE, "spec.parts.0.contentType": GONE}),
        (CONTEXT, {"spec.description": None, "spec.parameters": None}),
    ],
)
def test_what_is_unusual_but_right_is_taken(namespace: Namespace, manifest: Manifest, changes: Manifest) -> None:
    done(namespace.apply(changed(manifest, changes), "--dry-run=server"))


def test_the_examples_apply_as_they_stand(crds: ControlPlane) -> None:
    try:
        done(crds.kubectl("apply", "-f", str(EXAMPLES)))
        again = done(crds.kubectl("apply", "-f", str(EXAMPLES))).splitlines()
        assert "virtualcluster.cloudherd.dev/batch unchanged" in again
        assert [line for line in again if "cloudherd.dev" in line and not line.endswith(" unchanged")] == []
    finally:
        crds.kubectl("delete", "-f", str(EXAMPLES), "--ignore-not-found")


@pytest.mark.parametrize(
    ("manifest", "changes", "says"),
    [
        (CLUSTER, {"spec.services.0.type": "Scalable", "spec.services.1.dependsOn": []}, "spec.services[0].type"),
        (ACCOUNT, {"spec.provider": "openstack"}, "spec.provider"),
        (ACCOUNT, {"spec.region": "eu-west-1"}, "spec.region"),
        (ACCOUNT, {"spec.region": GONE}, "spec.region"),
        (SIMULATED, {"spec.region": "ch"}, "spec.region"),
        (SERVICE, {"spec.type": "Fixed"}, "spec.type"),
        (INSTANCE, {"spec.flavor": "sim.large"}, "spec.flavor"),
        (INSTANCE, {"spec.accountRef.name": "aws"}, "spec.accountRef"),
        (INSTANCE, {"spec.id": "6f0c0b5e-0000-4000-8000-000000000002"}, "spec.id"),
        (INSTANCE, {"spec.tags": {"owner": "me"}}, "tags"),
        (INSTANCE, {"spec.options": GONE}, "options"),
        (INSTANCE, {"spec.options": {"spot": True}}, "spec.options"),
        (INSTANCE, {"spec.deletionGrace": "1m"}, "spec.deletionGrace"),
    ],
)
def test_what_stands_cannot_become_another_thing(
    objects: Namespace, manifest: Manifest, changes: Manifest, says: str
) -> None:
    refused(objects.apply(changed(manifest, changes), "--dry-run=server"), says, "immutable")


def test_an_instance_may_be_stopped(objects: Namespace) -> None:
    done(objects.apply(changed(INSTANCE, {"spec.powerState": "Stopped"}), "--dry-run=server"))


def test_a_service_may_be_added_and_taken_out_again(objects: Namespace) -> None:
    extra = {**CLUSTER["spec"]["services"][0], "name": "monitor"}
    services = [*CLUSTER["spec"]["services"], extra]
    done(objects.apply(changed(CLUSTER, {"spec.services": services})))
    done(objects.apply(CLUSTER))


def test_a_service_scales_within_its_bounds(objects: Namespace) -> None:
    done(objects.kubectl("scale", "clusterservice/batch-worker", "--replicas=5"))
    assert done(objects.kubectl("get", "csvc", "batch-worker", "-o", "jsonpath={.spec.replicas}")) == "5"
    refused(objects.kubectl("scale", "csvc/batch-worker", "--replicas=0"), "spec.replicas", "lower minReplicas")
    refused(objects.kubectl("scale", "csvc/batch-worker", "--replicas=101"), "spec.replicas", "raise maxReplicas")


def test_autoscalers_see_count_and_selector(objects: Namespace) -> None:
    status = {"replicas": 4, "readyReplicas": 3, "selector": "cloudherd.dev/cluster=batch"}
    done(objects.patch("csvc/batch-worker", {"status": status}, "--subresource=status"))
    scale = done(objects.kubectl("get", "csvc", "batch-worker", "--subresource=scale", "-o", "jsonpath={.status}"))
    assert yaml.safe_load(scale) == {"replicas": 4, "selector": "cloudherd.dev/cluster=batch"}


def test_an_instance_without_a_status_shows_as_pending(objects: Namespace) -> None:
    done(objects.apply(changed(INSTANCE, {"metadata.name": "batch-worker-1"})))
    stored = yaml.safe_load(done(objects.kubectl("get", "inst", "batch-worker-1", "-o", "yaml")))
    assert stored["status"] == {"phase": "Pending"}


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("spec.clusterName=batch,spec.serviceName=worker,spec.accountRef.name=home", True),
        ("spec.clusterName=other", False),
        ("spec.serviceName=master", False),
        ("spec.accountRef.name=aws", False),
    ],
)
def test_instances_are_found_by_field(objects: Namespace, selector: str, found: bool) -> None:
    names = done(objects.kubectl("get", "inst", "--field-selector", selector, "-o", "name"))
    assert ("batch-worker-0" in names) is found


def test_a_status_with_two_conditions_of_a_type_is_refused(objects: Namespace) -> None:
    twice = {"status": {"conditions": [condition("Ready", "True", "Fine", "")] * 2}}
    refused(objects.patch("vc/batch", twice, "--subresource=status"), "status.conditions[1]", "Duplicate value")
