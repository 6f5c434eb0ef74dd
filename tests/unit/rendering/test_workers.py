import asyncio
import os
import select
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cloudherd.api.context import ContextSpec
from cloudherd.rendering.check import check_context
from cloudherd.rendering.model import RenderRequest
from cloudherd.rendering.render import render
from cloudherd.rendering.workers import Limits, Workers
from cloudherd.runtime.ports import Renderer
from tests.unit.rendering.namespace import SECRET, request

HANG = 60
ENDLESS = "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}"
PARENT = f"""
import asyncio
from cloudherd.rendering.model import RenderRequest
from cloudherd.rendering.workers import Limits, Workers

async def main():
    workers = Workers(limits=Limits(cpu=1))
    fine = RenderRequest((("text/plain", "fine"),), {{}})
    await asyncio.gather(workers.render(fine), workers.render(fine))
    print(*workers.pids, flush=True)
    await workers.render(RenderRequest((("text/plain", {ENDLESS!r}),), {{}}))
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest_asyncio.fixture
async def workers() -> AsyncIterator[Workers]:
    async with Workers() as pool:
        yield pool


async def ended(pid: int) -> None:
    """Wait until the process is no more, or a zombie that its parent has not asked after."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert await asyncio.to_thread(select.select, [fd], [], [], HANG) != ([], [], []), (
            f"process {pid} is left behind"
        )
    finally:
        os.close(fd)


async def began(workers: Workers) -> int:
    async with asyncio.timeout(HANG):
        while not workers.pids:  # noqa: ASYNC110 - a worker announces itself by nothing else
            await asyncio.sleep(0)
    return next(iter(workers.pids))


async def test_a_worker_renders_and_checks_as_the_pure_functions_do(workers: Workers) -> None:
    renderer: Renderer = workers
    for asked in (
        request("{{ parameters.pool }}é\n"),
        request("a", "b"),
        request("{{ nothing }}"),
        request("{% if %}"),
    ):
        assert await renderer.render(asked) == render(asked)
    for template in ("{{ parameters.a | int }}", "{{ services.x.adress }}", "{{ parameters.a + 1 }}"):
        spec = ContextSpec.model_validate(
            {"parameters": [{"name": "a", "required": True}], "parts": [{"template": template}]}
        )
        assert await workers.check(spec) == check_context(spec)


async def test_nothing_starts_before_there_is_something_to_render(workers: Workers) -> None:
    assert workers.pids == set()
    await workers.render(request("x"))
    assert len(workers.pids) == 1


async def test_many_requests_share_few_workers_and_each_gets_its_own_answer(workers: Workers) -> None:
    asked = [request("{{ parameters.n }}", parameters={"n": str(number)}) for number in range(200)]
    answers = await asyncio.gather(*(workers.render(each) for each in asked))
    assert [int(answer.user_data) for answer in answers] == list(range(200))
    assert len(workers.pids) == 2


async def test_every_fresh_worker_gives_the_same_bytes() -> None:
    asked = request("{{ parameters | tojson }} {{ [range, namespace, parameters] }}", "{{ services }}")
    for _ in range(3):
        async with Workers() as pool:
            assert await pool.render(asked) == render(asked)


@pytest.mark.parametrize("template", [ENDLESS, "{{ (10 ** 10) ** (10 ** 8) }}"])
async def test_a_template_that_takes_too_long_is_stopped_also_within_one_operation(template: str) -> None:
    async with Workers(limits=Limits(cpu=0.2)) as pool:
        assert (await pool.render(request(template))).error == "the templates used more than 0.2 s of CPU"
        assert (await pool.render(request("fine"))).user_data == b"fine"


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'a' * 10 ** 10 }}",
        "{{ ['a'] * 10 ** 10 }}",
        "{{ '%10000000000d' | format(1) }}",
        "{{ 'a' | indent(10 ** 10, true) }}",
    ],
)
async def test_a_template_that_takes_too_much_memory_is_stopped(workers: Workers, template: str) -> None:
    assert (await workers.render(request("fine"))).user_data == b"fine"
    assert (await workers.render(request(template))).error == "the templates used more than 256 MiB of memory"
    assert (await workers.render(request("fine"))).user_data == b"fine"


