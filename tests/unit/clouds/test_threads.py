"""Blocking drivers behind the event loop: bounded, patient to a point, and silent about what went wrong inside."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from cloudherd.clouds.protocol import (
    VM,
    Capabilities,
    CloudError,
    Connection,
    ErrorKind,
    Image,
    LaunchRequest,
    Limits,
    Listing,
    Size,
)
from cloudherd.clouds.simulated import Simulated, SimulatedCloud
from cloudherd.clouds.threads import LEFT_BEHIND, ThreadedCloud
from cloudherd.runtime.ports import Cloud
from tests.fakes.simulated import World

PATIENCE = 30.0  # seconds in which anything here comes true, even on a slow machine
_accounts = count(1)


class Driver:
    """Does what the test says, and fails it where two threads use the same one."""

    def __init__(self, deed: Callable[[], object]) -> None:
        self._deed = deed
        self._owner = threading.get_ident()

    def _act(self) -> None:
        assert threading.get_ident() == self._owner, "a driver belongs to the thread that connected"
        self._deed()

    def list_vms(self) -> Listing:
        self._act()
        return Listing("physics.home", ())

    def get_vm(self, vm_id: str) -> VM | None:
        self._act()
        return None

    def create_vm(self, request: LaunchRequest) -> VM:
        self._act()
        raise NotImplementedError

    def destroy_vm(self, vm_id: str) -> None:
        self._act()

    def sizes(self, _wanted: tuple[str, ...] = (), /) -> list[Size]:
        return []

    def images(self, wanted: tuple[str, ...]) -> list[Image]:
        return []

    def limits(self) -> Limits:
        return Limits()


class Provider(Simulated):
    """Its drivers do what the test says at each call."""

    def __init__(self, deed: Callable[[], object]) -> None:
        super().__init__()
        self.deed = deed
        self.connected = 0

    def connect(self, connection: Connection) -> Driver:  # type: ignore[override]
        self.connected += 1
        return Driver(self.deed)


class Gate:
    """Calls that hang until the test lets them go."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._lock = threading.Lock()
        self.inside = 0
        self.most = 0

    def __call__(self) -> None:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self._open.wait(PATIENCE)
        with self._lock:
            self.inside -= 1

    def open(self) -> None:
        self._open.set()


def cloud_of(
    deed: Callable[[], object],
    *,
    calls_per_second: float = 10_000,
    concurrent_calls: int = 4,
    timeout: float = PATIENCE,
) -> ThreadedCloud:
    provider = Provider(deed)
    pace = {"calls_per_second": calls_per_second, "concurrent_calls": concurrent_calls}
    capabilities = replace(provider.capabilities, **pace)  # type: ignore[arg-type]
    account = f"physics.cloud-{next(_accounts)}"
    return ThreadedCloud(provider, Connection(account), capabilities, call_timeout=timeout)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - it comes true in another thread
            await asyncio.sleep(0.001)


async def failure(call: Awaitable[object]) -> CloudError:
    with pytest.raises(CloudError) as caught:
        await call
    return caught.value


def threads_of(cloud: ThreadedCloud) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(f"cloud {cloud._account} ")]


REQUEST = LaunchRequest("token", "worker", "sim.small", "sim-debian-12", {}, user_data=b"s3cret")


async def test_every_call_comes_back_from_a_real_cloud(tmp_path: Path) -> None:
    world = World(tmp_path)
    provider = Simulated(directory=tmp_path)
    capabilities: Capabilities = provider.capabilities
    cloud: Cloud = ThreadedCloud(provider, world.connection(capacity=9), capabilities)
    vm = await cloud.create_vm(world.request())
    assert await cloud.get_vm(vm.id) == vm
    assert (await cloud.list_vms()).vms == (vm,)
    assert "sim.small" in {size.id for size in await cloud.sizes()}
    assert [image.id for image in await cloud.images(("sim-debian-12",))] == ["sim-debian-12"]
    assert (await cloud.limits()).instances == 9
    await cloud.destroy_vm(vm.id)
    assert await cloud.get_vm(vm.id) is None
    await cloud.close()


