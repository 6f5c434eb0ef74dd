"""What the run is at: one line on standard error that is written over, or one for each step where nobody watches."""

from __future__ import annotations

import sys
import time


class Progress:
    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._step = ""
        self._live = sys.stderr.isatty()

    def step(self, what: str) -> None:
        self.end()
        self._step = what
        self._write("", "" if self._live else "\n")

    def show(self, detail: str) -> None:
        if self._live:
            self._write(detail, "")

    def end(self) -> None:
        if self._step and self._live:
            sys.stderr.write("\n")
        self._step = ""

    def _write(self, detail: str, end: str) -> None:
        line = f"{time.monotonic() - self._begun:7.1f} s  {self._step}  {detail}"
        sys.stderr.write(f"\r\x1b[K{line}" if self._live else f"{line.rstrip()}{end}")
        sys.stderr.flush()