async def test_cpu_time_is_counted_for_each_request_alone() -> None:
    busy = "{% for i in range(100000) %}{% endfor %}" * 10
    async with Workers(count=1, limits=Limits(cpu=0.5)) as pool:
        for number in range(30):
            assert (await pool.render(request(busy + str(number)))).error == ""
        assert len(pool.pids) == 1


async def test_a_killed_worker_fails_only_its_own_request() -> None:
    async with Workers(limits=Limits(cpu=HANG)) as pool:
        lost = asyncio.create_task(pool.render(request(ENDLESS)))
        victim = await began(pool)
        other = asyncio.create_task(pool.render(request("fine")))
        assert (await other).user_data == b"fine"
        os.kill(victim, signal.SIGKILL)
        assert (await lost).error == "the process that rendered it was ended by SIGKILL"
        assert (await pool.render(request("fine"))).user_data == b"fine"


async def test_a_worker_that_died_at_rest_is_not_noticed_by_the_next_request(workers: Workers) -> None:
    await workers.render(request("x"))
    (pid,) = workers.pids
    os.kill(pid, signal.SIGKILL)
    assert (await workers.render(request("fine"))).user_data == b"fine"
    assert pid not in workers.pids


async def test_a_wait_that_is_too_long_ends_with_a_sentence() -> None:
    async with Workers(limits=Limits(cpu=HANG, wait=0.2)) as pool:
        sentence = (await pool.render(request(ENDLESS))).error
        assert sentence == "it was not rendered within 0.2 s; is the operator's machine overloaded?"


async def test_an_answer_nobody_waits_for_is_never_given_to_the_next_request() -> None:
    async with Workers(count=1) as pool:
        await pool.render(request("warm"))
        for number in range(20):
            dropped = asyncio.create_task(pool.render(request(f"dropped {number}")))
            for _ in range(number % 4):
                await asyncio.sleep(0)
            dropped.cancel()
            assert (await pool.render(request(f"wanted {number}"))).user_data == f"wanted {number}".encode()


async def test_idle_workers_end() -> None:
    async with Workers(limits=Limits(idle=0)) as pool:
        answers = await asyncio.gather(*(pool.render(request(template)) for template in ("a", "b")))
        assert [answer.user_data for answer in answers] == [b"a", b"b"]
        for pid in pool.pids:
            await ended(pid)
        assert (await pool.render(request("c"))).user_data == b"c"


async def test_close_leaves_no_process_and_no_request_waiting() -> None:
    pool = Workers(count=1, limits=Limits(cpu=HANG))
    running = asyncio.create_task(pool.render(request(ENDLESS)))
    waiting = asyncio.create_task(pool.render(request("x")))
    pid = await began(pool)
    await pool.close()
    for task in (running, waiting):
        with pytest.raises(RuntimeError, match=r"the renderer (was|is) closed"):
            await task
    await ended(pid)
    assert pool.pids == set()


async def test_a_worker_has_nothing_of_the_operators(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_PASSWORD", "operators-own")
    opened = os.pipe()
    try:
        os.set_inheritable(opened[0], True)
        await workers.render(request("{{ parameters.password }}"))
        proc = Path("/proc", str(next(iter(workers.pids))))
        files = {file.name: str(file.readlink()).split(":")[0] for file in proc.joinpath("fd").iterdir()}
    finally:
        os.close(opened[0])
        os.close(opened[1])
    assert proc.joinpath("environ").read_bytes() == b""
    assert SECRET.encode() not in proc.joinpath("cmdline").read_bytes()
    assert files.keys() <= {"0", "1", "2", "3"}
    assert (files["1"], files["2"]) == (os.devnull, os.devnull)
    assert "Max core file size        0                    0" in proc.joinpath("limits").read_text()


async def test_no_worker_outlives_an_operator_that_was_killed() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert parent.stdout
    pids = [int(pid) for pid in (await parent.stdout.readline()).split()]
    parent.kill()
    await parent.wait()
    assert len(pids) == 2
    for pid in pids:  # one is idle, one is in the middle of an endless template
        await ended(pid)


async def test_requests_of_the_largest_size_go_through(workers: Workers) -> None:
    large = RenderRequest(tuple(("text/plain", "{# " + "x" * 65_000 + " #}") for _ in range(16)), {})
    assert await workers.render(large) == render(large)
    full = request("x" * 65_536)
    assert len((await workers.render(full)).user_data) == 65_536
