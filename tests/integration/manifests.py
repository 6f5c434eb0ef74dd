"""Manifests to start from, and the many ways to write them wrong."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, NamedTuple

import yaml

Manifest = dict[str, Any]
EXAMPLES = Path(__file__).parents[2] / "examples" / "two-clouds"
GONE = object()
"""In a change: the field is taken out."""


def example(kind: str, name: str) -> Manifest:
    documents = [found for path in EXAMPLES.glob("*.yaml") for found in yaml.safe_load_all(path.read_text())]
    found: Manifest = next(one for one in documents if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def ours(kind: str, name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": "cloudherd.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


CLUSTER = example("VirtualCluster", "batch")
ACCOUNT = example("CloudAccount", "aws")
SIMULATED = example("CloudAccount", "home")
CONTEXT = example("Context", "condor-master")
_WORKER = {"clusterName": "batch", "serviceName": "worker"}
SERVICE = ours(
    "ClusterService",
    "batch-worker",
    {**_WORKER, "type": "Scalable", "replicas": 10, "minReplicas": 1, "maxReplicas": 100},
)
INSTANCE = ours(
    "Instance",
    "batch-worker-0",
    {
        **_WORKER,
        "id": "6f0c0b5e-0000-4000-8000-000000000001",
        "accountRef": {"namespace": "physics", "name": "home"},
        "flavor": "sim.small",
        "image": "sim-debian-12",
        "options": {"spot": False},
        "userDataRef": {"name": "batch-worker-7d9f8c"},
        "revision": "7d9f8c",
    },
)


def changed(manifest: Manifest, changes: dict[str, Any]) -> Manifest:
    """A copy with the fields at the dotted paths set anew or taken out."""
    result = copy.deepcopy(manifest)
    for path, value in changes.items():
        *steps, last = (int(step) if step.isdigit() else step for step in path.split("."))
        at: Any = result
        for step in steps:
            at = at.setdefault(step, {}) if isinstance(at, dict) else at[step]
        if value is GONE:
            del at[last]
        else:
            at[last] = value
    return result


def condition(type_: str, status: str, reason: str, message: str) -> Manifest:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


class Wrong(NamedTuple):
    """A change that makes a manifest wrong; the answer must say each of `says`: the field, and the way out."""

    title: str
    manifest: Manifest
    changes: dict[str, Any]
    says: tuple[str, ...]


def _cluster(title: str, changes: dict[str, Any], *says: str) -> Wrong:
    return Wrong(f"cluster: {title}", CLUSTER, {f"spec.{path}": value for path, value in changes.items()}, says)


def _account(title: str, changes: dict[str, Any], *says: str) -> Wrong:
    return Wrong(f"account: {title}", ACCOUNT, {f"spec.{path}": value for path, value in changes.items()}, says)


def _context(title: str, changes: dict[str, Any], *says: str) -> Wrong:
    return Wrong(f"context: {title}", CONTEXT, {f"spec.{path}": value for path, value in changes.items()}, says)


_MASTER, _W, _ENTRIES = "services.0", "services.1", "placement.accounts"
_AT_MASTER, _AT_WORKER = "spec.services[0]", "spec.services[1]"
_SELECTOR = {"matchLabels": {"team": "x"}}

WRONG = (
    _cluster("no services", {"services": []}, "spec.services", "at least 1"),
    _cluster("too many services", {"services": CLUSTER["spec"]["services"] * 17}, "spec.services", "at most 32"),
    _cluster("two services of one name", {f"{_W}.name": "master"}, _AT_WORKER, "Duplicate value", "master"),
    _cluster("a service's name is no label", {f"{_W}.name": "Worker_1"}, f"{_AT_WORKER}.name", "lower-case letters"),
    _cluster("names too long together", {f"{_W}.name": "w" * 42}, "metadata.name: ", "w" * 42, "46", "shorten one"),
    Wrong("cluster: a dot in its name", CLUSTER, {"metadata.name": "batch.1"}, ("metadata.name: ", "no dots")),
    Wrong("cluster: a long name", CLUSTER, {"metadata.name": "b" * 46}, ("metadata.name", "45 bytes")),
    _cluster("an unknown type", {f"{_W}.type": "Elastic"}, f"{_AT_WORKER}.type", '"Fixed", "Scalable"'),
    _cluster("no type", {f"{_W}.type": GONE}, f"{_AT_WORKER}.type", "Required value"),
    _cluster("no context", {f"{_W}.contextRef": GONE}, f"{_AT_WORKER}.contextRef", "Required value"),
    _cluster("no machine", {f"{_W}.machine": GONE}, f"{_AT_WORKER}.machine", "Required value"),
    _cluster("an empty flavor", {f"{_W}.machine.flavor": ""}, f"{_AT_WORKER}.machine.flavor", "at least 1 char"),
    _cluster("no size", {f"{_W}.machine.flavor": GONE}, f"{_AT_WORKER}.machine", "give either flavor"),
    _cluster("two sizes", {f"{_W}.machine.resources": {"cpus": 2}}, f"{_AT_WORKER}.machine", "give either flavor"),
    _cluster(
        "a size in thousandths",
        {f"{_W}.machine.flavor": GONE, f"{_W}.machine.resources": {"memory": "500m"}},
        f"{_AT_WORKER}.machine.resources.memory",
        "like 256Gi",
    ),
    _cluster("a size of nothing", {f"{_W}.machine.resources": {}}, f"{_AT_WORKER}.machine.resources", "at least one"),
    _cluster("a negative count", {f"{_W}.replicas": -1}, f"{_AT_WORKER}.replicas", "greater than or equal to 0"),
    _cluster("a count in words", {f"{_W}.replicas": "ten"}, f"{_AT_WORKER}.replicas", "must be of type integer"),
    _cluster("bounds crossed", {f"{_W}.minReplicas": 101}, f"{_AT_WORKER}.minReplicas", "raise the other"),
    _cluster("below its bound", {f"{_W}.minReplicas": 11}, f"{_AT_WORKER}.replicas", "lower minReplicas"),
    _cluster("above its bound", {f"{_W}.maxReplicas": 9}, f"{_AT_WORKER}.replicas", "raise maxReplicas"),
    _cluster("depends on itself", {f"{_MASTER}.dependsOn": ["master"]}, f"{_AT_MASTER}.dependsOn", "on itself"),
    _cluster(
        "a circle of two", {f"{_W}.type": "Fixed", f"{_MASTER}.dependsOn": ["worker"]}, "dependsOn of master", "out"
    ),
    _cluster("depends on nobody", {f"{_W}.dependsOn": ["mastr"]}, "spec.services", "dependsOn of worker", "add it"),
    _cluster("depends on a scalable", {f"{_MASTER}.dependsOn": ["worker"]}, "dependsOn of master", "Scalable"),
    _cluster("depends twice", {f"{_W}.dependsOn": ["master"] * 2}, f"{_AT_WORKER}.dependsOn[1]", "Duplicate value"),
    _cluster("an unknown field", {"colour": "red"}, 'unknown field "spec.colour"'),
    _cluster("an unknown field below", {f"{_W}.machine.gpus": 1}, f'unknown field "{_AT_WORKER}.machine.gpus"'),
    _cluster("a tag of ours", {f"{_W}.machine.tags": {"cloudherd-id": "1"}}, f"{_AT_WORKER}.machine.tags", "rename"),
    _cluster("a long grace", {f"{_W}.machine.deletionGrace": "25h"}, f"{_AT_WORKER}.machine.deletionGrace", "24h"),
    _cluster(
        "an override of nothing", {f"{_W}.machine.overrides.0.provider": GONE}, "overrides[0]", "needs a provider"
    ),
    _cluster("a wordy timeout", {f"{_W}.readiness.timeout": "soon"}, f"{_AT_WORKER}.readiness.timeout", "1h30m"),
    _cluster("no time at all", {f"{_W}.readiness.timeout": "0s"}, f"{_AT_WORKER}.readiness.timeout", "1s to 24h"),
    _cluster("parameters from nowhere", {f"{_W}.parametersFrom": [{}]}, "parametersFrom[0].secretRef", "Required"),
    _cluster("no placement", {"placement": GONE}, "spec.placement", "Required value"),
    _cluster("no accounts", {_ENTRIES: []}, "spec.placement.accounts", "at least 1"),
    _cluster("name and selector", {f"{_ENTRIES}.1.name": "aws"}, "spec.placement.accounts[1]", "only one"),
    _cluster("neither of them", {f"{_ENTRIES}.0.name": GONE}, "spec.placement.accounts[0]", "give one"),
    _cluster(
        "a selector without values",
        {f"{_ENTRIES}.1.selector": {"matchExpressions": [{"key": "region", "operator": "In"}]}},
        "spec.placement.accounts[1].selector.matchExpressions[0].values",
        "need values",
    ),
    _cluster(
        "a selector for no label",
        {f"{_ENTRIES}.1.selector.matchLabels.region": "us or ch"},
        "spec.placement.accounts[1].selector.matchLabels[region]",
        "a label's value",
    ),
    _cluster("an unknown strategy", {"placement.strategy": "Random"}, "spec.placement.strategy", '"Balanced"'),
    _cluster("bursts for nobody", {"placement.burst.minInstances": 0}, "spec.placement.burst.minInstances", "to 1"),
    _cluster("no site", {"placement.burst.maxSites": 0}, "spec.placement.burst.maxSites", "equal to 1"),
    _cluster("a wordy share", {"updateStrategy.maxUnavailable": "some"}, "spec.updateStrategy.maxUnavailable", "25%"),
    _cluster("more than all", {"updateStrategy.maxUnavailable": "101%"}, "spec.updateStrategy.maxUnavailable", "25%"),
    _cluster("a negative surge", {"updateStrategy.maxSurge": -1}, "spec.updateStrategy.maxSurge", "0 to 10000"),
    _cluster(
        "no way to roll", {"updateStrategy.maxUnavailable": "0%"}, "spec.updateStrategy.maxUnavailable", "both be 0"
    ),
    _account("no provider", {"provider": GONE}, "spec.provider", "Required value"),
    _account("no URL", {"endpoint": "localhost"}, "spec.endpoint", "write a URL like"),
    _account("keys in a URL", {"endpoint": "https://me:secret@cloud.example.org"}, "spec.endpoint", "credentialsRef"),
    _account("a bad quantity", {"quota.memory": "lots"}, "spec.quota.memory", "256Gi"),
    _account("thousandths of bytes", {"quota.memory": "256m"}, "spec.quota.memory", "in bytes"),
    _account("a negative quota", {"quota.instances": -1}, "spec.quota.instances", "greater than or equal to 0"),
    _account("less than no cores", {"quota.cpus": -1}, "spec.quota.cpus", "not below 0"),
    _account(
        "a selector for all", {"allowedNamespaces.selector": _SELECTOR}, "spec.allowedNamespaces.selector", "from"
    ),
    _account("no selector", {"allowedNamespaces.from": "Selector"}, "spec.allowedNamespaces.selector", "add the one"),
    _account("simulated elsewhere", {"simulated": {}}, "spec.simulated", "provider: simulated"),
    _account("a frantic poll", {"pollInterval": "500ms"}, "spec.pollInterval", "1s to 24h"),
    _account("a poll without a unit", {"pollInterval": "60"}, "spec.pollInterval", "90s"),
    _account("a nameless flavor", {"flavors.small": ""}, "spec.flavors.small", "at least 1 char"),
    _account("a nameless image", {"images.debian-12": ""}, "spec.images.debian-12", "at least 1 char"),
    Wrong("account: a dot in its name", ACCOUNT, {"metadata.name": "aws.us"}, ("metadata.name: ", "no dots")),
    _context("no parts", {"parts": []}, "spec.parts", "at least 1"),
    _context("no template", {"parts.0.template": GONE}, "spec.parts[0].template", "Required value"),
    _context("no content type", {"parts.0.contentType": "shell"}, "spec.parts[0].contentType", "text/cloud-config"),
    _context("required by default", {"parameters.0.required": True}, "spec.parameters[0].default", "take one out"),
    _context("two of one name", {"parameters.1.name": "pool"}, "spec.parameters[1]", "Duplicate value"),
    _context("no name for jinja", {"parameters.0.name": "my-pool"}, "spec.parameters[0].name", "underscores"),
    Wrong("service: another's name", SERVICE, {"metadata.name": "x"}, ("metadata.name", "<spec.clusterName>-")),
    Wrong("service: out of bounds", SERVICE, {"spec.replicas": 101}, ("spec.replicas", "raise maxReplicas")),
    Wrong("instance: another's name", INSTANCE, {"metadata.name": "x"}, ("metadata.name", "-<slot>")),
    Wrong("instance: no UUID", INSTANCE, {"spec.id": "17"}, ("spec.id", "a UUID")),
    Wrong("instance: unbound", INSTANCE, {"spec.accountRef": GONE}, ("spec.accountRef", "Required value")),
)