async def test_calls_at_once_are_bounded_and_each_thread_has_a_driver() -> None:
    gate = Gate()
    cloud = cloud_of(gate, concurrent_calls=3)
    calls = [asyncio.create_task(cloud.list_vms()) for _ in range(20)]
    await until(lambda: gate.inside == 3)
    gate.open()
    await asyncio.gather(*calls)
    assert gate.most == 3
    assert len(threads_of(cloud)) == 3
    await cloud.close()


async def test_threads_are_made_when_they_are_needed_and_used_again() -> None:
    cloud = cloud_of(lambda: None)
    assert threads_of(cloud) == []
    for _ in range(50):
        await cloud.list_vms()
    assert len(threads_of(cloud)) == 1
    await cloud.close()


async def test_a_closed_cloud_calls_nothing_and_leaves_no_thread() -> None:
    cloud = cloud_of(lambda: None)
    await asyncio.gather(*(cloud.list_vms() for _ in range(8)))
    await cloud.close()
    await until(lambda: threads_of(cloud) == [])
    assert (await failure(cloud.list_vms())).code == "Closed"


def explode() -> None:
    raise ConnectionError("https://user:s3cret@cloud/?UserData=s3cret")


async def test_a_library_s_words_stay_inside() -> None:
    cloud = cloud_of(explode)
    for call, kind in ((cloud.list_vms(), ErrorKind.UNREACHABLE), (cloud.create_vm(REQUEST), ErrorKind.UNKNOWN)):
        error = await failure(call)
        assert (error.kind, error.code) == (kind, "ConnectionError")
        assert "s3cret" not in "".join(traceback.format_exception(error)) + repr(error.__context__)
    await cloud.close()


async def test_a_clouds_own_error_comes_through_without_what_caused_it() -> None:
    def refuse() -> None:
        try:
            explode()
        except ConnectionError as error:
            raise CloudError(ErrorKind.FULL, "NoRoom", "No room for it.", flavor_only=True) from error

    cloud = cloud_of(refuse)
    error = await failure(cloud.create_vm(REQUEST))
    assert (error.kind, error.code, error.message, error.flavor_only) == (
        ErrorKind.FULL,
        "NoRoom",
        "No room for it.",
        True,
    )
    assert "s3cret" not in "".join(traceback.format_exception(error))
    await cloud.close()


@pytest.mark.parametrize("raised", [SystemExit(1), KeyboardInterrupt(), MemoryError(), TimeoutError("s3cret")])
async def test_whatever_a_driver_throws_the_thread_goes_on(raised: BaseException) -> None:
    thrown = [raised]

    def throw_once() -> None:
        if thrown:
            raise thrown.pop()

    cloud = cloud_of(throw_once)
    assert (await failure(cloud.list_vms())).code == type(raised).__name__
    assert (await cloud.list_vms()).complete
    await cloud.close()


async def test_a_driver_that_cannot_connect_is_an_error_of_the_call() -> None:
    cloud = cloud_of(lambda: None)
    cloud._threads._connect = explode  # type: ignore[assignment]
    assert (await failure(cloud.list_vms())).kind is ErrorKind.UNREACHABLE
    await cloud.close()


async def test_a_call_that_hangs_is_given_up_and_the_next_one_works() -> None:
    gate = Gate()
    hanging = True
    cloud = cloud_of(lambda: gate() if hanging else None, concurrent_calls=1, timeout=0.05)
    error = await failure(cloud.create_vm(REQUEST))
    assert (error.kind, error.code) == (ErrorKind.UNKNOWN, "Timeout")
    assert (await failure(cloud.list_vms())).kind is ErrorKind.UNREACHABLE
    hanging = False
    cloud._timeout = PATIENCE
    assert (await cloud.list_vms()).complete
    gate.open()
    await cloud.close()
    await until(lambda: threads_of(cloud) == [])


async def test_threads_left_behind_are_bounded_and_come_back() -> None:
    gate = Gate()
    cloud = cloud_of(gate, timeout=0.02)
    while gate.inside < LEFT_BEHIND:
        await failure(cloud.list_vms())
    assert (await failure(cloud.create_vm(REQUEST))).code == "CloudHangs"
    assert gate.inside == len(threads_of(cloud)) == LEFT_BEHIND
    gate.open()
    await until(lambda: threads_of(cloud) == [])
    cloud._timeout = PATIENCE
    assert (await cloud.list_vms()).complete
    await cloud.close()


