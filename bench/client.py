"""A bare asyncio client of the API server: it submits what is measured, and is itself the floor that it is measured by.

Plain aiohttp and JSON: no models, no cache, no retry. Whatever the server refuses is an error that ends the run.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml

Object = dict[str, Any]
GROUP = "/apis/cloudherd.dev/v1alpha1"


class Client:
    """An async context manager. Paths are the API server's."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._server: str = cluster["server"]
        self._headers = {"Authorization": f"Bearer {user['token']}", "User-Agent": "bench"}
        self._tls = ssl.create_default_context(cadata=authority)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls)
        limits = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)
        self._session = aiohttp.ClientSession(self._server, connector=connector, headers=self._headers, timeout=limits)
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        assert self._session
        await self._session.close()

    async def get(self, path: str) -> Object:
        answer: Object = json.loads(await self._call("GET", path))
        return answer

    async def text(self, path: str) -> str:
        return (await self._call("GET", path)).decode()

    async def create(self, path: str, body: Object) -> None:
        await self._call("POST", path, body, "application/json")

    async def patch(self, path: str, body: Object) -> None:
        await self._call("PATCH", path, body, "application/merge-patch+json")

    async def delete(self, path: str) -> None:
        await self._call("DELETE", path)

    async def list(self, path: str) -> list[Object]:
        """All pages."""
        found: list[Object] = []
        more = ""
        while True:
            page = await self.get(f"{path}?limit=500{more}")
            found += page["items"]
            if not page["metadata"].get("continue"):
                return found
            more = f"&continue={page['metadata']['continue']}"

    async def watch(self, path: str) -> AsyncIterator[Object]:
        """Events from the present state on, ADDED for what is there; for ever, since a busy server closes watches."""
        version = ""
        while True:
            async for event in self._watch_once(f"{path}?watch=true&resourceVersion={version}"):
                if event["type"] == "ERROR":
                    raise RuntimeError(f"the watch of {path} broke: {event['object']}")
                version = event["object"]["metadata"]["resourceVersion"]
                yield event

    async def _watch_once(self, path: str) -> AsyncIterator[Object]:
        assert self._session
        async with self._session.get(path, timeout=aiohttp.ClientTimeout(total=None)) as response:
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield json.loads(line)

    async def _call(self, method: str, path: str, body: Object | None = None, content: str = "") -> bytes:
        assert self._session
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content} if content else {}
        async with self._session.request(method, path, data=data, headers=headers) as response:
            answer = await response.read()
            if response.status >= 300:
                raise RuntimeError(f"{method} {path}: {response.status} {answer[:300]!r}")
        return answer


async def at_once(count: int, steps: Iterable[Callable[[], Awaitable[object]]]) -> None:
    """Takes all steps, so many of them at a time."""
    left = iter(steps)

    async def worker() -> None:
        for step in left:
            await step()

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(worker())
