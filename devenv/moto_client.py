"""The moto server from the outside: start and stop it, turn its knobs, read its counts. For tests and `make up`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from devenv.moto import LISTENING


@dataclass(frozen=True)
class MotoClient:
    url: str

    def knobs(self, region: str = "", **changes: Any) -> None:
        """Turn knobs (`devenv.moto_knobs.Knobs`), of one region or of all."""
        self._post("knobs", {**changes, **({"region": region} if region else {})})

    def calls(self, region: str = "us-east-1") -> dict[str, int]:
        """How often each action was called since the start or the last reset."""
        with urllib.request.urlopen(f"{self.url}/cloudherd/calls") as reply:  # noqa: S310 - our own server
            counts: dict[str, dict[str, int]] = json.load(reply)
        return counts.get(region, {})

    def reset(self) -> None:
        self._post("reset", {})

    def _post(self, what: str, body: dict[str, Any]) -> None:
        request = urllib.request.Request(f"{self.url}/cloudherd/{what}", json.dumps(body).encode(), method="POST")  # noqa: S310
        urllib.request.urlopen(request).close()  # noqa: S310


@contextmanager
def running_moto(port: int = 0) -> Iterator[MotoClient]:
    """A server of one's own, ended with the block. RuntimeError with its last words where it does not start."""
    command = [sys.executable, "-m", "devenv.moto", "--port", str(port)]
    with (
        tempfile.TemporaryFile("w+") as words,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=words, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith(LISTENING):
                words.seek(0)
                raise RuntimeError(f"moto did not start: {words.read()[-2000:]}")
            yield MotoClient(line.removeprefix(LISTENING).strip())
        finally:
            process.terminate()
