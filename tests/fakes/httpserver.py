"""What the tests' own protocol servers share: real HTTP on loopback, calls counted, and faults on the wire."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    content_type: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Fault:
    """Strikes the next `times` calls of `operation` (empty: any). `lose`: carried out, and the connection closed
    instead of an answer. `drop`: closed before anything is done. `hang`: neither. `reply`: another answer, `after` the
    call was carried out or not.
    """

    kind: Literal["lose", "drop", "hang", "reply"]
    operation: str = ""
    times: int = 1
    reply: Reply = field(default_factory=lambda: Reply(500, b"oops"))
    after: bool = False


class Server(ABC):
    """A context manager."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self.lock = threading.RLock()
        self._closing = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._answer))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @abstractmethod
    def operation(self, request: Request) -> str:
        """The name that `calls` and `faults` know the call by."""

    @abstractmethod
    def serve(self, request: Request) -> Reply:
        """Carries the call out and answers it; under `lock`."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _answer(self, request: Request) -> Reply | None:
        """None: the connection is closed without an answer."""
        operation = self.operation(request)
        with self.lock:
            self.calls[operation] += 1
            fault = self._struck(operation)
            if fault is None or fault.kind == "lose" or (fault.kind == "reply" and fault.after):
                reply = self.serve(request)
                if fault is None:
                    return reply
        if fault.kind == "hang":
            self._closing.wait()
        return fault.reply if fault.kind == "reply" else None

    def _struck(self, operation: str) -> Fault | None:
        fault = next((one for one in self.faults if one.operation in ("", operation)), None)
        if fault:
            fault.times -= 1
            if not fault.times:
                self.faults.remove(fault)
        return fault


def _handler(answer: Callable[[Request], Reply | None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            reply = answer(Request(self.command, parts.path, parts.query, body, dict(self.headers)))
            if reply is None:
                self.close_connection = True
                return
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_DELETE = _serve

        def log_message(self, *_: object) -> None:
            """Nothing: pytest would show it."""

    return Handler
