"""The one place where blocking drivers meet the event loop: a `Cloud` on a few threads of its own for each account.

Never lets a client library's words out: what is no CloudError becomes one that tells the exception's type and nothing
else. A call that does not come back in time is given up, and its thread left behind; there is a limit to those, too.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Generic, TypeVar, cast

from aiolimiter import AsyncLimiter

from cloudherd.clouds.batches import Batches
from cloudherd.clouds.protocol import (
    VM,
    BatchDriver,
    Capabilities,
    CloudError,
    Connection,
    Driver,
    ErrorKind,
    Image,
    LaunchRequest,
    Limits,
    Listing,
    PowerDriver,
    Provider,
    Size,
    Verb,
)
from cloudherd.clouds.validation import check

T = TypeVar("T")
Observer = Callable[[str, str, str, float], None]
"""Told of every call to a cloud: provider, operation, outcome (ok or the kind of error), seconds."""
LEFT_BEHIND = 8  # threads of one account whose calls were given up
_log = logging.getLogger(__name__)


class ThreadedCloud:
    """The async `Cloud` of one account, for one event loop. A call may take `call_timeout` seconds once it is sent."""

    def __init__(
        self,
        provider: Provider,
        connection: Connection,
        capabilities: Capabilities,
        *,
        call_timeout: float = 120,
        observer: Observer | None = None,
    ) -> None:
        self.capabilities = capabilities
        self._provider = provider.name
        self._observer = observer
        self._account = connection.account
        self._launch_options = provider.launch_options_model
        self._timeout = call_timeout
        self._slots = asyncio.Semaphore(capabilities.concurrent_calls)
        burst = max(1.0, capabilities.calls_per_second)
        self._pace = AsyncLimiter(burst, burst / capabilities.calls_per_second)
        self._threads = DriverThreads(f"cloud {connection.account}", lambda: provider.connect(connection))
        self._left: set[_Job[Any]] = set()
        self._batches = Batches(self._create_vms, capabilities.batch) if capabilities.batch > 1 else None

    async def list_vms(self) -> Listing:
        return await self._call("list_vms", lambda driver: driver.list_vms())

    async def get_vm(self, vm_id: str) -> VM | None:
        return await self._call("get_vm", lambda driver: driver.get_vm(vm_id))

    async def create_vm(self, request: LaunchRequest) -> VM:
        check(self._launch_options, request.options, "machine.options")
        if self._batches:
            return await self._batches.launch(request)
        return await self._call("create_vm", lambda driver: driver.create_vm(request), ErrorKind.UNKNOWN)

    async def _create_vms(self, requests: Sequence[LaunchRequest]) -> list[VM | None]:
        def launch(driver: Driver) -> list[VM | None]:
            return cast(BatchDriver, driver).create_vms(requests)

        return await self._call("create_vms", launch, ErrorKind.UNKNOWN)

    async def destroy_vm(self, vm_id: str) -> None:
        await self._call("destroy_vm", lambda driver: driver.destroy_vm(vm_id))

    async def power(self, vm_id: str, verb: Verb) -> None:
        await self._call("power", lambda driver: cast(PowerDriver, driver).power(vm_id, verb))

    async def sizes(self, wanted: tuple[str, ...] = (), /) -> list[Size]:
        return await self._call("sizes", lambda driver: driver.sizes(wanted))

    async def images(self, wanted: tuple[str, ...]) -> list[Image]:
        return await self._call("images", lambda driver: driver.images(wanted))

    async def limits(self) -> Limits:
        return await self._call("limits", lambda driver: driver.limits())

    async def close(self) -> None:
        """No more calls; those under way come to their end, and nobody waits for threads that were left behind."""
        self._threads.close()

    async def _call(
        self, operation: str, call: Callable[[Driver], T], in_doubt: ErrorKind = ErrorKind.UNREACHABLE
    ) -> T:
        async with self._slots:
            await self._pace.acquire()
            started = asyncio.get_running_loop().time()
            outcome, words = "GivenUp", "given up"
            try:
                result = await self._on_a_thread(call, in_doubt)
                outcome = words = "ok"
            except CloudError as error:
                outcome, words = error.kind.value, f"{error.kind} {error.code}"
                raise
            finally:
                took = asyncio.get_running_loop().time() - started
                _log.debug("%s: %s took %.3f s: %s", self._account, operation, took, words)
                if self._observer:
                    self._observer(self._provider, operation, outcome, took)
            return result

    async def _on_a_thread(self, call: Callable[[Driver], T], in_doubt: ErrorKind) -> T:
        self._left = {job for job in self._left if not job.future.done()}
        if len(self._left) >= LEFT_BEHIND:
            message = f"{LEFT_BEHIND} earlier calls have not come back yet; nothing was sent."
            raise CloudError(ErrorKind.UNREACHABLE, "CloudHangs", message)
        job = self._threads.submit(call, in_doubt)
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.wrap_future(job.future)
        except TimeoutError:
            raise CloudError(in_doubt, "Timeout", f"No answer within {self._timeout:g} s.") from None
        finally:
            if not job.future.done():
                job.given_up = True
                self._left.add(job)


class _Job(Generic[T]):
    """A call for a thread to make. `given_up`: nobody waits for it any more."""

    __slots__ = ("call", "future", "given_up", "in_doubt")

    def __init__(self, call: Callable[[Driver], T], in_doubt: ErrorKind) -> None:
        self.call = call
        self.in_doubt = in_doubt
        self.future: Future[T] = Future()
        self.given_up = False


class DriverThreads:
    """Threads with a driver each, made when all others are busy; how many calls there are at once is up to the caller.

    Daemons, unlike those of a ThreadPoolExecutor: a process never waits for a cloud that hangs before it can end.
    """

    def __init__(self, name: str, connect: Callable[[], Driver]) -> None:
        self._name = name
        self._connect = connect
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._started = 0
        self._closed = False

    def submit(self, call: Callable[[Driver], T], in_doubt: ErrorKind) -> _Job[T]:
        """Its future ends in a value or a CloudError."""
        if self._closed:
            raise CloudError(ErrorKind.UNREACHABLE, "Closed", "This account was closed; nothing was sent.")
        job = _Job(call, in_doubt)
        self._jobs.put(job)
        if not self._idle.acquire(blocking=False):
            self._started += 1
            threading.Thread(target=self._work, name=f"{self._name} {self._started}", daemon=True).start()
        return job

    def close(self) -> None:
        self._closed = True
        for _ in range(self._started):
            self._jobs.put(None)

    def _work(self) -> None:
        driver: Driver | None = None
        while (job := self._jobs.get()) is not None:
            if not job.future.set_running_or_notify_cancel():
                self._idle.release()
                continue
            result, error = None, None
            try:
                driver = driver or self._connect()
                result = job.call(driver)
            except BaseException as raised:  # noqa: BLE001 - whatever a client library throws, SystemExit included
                error = _translated(raised, job.in_doubt)
            leaving = job.given_up  # its driver may be out of step with the cloud
            if not leaving:
                self._idle.release()  # before the result, which may bring the next call at once
            if error is not None:
                job.future.set_exception(error)
            else:
                job.future.set_result(result)
            del job, result, error
            if leaving:
                return


def _translated(raised: BaseException, in_doubt: ErrorKind) -> CloudError:
    """A new error that drags nothing along: no cause, no frames, no words of a library's."""
    if isinstance(raised, CloudError):
        return raised.again()
    return CloudError(in_doubt, type(raised).__name__, "The provider's driver failed.")
