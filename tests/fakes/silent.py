"""An endpoint that accepts every connection and never says a word."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Silent:
    """A context manager; with its end all connections break."""

    def __init__(self) -> None:
        self.connections: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)  # or accept would wait on
        self._thread.join()
        self._listening.close()
        for connection in self.connections:
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self.connections.append(self._listening.accept()[0])
