"""The operator's process as kopf runs it: login, startup, cleanup, probes. Gateway and agent are tasks of its event
loop.

kopf keeps no books for us: no handlers that persist, no finalizers, no daemons (see the design, "The loops").
"""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import platform
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import kopf

from cloudherd.api import CloudAccount, Context, ObjectKey, VirtualCluster
from cloudherd.runtime import kinds
from cloudherd.runtime.ports import Kind
from cloudherd.runtime.store import Store
from controllers import roles
from controllers.connection import Connection, connect
from controllers.handlers import NoBooks, on_change
from controllers.kubeapi import HttpKubeApi
from controllers.kubeconfig import KubeconfigError, load_configuration
from controllers.lease import Leadership, LeadershipLost
from controllers.metrics import PrometheusMetrics, ServingError, serve
from controllers.reflector import Reflector
from controllers.settings import Settings, SettingsError
from controllers.system import SystemClock, SystemRandom

log = logging.getLogger(__name__)

GARBAGE = (10_000, 20, 20)
"""gc's thresholds: ten thousand Instances are a million objects, and each call to the API server leaves some more."""
LOGIN_LIFETIME = timedelta(minutes=10)
"""Tokens are rotated: kopf asks anew when its own has grown so old."""


class Process:
    """One operator: what it reads, the loops that run on it, and its end."""

    def __init__(self, settings: Settings, *, gateway: bool, agent: bool) -> None:
        self.settings, self.gateway, self.agent = settings, gateway, agent
        self.clock, self.random = SystemClock(), SystemRandom()
        self.identity = f"{platform.node()}-{self.random.uuid()}"
        self.metrics = PrometheusMetrics()
        self.reads: tuple[Kind, ...] = kinds.GATEWAY_READS if gateway else kinds.AGENT_READS
        self.store = Store(kind.plural for kind in self.reads)
        self.wakers: dict[str, Callable[[ObjectKey], None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._closers: list[Callable[[], Awaitable[None]]] = []

    async def start(self) -> None:
        """Starts everything; returns at once. What ends by itself is a defect, and ends the process."""
        gc.set_threshold(*GARBAGE)
        connection = await connect(self.settings.kubeconfig)
        self._closers.append(connection.close)
        if self.settings.metrics_address:
            self._closers.append((await serve(self.metrics, self.settings.metrics_address)).cleanup)
        self._spawn(self._run(connection))

    async def _run(self, connection: Connection) -> None:
        reading = HttpKubeApi(connection, "cloudherd-gateway")
        for kind in self.reads:
            self._spawn(Reflector(reading, kind, self.store, self.clock, self.random).run())
        loops: list[Callable[[], Awaitable[None]]] = []
        if self.gateway:
            loops += roles.gateway_loops(self, HttpKubeApi(connection, "cloudherd-gateway"))
        if self.agent:
            loops += roles.agent_loops(self, HttpKubeApi(connection, "cloudherd-agent"))
        await self.store.wait_synced()
        log.info("everything is listed: %s", ", ".join(kind.plural for kind in self.reads))
        _leave_out_of_garbage()
        if self.settings.ready_file:
            self.settings.ready_file.write_text("ready\n")
        if self.settings.lease:
            await self._leadership(connection).lead(lambda: _together(loops))
        else:
            await _together(loops)

    def _leadership(self, connection: Connection) -> Leadership:
        """Gateway and agent are led apart, so that they may run in two processes."""
        role = "operator" if self.gateway and self.agent else "gateway" if self.gateway else "agent"
        return Leadership(
            HttpKubeApi(connection, f"cloudherd-{role}"),
            self.clock,
            self.random,
            namespace=self.settings.namespace,
            name=f"cloudherd-{role}",
            identity=self.identity,
        )

    def on_close(self, closer: Callable[[], Awaitable[None]]) -> None:
        self._closers.append(closer)

    def wake(self, plural: str, key: ObjectKey) -> None:
        waker = self.wakers.get(plural)
        if waker:
            waker(key)

    @property
    def healthy(self) -> bool:
        return all(not task.done() for task in self._tasks)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for close in reversed(self._closers):
            await close()
        if self.settings.ready_file:
            self.settings.ready_file.unlink(missing_ok=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.append(task)
        task.add_done_callback(_end)


def login_info(configuration: Any) -> kopf.ConnectionInfo:
    """Kopf's form of how to log in. Its own loader by way of the `kubernetes` package would import all that package's
    models, which cost more memory than the operator."""
    token = configuration.api_key.get("authorization") or configuration.api_key.get("BearerToken") or ""
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        token=token.removeprefix("Bearer ") or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        expiration=datetime.now(UTC) + LOGIN_LIFETIME,
    )


def _leave_out_of_garbage() -> None:
    """Never again looks for garbage among what is there now: code, and objects that mostly stay."""
    gc.collect()
    gc.freeze()


async def _together(loops: Sequence[Callable[[], Awaitable[None]]]) -> None:
    await asyncio.gather(*(loop() for loop in loops))


def _end(task: asyncio.Future[Any]) -> None:
    """Half an operator is worse than none: when one task ends, all of it does, and is started again by whoever runs
    it.
    """
    if task.cancelled():
        return
    if isinstance(task.exception(), LeadershipLost):
        log.warning("%s; this process ends", task.exception())
    else:
        log.critical("a loop of the operator ended: a defect of ours", exc_info=task.exception())
    os.kill(os.getpid(), signal.SIGTERM)


def register(*, gateway: bool, agent: bool) -> Process:
    """Hooks the process into kopf: to be called once, by the file that `kopf run` is pointed at."""
    try:
        settings = Settings.read()
    except SettingsError as error:
        raise SystemExit(f"cloudherd: {error}") from None
    process = Process(settings, gateway=gateway, agent=agent)
    if gateway:
        for plural in (VirtualCluster.plural, Context.plural, CloudAccount.plural):
            on_change(plural, functools.partial(process.wake, plural))

    @kopf.on.login()
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return login_info(await load_configuration(settings.kubeconfig))

    @kopf.on.startup()
    async def startup(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False
        settings.persistence.diffbase_storage = NoBooks()
        logging.getLogger("kopf.objects").setLevel(logging.WARNING)  # it says of every wake that it succeeded
        settings.networking.request_timeout = 60
        try:
            await process.start()
        except (KubeconfigError, ServingError) as error:
            raise SystemExit(f"cloudherd: {error}") from None

    @kopf.on.cleanup()
    async def cleanup(**_: Any) -> None:
        await process.stop()

    @kopf.on.probe(id="healthy")
    def probe(**_: Any) -> bool:
        if not process.healthy:
            raise RuntimeError("a loop of the operator ended")
        return True

    return process
