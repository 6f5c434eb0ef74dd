"""Records, VMs and listings for tests of decisions: all alike but for what a test says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cloudherd.agent.identity import tags_for, token_for
from cloudherd.agent.seen import Seen, index
from cloudherd.agent.settings import AgentSettings
from cloudherd.agent.view import View
from cloudherd.api import CloudAccount, Instance, ObjectKey
from cloudherd.clouds.protocol import VM, Capabilities, Listing, VMState

HOME = ObjectKey("physics", "home")
SCOPE = "physics.home"
ID = "6f0c0000-0000-4000-8000-000000000001"
OTHER_ID = "6f0c0000-0000-4000-8000-000000000002"
WITH_TOKENS = Capabilities(True, True, True, 16384, visibility_seconds=60)
WITHOUT_TOKENS = replace(WITH_TOKENS, idempotency_token=False)
LATE_TAGS = replace(WITH_TOKENS, tags_at_creation=False)
NOW = 10_000.0
UNIX = 1_800_000_000.0
"""The same moment by the calendar."""


def record(name: str = "batch-worker-0", *, id_: str = ID, deleting: bool = False, **more: Any) -> Instance:
    """`more` goes into the spec, but `status` and `annotations`."""
    status, annotations = more.pop("status", {}), more.pop("annotations", {})
    meta = {
        "name": name,
        "namespace": "physics",
        "uid": f"uid-of-{name}-{id_[-1]}",
        "resourceVersion": "7",
        "generation": 1,
        "finalizers": ["cloudherd.dev/instance"],
        "annotations": {f"cloudherd.dev/{key}": value for key, value in annotations.items()},
    }
    if deleting:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    spec = {
        "id": id_,
        "clusterName": "batch",
        "serviceName": "worker",
        "accountRef": {"namespace": "physics", "name": "home"},
        "flavor": "sim.small",
        "image": "sim-debian-12",
        "resources": {"cpus": 2, "memory": 4 * 1024**3},
        "userDataRef": {"name": "data"},
        "revision": "1",
        "agent": "this",
        **more,
    }
    return Instance.model_validate({"metadata": meta, "spec": spec, "status": status})


def up(vm_id: str = "i-1", phase: str = "Ready") -> dict[str, Any]:
    """The status of an Instance that has a VM."""
    ready = {"type": "Ready", "status": "True", "reason": "ServiceReady", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    return {
        "phase": phase,
        "providerID": f"fake://{SCOPE}/{vm_id}",
        "addresses": {"private": ["10.0.0.1"]},
        "conditions": [ready],
    }


def launched(status: str) -> dict[str, Any]:
    """The status of an Instance without a VM, with the condition Launched."""
    one = {"type": "Launched", "status": status, "reason": "Refused", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    return {"phase": "Pending", "conditions": [one]}


def claimed(nonce: str) -> dict[str, Any]:
    """The status of an Instance that an agent is about to launch."""
    at = "2026-01-01T00:00:00Z"
    ready = {"type": "Ready", "status": "Unknown", "reason": "Claimed", "message": nonce, "lastTransitionTime": at}
    return {"phase": "Launching", "conditions": [*launched("Unknown")["conditions"], ready]}


def vm(vm_id: str = "i-1", state: VMState = VMState.RUNNING, *, of: Instance | None = None, **more: Any) -> VM:
    tags = more.pop("tags", tags_for("inst", of or record()))
    return VM(vm_id, "batch-worker-0-6f0c", state, tags, more.pop("private", ("10.0.0.1",)), **more)


def untagged(vm_id: str = "i-1", state: VMState = VMState.RUNNING, *, of: Instance | None = None) -> VM:
    """As `vm`, before it has got its tags."""
    return vm(vm_id, state, tags={}, token=token_for("inst", of or record()))


def seen(*vms: VM, begun: float = NOW, scope: str = SCOPE) -> Seen:
    return index(Listing(scope, vms), begun, "inst", HOME)


def view(listed: Seen | None, **more: Any) -> View:
    """By default what is seen was asked for this moment, by a cloud that knows tokens."""
    given: dict[str, Any] = {
        "installation": "inst",
        "agent": "this",
        "provider": "fake",
        "settings": AgentSettings(),
        "capabilities": WITH_TOKENS,
        "monotonic": NOW + 1,
        "now": UNIX + 1,
        "seen": listed,
        "scope": SCOPE,
    }
    return View(**{**given, **more})


def account(
    *, annotations: dict[str, str] | None = None, status: dict[str, Any] | None = None, **spec: Any
) -> CloudAccount:
    meta = {"name": "home", "namespace": "physics", "uid": "a", "generation": 3, "annotations": annotations or {}}
    defaults = {"provider": "fake", "flavors": {"small": "sim.small"}, "images": {"debian-12": "sim-debian-12"}}
    return CloudAccount.model_validate({"metadata": meta, "spec": {**defaults, **spec}, "status": status or {}})
