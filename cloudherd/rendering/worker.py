"""The process that renders: a loop over frames from its standard input, under limits that the kernel keeps.

`workers` starts it. It must never hold anything of the operator's (no environment, no files but its pipes), log or
print anything, or outlive the operator: when its input ends, it ends, and a rendering that runs then is ended by its
CPU limit.

A frame is four bytes of length (big-endian) and the content. A request's content is JSON: `{"check": bool, "parts":
[[type, template]], "values": {}}`. An answer's is `OK` and the user data, or `ERROR` and a sentence. No pickles: the
operator must not trust what comes back.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
from typing import BinaryIO

from cloudherd.rendering.check import check
from cloudherd.rendering.model import RenderRequest, RenderResult
from cloudherd.rendering.render import render

LENGTH = struct.Struct(">I")
OK, ERROR = b"+", b"-"
OUT_OF_MEMORY = 42
"""The exit status of a worker whose template needed more than it may."""


def main(cpu: float, memory: int) -> None:
    """Serve until the input ends. A request may take `cpu` seconds, the process `memory` bytes of address space."""
    requests, answers = _own_pipes()
    _limit(memory)
    while header := requests.read(LENGTH.size):
        content = requests.read(LENGTH.unpack(header)[0])
        try:
            # SIGPROF's default ends the process from within the kernel, also in the middle of one long multiplication.
            signal.setitimer(signal.ITIMER_PROF, cpu)
            answer = _answer(content)
            signal.setitimer(signal.ITIMER_PROF, 0)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        answers.write(LENGTH.pack(len(answer)) + answer)
        answers.flush()


def encoded(request: RenderRequest, *, checked: bool) -> bytes:
    """The frame of a request."""
    content = json.dumps({"check": checked, "parts": request.parts, "values": request.values}).encode()
    return LENGTH.pack(len(content)) + content


def decoded(answer: bytes) -> RenderResult:
    """The result that an answer's content holds; ValueError where it holds none."""
    kind, rest = answer[:1], answer[1:]
    if kind == OK:
        return RenderResult(user_data=rest)
    if kind == ERROR:
        return RenderResult(error=rest.decode())
    raise ValueError("no answer of a worker's")


def _answer(content: bytes) -> bytes:
    request = json.loads(content)
    task = RenderRequest(
        tuple((content_type, template) for content_type, template in request["parts"]), request["values"]
    )
    result = check(task) if request["check"] else render(task)
    return ERROR + result.error.encode(errors="replace") if result.error else OK + result.user_data


def _own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes to the operator; what else might be printed from here on, a traceback with values say, goes nowhere."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return sys.stdin.buffer, answers


def _limit(memory: int) -> None:
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    for what in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
        resource.setrlimit(what, (0, 0))
