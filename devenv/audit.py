"""Counts Kubernetes writes by the API server's own audit log: what was asked of it, not what a client believes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Write:
    """One finished request that writes, refused ones included."""

    verb: str  # create, update, patch, delete or deletecollection
    group: str  # "" for the core group
    resource: str  # plural; "instances"
    subresource: str  # "" or "status", "scale", "token" ...
    namespace: str
    name: str
    status: int  # HTTP
    user_agent: str
    manager: (
        str  # the field manager where the request names one, else the first word of the user agent, as the server does
    )


class AuditLog:
    """The audit log of a control plane that is ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def position(self) -> int:
        """Where it ends now: hand it to `writes` later to read only what came after."""
        return self._path.stat().st_size

    def writes(self, since: int = 0) -> list[Write]:
        """All writes from that position on, in the order of their end."""
        with self._path.open("rb") as log:
            log.seek(since)
            lines = log.read().split(b"\n")[:-1]  # behind the last newline is what the server is still writing
        return [_write(json.loads(line)) for line in lines]


def _write(event: dict[str, Any]) -> Write:
    target = event.get("objectRef", {})
    agent = event.get("userAgent", "")
    manager = parse_qs(urlsplit(event["requestURI"]).query).get("fieldManager", [agent.partition("/")[0]])[0]
    return Write(
        verb=event["verb"],
        group=target.get("apiGroup", ""),
        resource=target.get("resource", ""),
        subresource=target.get("subresource", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        status=event.get("responseStatus", {}).get("code", 0),
        user_agent=agent,
        manager=manager,
    )
