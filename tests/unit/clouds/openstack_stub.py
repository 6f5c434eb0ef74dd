"""A keystone and a nova that answer what a test says: for what real services cannot be made to do at will."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cloudherd.clouds.openstack import OpenStack, OpenStackDriver
from cloudherd.clouds.protocol import Connection

Reply = tuple[int, Any]
Answering = Callable[["Asked"], Reply]
KEYS = {"applicationCredentialId": "app-1", "applicationCredentialSecret": "hunter2-hunter2"}


@dataclass(frozen=True)
class Asked:
    method: str
    path: str  # with its query
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def server(number: int, **more: Any) -> dict[str, Any]:
    found = {"id": f"s-{number}", "name": f"n-{number}", "status": "ACTIVE", "metadata": {}, "addresses": {}}
    return {**found, "flavor": {"original_name": "m1.tiny"}, **more}


@dataclass
class Stub:
    """`nova` and `keystone` may be replaced. Tokens are numbered from 1."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    tokens: int = 0
    nova: Answering = lambda _: (200, {"servers": []})
    keystone: Answering | None = None
    catalog: list[dict[str, Any]] | None = None

    def calls(self) -> Counter[str]:
        """By method and path without its query."""
        return Counter(f"{each.method} {each.path.partition('?')[0]}" for each in self.asked)

    def driver(self, **changes: Any) -> OpenStackDriver:
        settings = {"account": "physics.home", "region": "RegionOne", "endpoint": self.url, "credentials": KEYS}
        return OpenStack().connect(Connection(**{**settings, **changes}))

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        if asked.path == "/v3/auth/tokens":
            return self.keystone(asked) if self.keystone else self.token()
        return self.nova(asked)

    def token(self) -> Reply:
        self.tokens += 1
        public = {"interface": "public", "region": "RegionOne", "url": f"{self.url}/v2.1"}
        catalog = [{"type": kind, "name": kind, "endpoints": [public]} for kind in ("compute", "image", "network")]
        token = {"expires_at": "2999-01-01T00:00:00Z", "project": {"id": "p-1"}, "catalog": self.catalog or catalog}
        return 201, {"token": token}


@contextmanager
def running_stub() -> Iterator[Stub]:
    stub = Stub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, reply = stub.answer(
                Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            )
            content = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("X-Subject-Token", f"token-{stub.tokens}")
            self.send_header("Content-Type", "text/html" if isinstance(reply, bytes) else "application/json")
            self.send_header("Content-Length", str(len(content) if status != 204 else 0))
            self.end_headers()
            self.wfile.write(content if status != 204 else b"")

        do_POST = do_DELETE = do_GET

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    stub.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield stub
    finally:
        httpd.shutdown()
        httpd.server_close()
