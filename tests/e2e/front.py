"""Stands between the operator and moto: passes everything on as it is, and keeps a log of what was done, in order.

It can also strike at a point that nothing outside could hit: when EC2 has done what it was asked, and the operator has
not heard of it. And it can be as slow as a cloud is.
"""

from __future__ import annotations

import http.client
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True)
class Ec2Call:
    at: float  # when it was done
    action: str
    status: int
    instances: tuple[str, ...]  # IDs in the answer
    outside: str  # all of the request that proxies and logs see: its line and its headers
    parameters: Mapping[str, str]


class Front:
    """`url` takes moto's place as the endpoint of accounts."""

    def __init__(self, moto_url: str) -> None:
        self.moto = urlsplit(moto_url)
        self._lock = threading.Lock()
        self._calls: list[Ec2Call] = []
        self._strike: Callable[[Ec2Call], object] | None = None
        self._turn = threading.Lock()
        self.url = ""
        self.slowness: Callable[[], float] | None = None
        """Seconds that pass before each call is done, and again before its answer is passed on. Set, it has calls done
        whose asker was killed meanwhile, too: a cloud does not look."""

    def calls(self, action: str = "") -> list[Ec2Call]:
        """In the order in which they were done."""
        with self._lock:
            return [call for call in self._calls if action in ("", call.action)]

    @contextmanager
    def striking(self, blow: Callable[[Ec2Call], object]) -> Iterator[None]:
        """Within the block `blow` is called after each call was done, before its answer is passed on.

        Calls are done one at a time then, and those whose asker was killed meanwhile are not done at all (but see
        `slowness`).
        """
        self._strike = blow
        try:
            yield
        finally:
            self._strike = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """While it is held no call is done, if calls are done one at a time."""
        with self._turn if self._strike else nullcontext():
            yield

    def record(self, call: Ec2Call) -> None:
        with self._lock:
            self._calls.append(call)
        if strike := self._strike:
            strike(call)


@contextmanager
def front_of(moto_url: str) -> Iterator[Front]:
    front = Front(moto_url)

    class Handler(_Handler):
        pass

    Handler.front = front
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    front.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield front
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    front: Front

    def log_message(self, *_: object) -> None: ...

    def handle(self) -> None:
        with suppress(ConnectionError):  # who asked may have been killed
            super().handle()

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # who asked was killed in the middle of it
            self.close_connection = True
            return
        self._take_time()
        with self.front.turn():
            if self.front.slowness is None and self._asker_is_gone():
                self.close_connection = True
                return
            try:
                status, headers, reply = self._ask(body)
            except (OSError, http.client.HTTPException):
                self.close_connection = True  # as moto did
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                return
            self._note(body, status, reply)
        self._take_time()
        self._answer(status, headers, reply)

    do_POST = do_GET

    def _take_time(self) -> None:
        if slowness := self.front.slowness:
            time.sleep(slowness())

    def _asker_is_gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.front.moto.hostname or "", self.front.moto.port, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()

    def _note(self, body: bytes, status: int, reply: bytes) -> None:
        query = parse_qsl(urlsplit(self.path).query) + parse_qsl(body.decode("utf-8", "replace"))
        parameters = dict(query)
        ids = re.findall(r"<instanceId>(i-[0-9a-f]+)</instanceId>", reply.decode("utf-8", "replace"))
        outside = f"{self.requestline}\n{self.headers}"
        action = parameters.get("Action", "")
        self.front.record(Ec2Call(time.time(), action, status, tuple(ids), outside, parameters))

    def _answer(self, status: int, headers: list[tuple[str, str]], reply: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)
