"""The KubeApi port on a real API server: generic paths per Kind, raw JSON in and out, no models.

Objects come with apiVersion and kind, and without metadata.managedFields. Reads that a busy server turned away are
tried again here; writes never, since the loops that make them start from what they see anyway.
"""

from __future__ import annotations

import asyncio
import builtins
import random
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from pydantic_core import from_json  # twice as fast as json, and equal strings are one object

from cloudherd.runtime.ports import ApiError, Kind, Object, WatchEvent
from controllers.connection import Connection, error_of

PAGE = 500
SILENCE_SECONDS = 70.0
"""A healthy watch carries a bookmark about every minute, but for kinds on which the server knows nothing new."""
_CALL_LIMITS = aiohttp.ClientTimeout(total=20, sock_connect=10)
_WATCH_SECONDS = (300, 600)
_READ_ATTEMPTS = 4
_LIST_ATTEMPTS = 3
_LONGEST_WAIT = 30.0
_BUSY = {429, 500, 502, 503, 504}
_METADATA = "application/json;as=PartialObjectMetadata{list};v=v1;g=meta.k8s.io"


class HttpKubeApi:
    """Kubernetes as one field manager. Many share one Connection."""

    def __init__(self, connection: Connection, field_manager: str, *, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._connection = connection
        self._manager = field_manager
        self._watch_limits = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence_seconds)

    async def list(self, kind: Kind, *, namespace: str = "") -> tuple[builtins.list[Object], str]:
        for _ in range(_LIST_ATTEMPTS - 1):
            try:
                return await self._list_once(kind, namespace)
            except ApiError as error:
                if error.reason != "Expired":
                    raise
        return await self._list_once(kind, namespace)

    async def _list_once(self, kind: Kind, namespace: str) -> tuple[builtins.list[Object], str]:
        objects: builtins.list[Object] = []
        query = {"limit": str(PAGE)}
        while True:
            page = await self._read(kind, f"{_path(kind, namespace)}?{urlencode(query)}", listing=True)
            objects.extend(_clean(kind, item) for item in page.get("items") or ())
            metadata = page["metadata"]
            if not metadata.get("continue"):
                return objects, str(metadata["resourceVersion"])
            query["continue"] = metadata["continue"]

    async def watch(self, kind: Kind, resource_version: str) -> AsyncGenerator[WatchEvent, None]:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(random.randint(*_WATCH_SECONDS)),
        }
        target = f"{_path(kind)}?{urlencode(query)}"
        async with self._connection.request(
            "GET", target, headers={"Accept": _accept(kind)}, limits=self._watch_limits
        ) as response:
            yield WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": resource_version}})
            lines = _Lines()
            async for chunk in response.content.iter_any():
                for line in lines.feed(chunk):
                    event = from_json(line)
                    if event["type"] == "ERROR":
                        raise error_of(500, event["object"])
                    yield WatchEvent(event["type"], _clean(kind, event["object"]))

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        try:
            return _clean(kind, await self._read(kind, _path(kind, namespace, name)))
        except ApiError as error:
            if error.reason == "NotFound":
                return None
            raise

    async def create(self, kind: Kind, obj: Object) -> Object:
        path = _path(kind, obj["metadata"].get("namespace", ""))
        return _clean(kind, await self._write(kind, "POST", self._as_manager(path), "application/json", obj))

    async def patch(self, kind: Kind, namespace: str, name: str, body: Object, *, subresource: str = "") -> Object:
        target = self._as_manager(_path(kind, namespace, name, subresource))
        answer = await self._write(kind, "PATCH", target, "application/merge-patch+json", body)
        return answer if subresource == "scale" else _clean(kind, answer)

    async def replace(self, kind: Kind, obj: Object) -> Object:
        metadata = obj["metadata"]
        target = self._as_manager(_path(kind, metadata.get("namespace", ""), metadata["name"]))
        return _clean(kind, await self._write(kind, "PUT", target, "application/json", obj))

    async def delete(
        self, kind: Kind, namespace: str, name: str, *, uid: str, resource_version: str = ""
    ) -> Object | None:
        preconditions = {"uid": uid, **({"resourceVersion": resource_version} if resource_version else {})}
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        try:
            answer = await self._write(kind, "DELETE", _path(kind, namespace, name), "application/json", options)
        except ApiError as error:
            if error.reason == "NotFound":
                return None
            raise
        return None if answer["kind"] == "Status" else _clean(kind, answer)

    def _as_manager(self, path: str) -> str:
        return f"{path}?{urlencode({'fieldManager': self._manager})}"

    async def _read(self, kind: Kind, target: str, *, listing: bool = False) -> Object:
        for attempt in range(_READ_ATTEMPTS):
            try:
                return await self._call("GET", target, {"Accept": _accept(kind, listing=listing)})
            except ApiError as error:
                if error.status not in _BUSY or attempt == _READ_ATTEMPTS - 1:
                    raise
                wait = error.retry_after or 2.0**attempt
            await asyncio.sleep(min(wait, _LONGEST_WAIT) * random.uniform(1, 1.2))
        raise AssertionError("unreachable")

    async def _write(self, kind: Kind, method: str, target: str, content_type: str, body: Object) -> Object:
        try:
            return await self._call(method, target, {"Accept": _accept(kind), "Content-Type": content_type}, body)
        except ApiError as error:
            if kind.plural != "secrets":
                raise
            # What the server says about a Secret that it refuses may quote it.
            raise ApiError(error.reason, f"the Secret was refused: {error.reason}", error.status) from None

    async def _call(self, method: str, target: str, headers: dict[str, str], body: Object | None = None) -> Object:
        async with (
            self._connection.slots,
            self._connection.request(method, target, headers=headers, limits=_CALL_LIMITS, body=body) as response,
        ):
            content = await response.read()
        answer: Object = from_json(content)
        return answer


class _Lines:
    """Cuts a stream into lines of any length; aiohttp's own readline gives up on long ones."""

    def __init__(self) -> None:
        self._begun: builtins.list[bytes] = []

    def feed(self, chunk: bytes) -> builtins.list[bytes]:
        """The lines that are whole with this chunk."""
        *lines, begun = chunk.split(b"\n")
        if lines:
            lines[0] = b"".join([*self._begun, lines[0]])
            self._begun = []
        self._begun.append(begun)
        return lines


def _path(kind: Kind, namespace: str = "", name: str = "", subresource: str = "") -> str:
    parts = ["apis", kind.group, kind.version] if kind.group else ["api", kind.version]
    if namespace and kind.namespaced:
        parts += ["namespaces", namespace]
    parts += [part for part in (kind.plural, name, subresource) if part]
    return "/" + "/".join(quote(part, safe="") for part in parts)


def _accept(kind: Kind, *, listing: bool = False) -> str:
    return _METADATA.format(list="List" if listing else "") if kind.metadata_only else "application/json"


def _clean(kind: Kind, obj: dict[str, Any]) -> Object:
    """As the port promises it. A list leaves out apiVersion and kind of core objects."""
    obj["apiVersion"] = f"{kind.group}/{kind.version}" if kind.group else kind.version
    obj["kind"] = kind.kind
    obj["metadata"].pop("managedFields", None)
    return obj
