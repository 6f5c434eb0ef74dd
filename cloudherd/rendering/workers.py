"""The Renderer port: a few worker processes, started when there is something to render and ended when there is not.

A template can do no more than end its worker: the request gets a sentence, the next one a fresh process. Requests hold
secrets, so they go through pipes, never onto a command line, and are never logged.

Not a pool from a library: those send pickles, which would let a template that escaped run code in the operator; they
hand the operator's environment down; and they limit the wait, which a busy machine uses up, not CPU time and memory.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cloudherd.api.context import ContextSpec
from cloudherd.rendering.check import first_good, samples
from cloudherd.rendering.model import MAX_USER_DATA, RenderRequest, RenderResult
from cloudherd.rendering.worker import LENGTH, OUT_OF_MEMORY, decoded, encoded

MIB = 1024 * 1024
MAX_ANSWER = MAX_USER_DATA + 1
BOOT = """
import sys
sys.path[:] = sys.argv[3:]
from cloudherd.rendering.worker import main
main(float(sys.argv[1]), int(sys.argv[2]))
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one request: seconds of CPU, bytes of address space (Python's own included), seconds of waiting, which are
    many, since a busy machine is not the template's fault. `idle` is how many seconds a worker stays without work.
    """

    cpu: float = 2
    memory: int = 256 * MIB
    wait: float = 60
    idle: float = 30


class WorkerEndedError(Exception):
    """A worker ended before it answered: the sentence for the template's owner. `final` where another try at once is no
    use, `transient` where the fault was not the template's.
    """

    def __init__(self, sentence: str, *, final: bool = False, transient: bool = False) -> None:
        super().__init__(sentence)
        self.final = final
        self.result = RenderResult(error=sentence, transient=transient)


class Worker:
    """One process, for one request at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin
        assert process.stdout
        self.process = process
        self.rest = asyncio.get_running_loop().call_later(0, lambda: None)
        self._requests, self._answers = process.stdin, process.stdout

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    async def exchange(self, frame: bytes) -> RenderResult:
        """EOFError where the process ends instead of answering."""
        try:
            self._requests.write(frame)
            await self._requests.drain()
            (length,) = LENGTH.unpack(await self._answers.readexactly(LENGTH.size))
            if length > MAX_ANSWER:
                raise RuntimeError("a render worker sent more than it may")
            return decoded(await self._answers.readexactly(length))
        except (BrokenPipeError, ConnectionResetError):
            raise EOFError from None

    def dismiss(self) -> None:
        self._requests.close()

    def kill(self) -> None:
        if self.alive:
            self.process.kill()


async def start(limits: Limits) -> asyncio.subprocess.Process:
    """A worker's process: nothing of this one's environment and files, and no Ctrl-C from its terminal."""
    return await asyncio.create_subprocess_exec(
        *_command(limits),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={},
        cwd="/",
        start_new_session=True,
    )


def _command(limits: Limits) -> list[str]:
    modules = [str(Path(entry).absolute()) for entry in sys.path]
    return [sys.executable, "-I", "-c", BOOT, str(limits.cpu), str(limits.memory), *modules]


class Workers:
    """`async with Workers() as renderer` or `close()` at the end. At most `count` processes."""

    def __init__(self, count: int = 2, limits: Limits = Limits()) -> None:
        self._limits = limits
        self._places = asyncio.Semaphore(count)
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._closed = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def pids(self) -> set[int]:
        """Of the worker processes that live."""
        return {worker.process.pid for worker in self._all if worker.alive}

    async def render(self, request: RenderRequest) -> RenderResult:
        """OSError where no process can be started."""
        return await self._run(encoded(request, checked=False))

    async def check(self, spec: ContextSpec) -> RenderResult:
        """`check_context`, in a worker."""
        results: list[RenderResult] = []
        for request in samples(spec):
            results.append(await self._run(encoded(request, checked=True)))
            if not results[-1].error:
                break
        return first_good(results)

    async def close(self) -> None:
        """End all workers; requests that still run get a RuntimeError."""
        self._closed.set()
        for worker in self._all:
            worker.kill()
        await asyncio.gather(*(worker.process.wait() for worker in self._all))

    async def _run(self, frame: bytes) -> RenderResult:
        async with self._places:
            if rested := self._rested():
                try:
                    return await self._ask(rested, frame)
                except WorkerEndedError as ended:
                    if ended.final:
                        return ended.result
            # One that was there before may have died of something else, or be full of other templates.
            try:
                return await self._ask(await self._start(), frame)
            except WorkerEndedError as ended:
                return ended.result

    def _rested(self) -> Worker | None:
        while self._idle:
            worker = self._idle.pop()
            worker.rest.cancel()
            if worker.alive:
                return worker
        return None

    async def _start(self) -> Worker:
        if self._closed.is_set():
            raise RuntimeError("the renderer is closed")
        worker = Worker(await start(self._limits))
        self._all = {each for each in self._all if each.alive} | {worker}
        if self._closed.is_set():
            worker.kill()
        return worker

    async def _ask(self, worker: Worker, frame: bytes) -> RenderResult:
        try:
            async with asyncio.timeout(self._limits.wait):
                try:
                    result = await worker.exchange(frame)
                except EOFError:
                    raise self._cause(await worker.process.wait()) from None
        except TimeoutError:
            worker.kill()
            raise WorkerEndedError(
                f"it was not rendered within {self._limits.wait:g} s; is the operator's machine overloaded?",
                final=True,
                transient=True,
            ) from None
        except BaseException:
            worker.kill()  # its answer, still on the way, would be taken for the next request's
            raise
        worker.rest = asyncio.get_running_loop().call_later(self._limits.idle, self._dismiss, worker)
        self._idle.append(worker)
        return result

    def _dismiss(self, worker: Worker) -> None:
        self._idle.remove(worker)
        worker.dismiss()

    def _cause(self, status: int) -> Exception:
        if self._closed.is_set():
            return RuntimeError("the renderer was closed")
        if status == -signal.SIGPROF:
            return WorkerEndedError(f"the templates used more than {self._limits.cpu:g} s of CPU", final=True)
        if status == OUT_OF_MEMORY:
            return WorkerEndedError(f"the templates used more than {self._limits.memory // MIB} MiB of memory")
        if status < 0:
            name = signal.Signals(-status).name
            return WorkerEndedError(f"the process that rendered it was ended by {name}", transient=True)
        return RuntimeError(f"a render worker ended with status {status}")
