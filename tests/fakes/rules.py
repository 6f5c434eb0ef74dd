"""What an API server does with one object: merge patches, preconditions, defaults, what no client may change. Pure."""

from __future__ import annotations

import base64
import json
from typing import Any

from cloudherd.api.meta import GROUP
from cloudherd.runtime.kinds import NAMESPACE, SECRET
from cloudherd.runtime.ports import ApiError, Kind, Object
from tests.fakes.schemas import conform, has_subresource

Resource = tuple[str, str]
Key = tuple[str, str]

SYSTEM_FIELDS = (
    "uid",
    "name",
    "namespace",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_IMMUTABLE_DATA = ("data", "stringData", "type")


def merge(target: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def seen_as(kind: Kind, text: str) -> Object:
    """An object as a client of this Kind gets it."""
    obj: Object = json.loads(text)
    if kind.metadata_only:
        return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": obj["metadata"]}
    return obj


def check_patch(kind: Kind, old: Object, body: Object, subresource: str) -> None:
    if subresource and not has_subresource(kind, subresource):
        raise ApiError("NotFound", "the server could not find the requested resource", 404)
    metadata, stored = body.get("metadata", {}), old["metadata"]
    if metadata.get("resourceVersion") not in (None, stored["resourceVersion"]):
        raise ApiError("Conflict", f'{title(kind)} "{stored["name"]}" has been modified', 409)
    if not subresource and metadata.get("uid") not in (None, stored["uid"]):
        raise ApiError("Conflict", f'{title(kind)} "{stored["name"]}" has another uid', 422)
    if metadata.get("name") not in (None, stored["name"]):
        raise ApiError("BadRequest", "the name of the object does not match the name on the URL", 400)


def changed(kind: Kind, old: Object, new: Object) -> Object:
    """What a write to the main resource may change: neither what is the system's nor a status of ours."""
    new = copy(new)
    for field in SYSTEM_FIELDS:
        new["metadata"].pop(field, None)
        if field in old["metadata"]:
            new["metadata"][field] = old["metadata"][field]
    if is_ours(kind):
        new.pop("status", None)
        new |= {"status": old["status"]} if "status" in old else {}
    added = set(new["metadata"].get("finalizers", ())) - set(old["metadata"].get("finalizers", ()))
    if added and "deletionTimestamp" in old["metadata"]:
        raise ApiError("Invalid", "no new finalizers can be added if the object is being deleted", 422)
    if old.get("immutable") and any(new.get(field) != old.get(field) for field in _IMMUTABLE_DATA):
        raise ApiError("Invalid", "the object is immutable", 422)
    return new


def complete(kind: Kind, new: Object) -> None:
    """Defaults, and what is left out because it is empty."""
    metadata = new["metadata"]
    for field in ("labels", "annotations", "finalizers"):
        if not metadata.get(field):
            metadata.pop(field, None)
    if is_ours(kind):
        conform(kind, new)
    if resource_of(kind) == resource_of(SECRET):
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in new.pop("stringData", {}).items()}
        new |= {"data": {**new.get("data", {}), **encoded}, "type": new.get("type", "Opaque")}
    if kind == NAMESPACE:
        new |= {"spec": {"finalizers": ["kubernetes"]}, "status": new.get("status", {"phase": "Active"})}
        metadata["labels"] = {**metadata.get("labels", {}), "kubernetes.io/metadata.name": metadata["name"]}


def content(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}


def copy(obj: Object) -> Object:
    copy: Object = json.loads(json.dumps(obj))
    return copy


def is_ours(kind: Kind) -> bool:
    return kind.group == GROUP


def resource_of(kind: Kind) -> Resource:
    return (kind.group, kind.plural)


def key_of(kind: Kind, namespace: str, name: str) -> Key:
    return (namespace if kind.namespaced else "", name)


def key_in(kind: Kind, obj: Object) -> Key:
    return key_of(kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def title(kind: Kind) -> str:
    return f"{kind.plural}.{kind.group}" if kind.group else kind.plural
