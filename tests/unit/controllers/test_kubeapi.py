"""What no healthy API server does: the real KubeApi against an HTTP server that says what the test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from cloudherd.runtime.kinds import INSTANCE, SECRET, SECRET_METADATA
from cloudherd.runtime.ports import ApiError, WatchEvent
from controllers.connection import Connection, connect
from controllers.kubeapi import HttpKubeApi

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """An API server that gives the answers prepared for it, in order, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self._answers: list[Answer] = []

    def will(self, *answers: Answer) -> None:
        self._answers.extend(answers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        return await self._answers.pop(0)(request)


def say(content: Any, status: int = 200, **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response(content, status=status, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return answer


def words(text: str, status: int) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=text, status=status)

    return answer


def stream(*chunks: bytes, then: Callable[[web.Request], Awaitable[None]] | None = None) -> Answer:
    """A watch's body in these chunks; `then` comes before its end."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        if then:
            await then(request)
        return response

    return answer


def failure(status: int, reason: str, message: str = "", **details: Any) -> Any:
    body = {"kind": "Status", "status": "Failure", "code": status, "reason": reason, "message": message}
    return body | {"details": details}


def listed(version: str, *names: str, following: str = "") -> Answer:
    metadata = {"resourceVersion": version, **({"continue": following} if following else {})}
    return say({"kind": "InstanceList", "metadata": metadata, "items": [{"metadata": {"name": n}} for n in names]})


def event(type_: str, name: str, **extra: Any) -> bytes:
    return json.dumps({"type": type_, "object": {"metadata": {"name": name}, **extra}}).encode() + b"\n"


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, str]]:
    told = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", told.handle)
    async with TestServer(app) as http:
        yield told, str(http.make_url("")).rstrip("/")


def write_kubeconfig(path: Path, url: str, token: str) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(config))


def replace_token(path: Path) -> None:
    path.write_text(path.read_text().replace("token: first", "token: second"))


@pytest.fixture
def kubeconfig(server: tuple[Server, str], tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, server[1], "first")
    return path


@pytest.fixture
async def connection(kubeconfig: Path) -> AsyncIterator[Connection]:
    connection = await connect(str(kubeconfig))
    yield connection
    await connection.close()


@pytest.fixture
def api(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> HttpKubeApi:
    monkeypatch.setattr("controllers.kubeapi._LONGEST_WAIT", 0.0)
    return HttpKubeApi(connection, "cloudherd-test")


@pytest.fixture
def told(server: tuple[Server, str]) -> Server:
    return server[0]


async def watched(api: HttpKubeApi, seen: list[WatchEvent] | None = None) -> list[WatchEvent]:
    """What a watch says, once it is taken, until it ends; where it breaks, `seen` has what came before."""
    seen = [] if seen is None else seen
    async with aclosing(api.watch(INSTANCE, "7")) as events:
        assert await anext(events) == WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": "7"}})
        async for change in events:
            seen.append(change)
    return seen


async def test_a_list_is_read_page_by_page(told: Server, api: HttpKubeApi) -> None:
    told.will(listed("7", "a", "b", following="more"), listed("7", "c"))
    objects, version = await api.list(INSTANCE)
    assert [obj["metadata"]["name"] for obj in objects] == ["a", "b", "c"]
    assert {obj["kind"] for obj in objects} == {"Instance"}
    assert version == "7"
    assert [request.query for request in told.asked] == [{"limit": "500"}, {"limit": "500", "continue": "more"}]


async def test_a_list_whose_next_page_has_expired_is_begun_anew(told: Server, api: HttpKubeApi) -> None:
    told.will(listed("7", "a", following="more"), say(failure(410, "Expired"), 410), listed("9", "b"))
    objects, version = await api.list(INSTANCE)
    assert ([obj["metadata"]["name"] for obj in objects], version) == (["b"], "9")


async def test_a_list_that_expires_for_ever_is_given_up(told: Server, api: HttpKubeApi) -> None:
    told.will(*[say(failure(410, "Gone"), 410)] * 3)
    with pytest.raises(ApiError) as refused:
        await api.list(INSTANCE)
    assert refused.value.reason == "Expired"


async def test_a_read_that_a_busy_server_turned_away_is_tried_again(told: Server, api: HttpKubeApi) -> None:
    told.will(
        listed("7", "a", following="more"),
        say(failure(429, "TooManyRequests"), 429, Retry_After="1"),
        words("no backend", 503),
        listed("7", "b"),
    )
    objects, _ = await api.list(INSTANCE)
    assert len(objects) == 2


async def test_a_write_is_not_tried_again_and_says_how_long_to_wait(told: Server, api: HttpKubeApi) -> None:
    told.will(say(failure(429, "TooManyRequests", "slow down"), 429, Retry_After="3"))
    with pytest.raises(ApiError, match="slow down") as refused:
        await api.patch(INSTANCE, "default", "a", {})
    assert (refused.value.reason, refused.value.status, refused.value.retry_after) == ("TooManyRequests", 429, 3)
    assert len(told.asked) == 1


@pytest.mark.parametrize("answer", [say(failure(500, "InternalError"), 500), words("<html>bad gateway", 502)])
async def test_of_a_server_error_the_outcome_is_not_known(told: Server, api: HttpKubeApi, answer: Answer) -> None:
    told.will(answer)
    with pytest.raises(ApiError) as broken:
        await api.create(INSTANCE, {"metadata": {"namespace": "default", "name": "a"}})
    assert broken.value.reason == "Unreachable"
    assert broken.value.status >= 500


async def test_a_server_that_is_not_there_is_unreachable(told: Server, tmp_path: Path, unused_tcp_port: int) -> None:
    write_kubeconfig(tmp_path / "nowhere", f"http://127.0.0.1:{unused_tcp_port}", "first")
    connection = await connect(str(tmp_path / "nowhere"))
    with pytest.raises(
        ApiError, match=rf"no answer from the API server at http://127.0.0.1:{unused_tcp_port}"
    ) as broken:
        await HttpKubeApi(connection, "m").get(INSTANCE, "default", "a")
    await connection.close()
    assert (broken.value.reason, broken.value.status) == ("Unreachable", 0)


async def test_an_absent_object_and_a_kind_that_is_not_served_are_told_apart(told: Server, api: HttpKubeApi) -> None:
    told.will(say(failure(404, "NotFound", name="a"), 404), words("404 page not found\n", 404))
    assert await api.get(INSTANCE, "default", "a") is None
    with pytest.raises(ApiError, match="are the CRDs installed") as unknown:
        await api.get(INSTANCE, "default", "a")
    assert unknown.value.reason == "NotServed"


async def test_a_token_that_was_replaced_is_read_anew(told: Server, api: HttpKubeApi, kubeconfig: Path) -> None:
    replace_token(kubeconfig)
    told.will(say(failure(401, "Unauthorized"), 401), say({"metadata": {"name": "a"}}))
    assert await api.get(INSTANCE, "default", "a")
    assert [request.headers["Authorization"] for request in told.asked] == ["Bearer first", "Bearer second"]


async def test_a_token_that_stays_refused_is_an_error(told: Server, api: HttpKubeApi) -> None:
    told.will(*[say(failure(401, "Unauthorized"), 401)] * 2)
    with pytest.raises(ApiError) as refused:
        await api.get(INSTANCE, "default", "a")
    assert refused.value.reason == "Unauthorized"


async def test_what_the_server_says_about_a_refused_secret_is_not_passed_on(told: Server, api: HttpKubeApi) -> None:
    told.will(say(failure(422, "Invalid", "data: Invalid value: hush"), 422))
    with pytest.raises(ApiError) as refused:
        await api.create(SECRET, {"metadata": {"namespace": "default", "name": "a"}, "data": {"x": "hush"}})
    assert refused.value.reason == "Invalid"
    assert "hush" not in str(refused.value)


async def test_a_metadata_kind_never_asks_for_more(told: Server, api: HttpKubeApi) -> None:
    told.will(listed("7"), say({"metadata": {"name": "a"}}), stream())
    await api.list(SECRET_METADATA)
    await api.get(SECRET_METADATA, "default", "a")
    assert [change.type async for change in api.watch(SECRET_METADATA, "7")] == ["BOOKMARK"]
    for request in told.asked:
        assert request.headers["Accept"].startswith("application/json;as=PartialObjectMetadata")


async def test_a_watch_takes_lines_of_any_length_in_any_pieces(told: Server, api: HttpKubeApi) -> None:
    long = event("MODIFIED", "long", spec={"text": "x" * 6_000_000})
    body = event("ADDED", "a") + long + event("DELETED", "b")
    told.will(stream(body[:10], body[10:3_000_000], body[3_000_000:-1], body[-1:]))
    events = await watched(api)
    assert [(e.type, e.object["metadata"]["name"]) for e in events] == [
        ("ADDED", "a"),
        ("MODIFIED", "long"),
        ("DELETED", "b"),
    ]
    assert len(events[1].object["spec"]["text"]) == 6_000_000


async def test_a_watch_asks_for_bookmarks_and_an_end(told: Server, api: HttpKubeApi) -> None:
    told.will(stream(event("BOOKMARK", "")))
    assert [e.type for e in await watched(api)] == ["BOOKMARK"]
    query = told.asked[0].query
    assert (query["watch"], query["resourceVersion"], query["allowWatchBookmarks"]) == ("true", "7", "true")
    assert 300 <= int(query["timeoutSeconds"]) <= 600


async def test_a_watch_that_falls_silent_is_unreachable(told: Server, connection: Connection) -> None:
    for_ever = asyncio.Event()

    async def hang(request: web.Request) -> None:
        await for_ever.wait()

    told.will(stream(event("ADDED", "a"), then=hang))
    with pytest.raises(ApiError) as silent:
        await watched(HttpKubeApi(connection, "m", silence_seconds=0.2))
    for_ever.set()
    assert (silent.value.reason, silent.value.status) == ("Unreachable", 0)


async def test_a_watch_that_breaks_within_a_line_is_unreachable_and_the_piece_is_dropped(
    told: Server, api: HttpKubeApi
) -> None:
    async def cut(request: web.Request) -> None:
        assert request.transport is not None
        request.transport.close()

    told.will(stream(event("ADDED", "a"), event("ADDED", "b")[:-5], then=cut))
    seen: list[WatchEvent] = []
    with pytest.raises(ApiError) as broken:
        await watched(api, seen)
    assert broken.value.reason == "Unreachable"
    assert [change.object["metadata"]["name"] for change in seen] == ["a"]


@pytest.mark.parametrize(("status", "reason"), [(410, "Expired"), (500, "Unreachable")])
async def test_an_error_in_a_watch_is_raised(told: Server, api: HttpKubeApi, status: int, reason: str) -> None:
    error = {"type": "ERROR", "object": failure(status, "Whatever", "too old")}
    told.will(stream(json.dumps(error).encode() + b"\n"))
    with pytest.raises(ApiError, match="too old") as expired:
        await watched(api)
    assert (expired.value.reason, expired.value.status) == (reason, status)


async def test_a_proxy_of_the_environment_is_used_unless_the_host_is_excepted(
    told: Server, server: tuple[Server, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server[1])
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    told.will(say({"metadata": {"name": "a"}}), say({"metadata": {"name": "a"}}))
    for url in ("http://cluster.invalid", server[1]):
        write_kubeconfig(tmp_path / "config", url, "first")
        connection = await connect(str(tmp_path / "config"))
        assert await HttpKubeApi(connection, "m").get(INSTANCE, "default", "a")
        await connection.close()
    assert [f"http://{request.host}" for request in told.asked] == ["http://cluster.invalid", server[1]]
