"""TLS on loopback before any of the tests' servers, with certificates that a CA of the test's own makes."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import trustme

HOST = "127.0.0.1"


@contextmanager
def over_tls(url: str, certificate: trustme.LeafCert) -> Iterator[str]:
    """The https URL of a door that shows the certificate and passes on what comes to the server at `url`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    parts = urlsplit(url)
    with _Door(context, (parts.hostname or HOST, parts.port or 80)) as door:
        threading.Thread(target=door.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield f"https://{HOST}:{door.server_address[1]}"
        finally:
            door.shutdown()


class _Door(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, context: ssl.SSLContext, inside: tuple[str, int]) -> None:
        super().__init__((HOST, 0), _Passing)
        self.context = context
        self.inside = inside


class _Passing(socketserver.BaseRequestHandler):
    server: _Door

    def handle(self) -> None:
        with suppress(OSError):  # a client that does not believe the certificate hangs up
            outer = self.server.context.wrap_socket(self.request, server_side=True)
            with outer, socket.create_connection(self.server.inside) as inner:
                back = threading.Thread(target=_pour, args=(inner, outer), daemon=True)
                back.start()
                _pour(outer, inner)
                back.join()


def _pour(source: socket.socket, into: socket.socket) -> None:
    """Until either side ends, which ends the other."""
    with suppress(OSError):
        while data := source.recv(65536):
            into.sendall(data)
    for each in (source, into):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