async def test_a_caller_that_goes_away_takes_no_place_with_it() -> None:
    gate = Gate()
    cloud = cloud_of(gate, concurrent_calls=1)
    first = asyncio.create_task(cloud.list_vms())
    await until(lambda: gate.inside == 1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = asyncio.create_task(cloud.list_vms())
    await until(lambda: gate.inside == 2)
    gate.open()
    assert (await second).complete
    await cloud.close()


async def test_while_a_cloud_hangs_the_loop_runs_on_and_another_cloud_answers_every_call() -> None:
    gate = Gate()
    deaf, well = cloud_of(gate), cloud_of(lambda: None)
    hung = [asyncio.create_task(deaf.list_vms()) for _ in range(20)]
    await until(lambda: gate.inside == 4)
    listings = await asyncio.gather(*(well.list_vms() for _ in range(200)))
    assert all(one.complete for one in listings)
    assert not any(call.done() for call in hung)
    gate.open()
    await asyncio.gather(*hung)
    for cloud in (deaf, well):
        await cloud.close()


def test_a_process_ends_though_a_cloud_hangs() -> None:
    code = """
import asyncio, threading
from cloudherd.clouds.protocol import CloudError, Connection
from cloudherd.clouds.simulated import Simulated
from cloudherd.clouds.threads import ThreadedCloud

async def main():
    hanging = Simulated(sleep=lambda seconds: threading.Event().wait())
    connection = Connection("physics.home", simulated={"latencySeconds": 1})
    cloud = ThreadedCloud(hanging, connection, hanging.capabilities, call_timeout=0.01)
    try:
        await cloud.list_vms()
    except CloudError as error:
        print(error.code)
    await cloud.close()

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Timeout\n", "")


async def test_calls_keep_to_the_pace_that_the_cloud_stands() -> None:
    cloud = cloud_of(lambda: None, calls_per_second=20)
    started = time.monotonic()
    await asyncio.gather(*(cloud.list_vms() for _ in range(26)))
    assert time.monotonic() - started >= 0.25  # 20 at once, then one each 50 ms
    await cloud.close()


async def test_a_pace_below_one_a_second_lets_the_first_call_through() -> None:
    cloud = cloud_of(lambda: None, calls_per_second=0.001)
    assert (await cloud.list_vms()).complete
    await cloud.close()


async def test_launch_options_that_are_not_known_are_refused_without_a_call(tmp_path: Path) -> None:
    world = World(tmp_path)
    provider = Simulated(directory=tmp_path)
    cloud = ThreadedCloud(provider, world.connection(), provider.capabilities)
    error = await failure(cloud.create_vm(replace(world.request(), options={"spot": "s3cret"})))
    assert error.kind is ErrorKind.INVALID
    assert error.message == "machine.options: spot is not known. Nothing is to be given here."
    assert SimulatedCloud.of(world.account, tmp_path).calls() == []
    await cloud.close()


async def test_the_log_tells_of_calls_and_of_no_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world = World(tmp_path)
    provider = Simulated(directory=tmp_path)
    with caplog.at_level(logging.DEBUG):
        cloud = ThreadedCloud(provider, world.connection(capacity=1), provider.capabilities)
        await cloud.create_vm(world.request("a"))
        await failure(cloud.create_vm(world.request("b")))
        await cloud.close()
    told = [record.getMessage() for record in caplog.records if record.name == "cloudherd.clouds.threads"]
    assert [(line.split()[1], line.split(": ")[-1]) for line in told] == [
        ("create_vm", "ok"),
        ("create_vm", "Full InstanceLimitExceeded"),
    ]
    for secret in (world.key, world.password):
        assert secret not in caplog.text


async def test_every_call_is_told_with_its_outcome_and_its_time(tmp_path: Path) -> None:
    world, provider, told = World(tmp_path), Simulated(directory=tmp_path), list[tuple[str, str, str, float]]()
    cloud = ThreadedCloud(
        provider, world.connection(capacity=1), provider.capabilities, observer=lambda *call: told.append(call)
    )
    await cloud.create_vm(world.request())
    await failure(cloud.create_vm(world.request(token="another")))
    assert [call[:3] for call in told] == [("simulated", "create_vm", "ok"), ("simulated", "create_vm", "Full")]
    assert all(call[3] > 0 for call in told)
