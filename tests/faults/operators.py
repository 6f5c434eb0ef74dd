"""One operator of a run: the real gateway and the real agent on reflectors, as the process puts them together.

It can be killed between any two things that others can see: nothing of it calls anybody any more from that moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import lru_cache
from typing import Any

from cloudherd.agent.settings import AgentSettings
from cloudherd.api.context import ContextSpec
from cloudherd.clouds.protocol import CloudError, ErrorKind
from cloudherd.rendering.check import check_context
from cloudherd.rendering.model import RenderRequest, RenderResult
from cloudherd.rendering.render import render
from cloudherd.runtime import kinds
from cloudherd.runtime.agent import Agent
from cloudherd.runtime.contexts import Contexts
from cloudherd.runtime.events import EventRecorder
from cloudherd.runtime.evictions import Evictions
from cloudherd.runtime.gateway import Gateway
from cloudherd.runtime.ports import Clock, Random
from cloudherd.runtime.store import Store
from controllers.reflector import Reflector
from tests.fakes.apiserver import SimulatedServer
from tests.faults.dice import Dice
from tests.faults.sky import BEYOND, Sky, Uplink
from tests.faults.story import Story
from tests.faults.wire import Wire

SYSTEM = "cloudherd-system"


class InlineRenderer:
    """Rendering is pure, so results are kept across runs."""

    async def render(self, request: RenderRequest) -> RenderResult:
        return _rendered(_Hashable(request))

    async def check(self, spec: ContextSpec) -> RenderResult:
        return _checked(spec.model_dump_json())


class _Hashable:
    def __init__(self, request: RenderRequest) -> None:
        self.request, self.key = request, request.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashable) and other.key == self.key


@lru_cache(maxsize=4096)
def _rendered(request: _Hashable) -> RenderResult:
    return render(request.request)


@lru_cache(maxsize=256)
def _checked(spec: str) -> RenderResult:
    return check_context(ContextSpec.model_validate_json(spec))


class HostClock:
    """The clock of the host that operators run on: its wall clock may be set wrong by so many seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ahead = 0.0

    def now(self) -> float:
        return self._clock.now() + self.ahead

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


class Operator:
    """`on_death` is told when it was killed; `on_end` when something of it ended by itself, which is a defect."""

    def __init__(
        self,
        name: str,
        server: SimulatedServer,
        skies: Mapping[str, Sky],
        clock: Clock,
        random: Random,
        dice: Dice,
        story: Story,
        *,
        identity: str,
        gateway: bool = True,
        agent: bool = True,
        settings: AgentSettings | None = None,
    ) -> None:
        self.identity = identity
        self.name, self.gateway, self.agent = name, gateway, agent
        self._skies, self._clock, self._random, self._dice, self._story = skies, clock, random, dice, story
        self._settings = settings
        self.dead = False
        self.started_at = asyncio.get_running_loop().time()
        self.on_death: Callable[[Operator], None] = lambda _: None
        self.on_end: Callable[[str], None] = lambda _: None
        self._tasks: list[asyncio.Task[None]] = []
        self.wires = {
            manager: Wire(server.client(manager), self, dice, story)
            for manager in ("cloudherd-gateway", "cloudherd-agent")
        }

    # -- its life

    def start(self) -> None:
        self._story.tell(f"{self.name} starts")
        reads = kinds.GATEWAY_READS if self.gateway else kinds.AGENT_READS
        reading = self.wires["cloudherd-gateway" if self.gateway else "cloudherd-agent"]
        store = Store(kind.plural for kind in reads)
        for kind in reads:
            self._spawn(Reflector(reading, kind, store, self._clock, self._random).run())
        loops: list[Callable[[], Coroutine[Any, Any, None]]] = []
        if self.gateway:
            loops += self._gateway(store)
        if self.agent:
            loops += self._agent(store)
        self._spawn(self._run(store, loops))

    def die(self, why: str) -> None:
        """From this moment on it does nothing any more."""
        if self.dead:
            return
        self._story.tell(f"{self.name} is killed {why}")
        self.dead = True
        for task in self._tasks:
            task.cancel()
        self.on_death(self)

    async def end(self) -> None:
        self.dead = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self, seconds: float) -> None:
        """The API server cannot be reached for so long; the clouds can."""
        for wire in self.wires.values():
            wire.cut_until = self._clock.monotonic() + seconds

    # -- as a Caller

    def check(self) -> None:
        if self.dead:
            raise asyncio.CancelledError

    def step(self, what: str) -> None:
        self.check()
        created = what.startswith("after create_vm") and self._dice.hits("operator: killed after a creation")
        if created or self._dice.hits("operator: killed"):
            self.die(what)
            raise asyncio.CancelledError

    # -- what it is made of

    def _gateway(self, store: Store) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        api, clock, random = self.wires["cloudherd-gateway"], self._clock, self._random
        events, renderer = EventRecorder(api, "cloudherd-gateway", clock), InlineRenderer()
        gateway = Gateway(api, store, renderer, events, clock, random)
        contexts = Contexts(api, store, renderer, clock, random)
        return [gateway.run, contexts.run, Evictions(api, store, events, clock, random).run]

    def _agent(self, store: Store) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        ports = (self.wires["cloudherd-agent"], store, self._cloud, self._clock, self._random)
        agent = Agent(*ports, name=self.identity, namespace=SYSTEM, settings=self._settings)
        return [agent.run]

    def _cloud(
        self, account: str, provider: str, settings: Mapping[str, Any], credentials: Mapping[str, str]
    ) -> Uplink:
        if provider != "fake" or account not in self._skies:
            raise CloudError(ErrorKind.INVALID, "UnknownProvider", "spec.provider is not known")
        sky, key = self._skies[account], credentials.get("key", "")
        return Uplink(sky.beyond if sky.beyond and key == BEYOND else sky, key, self)

    async def _run(self, store: Store, loops: list[Callable[[], Coroutine[Any, Any, None]]]) -> None:
        await store.wait_synced()
        await asyncio.gather(*(loop() for loop in loops))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self.dead or task.cancelled():
            return
        self.on_end(f"a loop of {self.name} ended by itself: {task.exception()!r}")
