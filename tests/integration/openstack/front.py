"""Stands before keystone and one region's nova: passes everything on as it is, but the catalogue's address of nova.

By its faults an answer is lost, or a listing breaks off, at services that cannot be told to do so.
"""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from devenv.openstack import OpenStack
from devenv.openstack_settings import HOST
from tests.fakes.httpserver import Reply, Request, Server

NEXT_PAGE = "GET /servers/detail, next page"
_ROOT = "/v2.1"
_OURS = {"connection", "content-length", "content-type", "date", "host", "server", "transfer-encoding"}


class NovaFront(Server):
    """Calls to nova go by their method and path, as in `POST /servers`."""

    def __init__(self, cloud: OpenStack, region: str) -> None:
        super().__init__()
        self._keystone = cloud.layout.keystone
        (self._nova,) = (one.nova for one in cloud.layout.regions if one.name == region)

    def operation(self, request: Request) -> str:
        page = ", next page" if "marker=" in request.query else ""
        return f"{request.method} {request.path.removeprefix(_ROOT)}{page}"

    def serve(self, request: Request) -> Reply:
        port = self._nova if request.path.startswith(_ROOT) else self._keystone
        connection = http.client.HTTPConnection(HOST, port, timeout=60)
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        try:
            connection.request(request.method, f"{request.path}?{request.query}", request.body, headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _OURS}
        address = urlsplit(self.url).netloc
        there = f"{HOST}:{self._nova}"
        return Reply(
            answer.status,
            body.replace(there.encode(), address.encode()),
            answer.headers.get("Content-Type", ""),
            kept,
        )
