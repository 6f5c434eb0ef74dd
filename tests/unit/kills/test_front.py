"""The proxy before EC2, where who asks is killed."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import pytest

from tests.e2e.front import Front, front_of

ASKED = b"POST / HTTP/1.1\r\nHost: ec2\r\nContent-Length: 19\r\n\r\nAction=RunInstances"


class Ec2(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def ask(front: Front, text: bytes) -> bytes:
    """Says so much and no more, and reads until the end."""
    url = urlsplit(front.url)
    with socket.create_connection((url.hostname or "", url.port or 0), timeout=10) as asker:
        asker.sendall(text)
        asker.shutdown(socket.SHUT_WR)
        return asker.recv(4096)


@pytest.fixture
def front() -> Iterator[Front]:
    ec2 = ThreadingHTTPServer(("127.0.0.1", 0), Ec2)
    Thread(target=ec2.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    with front_of(f"http://127.0.0.1:{ec2.server_address[1]}") as front:
        yield front
    ec2.shutdown()
    ec2.server_close()


@pytest.mark.parametrize("slowness", [None, lambda: 0.0])
def test_what_was_half_asked_is_not_done(front: Front, slowness: Callable[[], float] | None) -> None:
    front.slowness = slowness
    assert ask(front, ASKED[:-5]) == b""
    assert front.calls() == []


def test_a_slow_cloud_does_what_was_asked_though_the_asker_says_no_more(front: Front) -> None:
    front.slowness = lambda: 0.01
    assert ask(front, ASKED).startswith(b"HTTP/1.1 200")
    assert [call.action for call in front.calls()] == ["RunInstances"]
