"""What an API server does to objects, without any waiting: versions, preconditions, finalizers, namespaces, history.

True to kube-apiserver as the contract test sees it. It evaluates no CEL rules and knows no RBAC.
"""

from __future__ import annotations

import builtins
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from cloudherd.api.meta import timestamp
from cloudherd.runtime.kinds import NAMESPACE
from cloudherd.runtime.ports import ApiError, Clock, Kind, Object, Random
from tests.fakes.rules import (
    SYSTEM_FIELDS,
    Key,
    Resource,
    changed,
    check_patch,
    complete,
    content,
    copy,
    is_ours,
    key_in,
    key_of,
    merge,
    resource_of,
    seen_as,
    title,
)


@dataclass(frozen=True, slots=True)
class Change:
    version: int
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    text: str


class Objects:
    """All objects, kept as JSON text so that nobody shares a dict with anybody."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._texts: dict[Resource, dict[Key, str]] = defaultdict(dict)
        self._history: dict[Resource, list[Change]] = defaultdict(list)
        self.version = self._compacted = 100
        for name in ("default", "kube-system"):
            self.create(NAMESPACE, {"metadata": {"name": name}})

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        text = self._texts[resource_of(kind)].get(key_of(kind, namespace, name))
        return None if text is None else seen_as(kind, text)

    def list(self, kind: Kind, namespace: str = "") -> tuple[builtins.list[Object], str]:
        texts = sorted(self._texts[resource_of(kind)].items())
        found = [seen_as(kind, text) for (at, _), text in texts if namespace in ("", at)]
        return found, str(self.version)

    def check_known(self, since: int) -> None:
        """Expired where the history from this version on is not whole any more."""
        if since < self._compacted:
            raise ApiError("Expired", f"too old resource version: {since} ({self._compacted})", 410)

    def changes(self, kind: Kind, since: int) -> builtins.list[Change]:
        """The changes after a version, oldest first."""
        history = self._history[resource_of(kind)]
        first = len(history)
        while first and history[first - 1].version > since:
            first -= 1
        return history[first:]

    def compact(self) -> None:
        self._compacted = self.version

    def create(self, kind: Kind, obj: Object) -> Object:
        new = copy(obj)
        metadata = new["metadata"]
        if kind.namespaced:
            self._admit(kind, metadata.get("namespace", ""), metadata.get("name", ""))
        if metadata.get("resourceVersion"):
            raise ApiError("BadRequest", "resourceVersion should not be set on objects to be created", 400)
        if not metadata.get("name"):
            metadata["name"] = metadata["generateName"] + self._random.uuid()[:5]
        if self._find(kind, metadata.get("namespace", ""), metadata["name"]) is not None:
            raise ApiError("AlreadyExists", f'{title(kind)} "{metadata["name"]}" already exists', 409)
        for field in (*SYSTEM_FIELDS[3:], "managedFields"):
            metadata.pop(field, None)
        metadata |= {"uid": self._random.uuid(), "creationTimestamp": timestamp(self._clock.now())}
        new |= {"apiVersion": f"{kind.group}/{kind.version}" if kind.group else kind.version, "kind": kind.kind}
        if is_ours(kind):
            metadata["generation"] = 1
            new.pop("status", None)
        complete(kind, new)
        return self._store(kind, "ADDED", new)

    def patch(self, kind: Kind, namespace: str, name: str, body: Object, subresource: str = "") -> Object:
        old = self._find(kind, namespace, name)
        if old is None:
            raise ApiError("NotFound", f'{title(kind)} "{name}" not found', 404)
        check_patch(kind, old, body, subresource)
        if subresource == "scale":
            return self._scale(kind, old, body)
        new = copy(old)
        if subresource == "status":
            new["status"] = merge(old.get("status", {}), body.get("status", {}))
        else:
            new = changed(kind, old, merge(old, body))
        return self._update(kind, old, new)

    def replace(self, kind: Kind, obj: Object) -> Object:
        namespace, name = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
        old = self._find(kind, namespace, name)
        if old is None:
            raise ApiError("NotFound", f'{title(kind)} "{name}" not found', 404)
        if not obj["metadata"].get("resourceVersion"):
            raise ApiError("Invalid", "metadata.resourceVersion: must be specified for an update", 422)
        check_patch(kind, old, obj, "")
        return self._update(kind, old, changed(kind, old, obj))

    def delete(self, kind: Kind, namespace: str, name: str, uid: str, resource_version: str = "") -> Object | None:
        old = self._find(kind, namespace, name)
        if old is None:
            return None
        metadata = old["metadata"]
        if uid != metadata["uid"] or resource_version not in ("", metadata["resourceVersion"]):
            raise ApiError("Conflict", f'the precondition does not match {title(kind)} "{name}"', 409)
        return self._delete(kind, old)

    def _admit(self, kind: Kind, namespace: str, name: str) -> None:
        home = self._find(NAMESPACE, "", namespace)
        if home is None:
            raise ApiError("NotFound", f'namespaces "{namespace}" not found', 404)
        if "deletionTimestamp" in home["metadata"]:
            raise ApiError("Forbidden", f'{title(kind)} "{name}" is forbidden: {namespace} is being terminated', 403)

    def _find(self, kind: Kind, namespace: str, name: str) -> Object | None:
        text = self._texts[resource_of(kind)].get(key_of(kind, namespace, name))
        return None if text is None else json.loads(text)

    def _store(self, kind: Kind, change: Literal["ADDED", "MODIFIED"], new: Object) -> Object:
        self.version += 1
        new["metadata"]["resourceVersion"] = str(self.version)
        text = json.dumps(new)
        self._texts[resource_of(kind)][key_in(kind, new)] = text
        self._history[resource_of(kind)].append(Change(self.version, change, text))
        return seen_as(kind, text)

    def _update(self, kind: Kind, old: Object, new: Object) -> Object:
        complete(kind, new)
        metadata = new["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            self._remove(kind, old)
            return seen_as(kind, json.dumps(new))
        if new == old:
            return seen_as(kind, json.dumps(old))
        if is_ours(kind) and content(new) != content(old):
            metadata["generation"] += 1
        return self._store(kind, "MODIFIED", new)

    def _scale(self, kind: Kind, old: Object, body: Object) -> Object:
        new = self._update(kind, old, merge(old, {"spec": {"replicas": body["spec"]["replicas"]}}))
        metadata = {key: new["metadata"].get(key) for key in SYSTEM_FIELDS[:5]}
        status = {"replicas": new.get("status", {}).get("replicas", 0)}
        spec = {"replicas": new["spec"]["replicas"]}
        return {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata, "spec": spec, "status": status}

    def _delete(self, kind: Kind, old: Object) -> Object | None:
        new = copy(old)
        metadata = new["metadata"]
        if "deletionTimestamp" in metadata:
            return seen_as(kind, json.dumps(old))
        metadata["deletionTimestamp"] = timestamp(self._clock.now())
        if kind == NAMESPACE:
            new["status"]["phase"] = "Terminating"
            answer = self._store(kind, "MODIFIED", new)
            self._empty(metadata["name"])
            return answer
        if not metadata.get("finalizers"):
            self._remove(kind, old)
            return None
        metadata["deletionGracePeriodSeconds"] = 0
        if is_ours(kind):
            metadata["generation"] += 1
        return self._store(kind, "MODIFIED", new)

    def _remove(self, kind: Kind, last: Object) -> None:
        self.version += 1
        del self._texts[resource_of(kind)][key_in(kind, last)]
        last["metadata"]["resourceVersion"] = str(self.version)
        self._history[resource_of(kind)].append(Change(self.version, "DELETED", json.dumps(last)))
        home = self._find(NAMESPACE, "", last["metadata"].get("namespace", ""))
        if home is not None and "deletionTimestamp" in home["metadata"]:
            self._end(home)

    def _empty(self, namespace: str) -> None:
        """What the namespace controller does, at once."""
        for (group, plural), texts in list(self._texts.items()):
            for (at, _), text in list(texts.items()):
                if at == namespace:
                    obj = json.loads(text)
                    self._delete(Kind(group, "", plural, obj["kind"]), obj)
        home = self._find(NAMESPACE, "", namespace)
        if home is not None:
            self._end(home)

    def _end(self, home: Object) -> None:
        name = home["metadata"]["name"]
        if not any(at == name for texts in self._texts.values() for at, _ in texts):
            self._remove(NAMESPACE, home)
