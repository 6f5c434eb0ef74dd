"""One run's world: an API server, clouds, operators that die and come back, users, and the judges of it all."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Any, Literal

from cloudherd.agent.settings import AgentSettings
from cloudherd.runtime import kinds
from cloudherd.runtime.ports import Kind, Object
from tests.fakes.apiserver import WRITES, Call, SimulatedServer
from tests.fakes.clock import SeededRandom, VirtualClock
from tests.faults import manifests
from tests.faults.dice import Dice
from tests.faults.history import History
from tests.faults.invariants import Invariants
from tests.faults.manifests import NAMESPACE
from tests.faults.operators import SYSTEM, HostClock, Operator
from tests.faults.sky import BEYOND, Sky
from tests.faults.story import Story
from tests.faults.truth import named

KINDS = {kind.kind: kind for kind in (*kinds.OURS, kinds.SECRET, kinds.NAMESPACE)}


class World:
    """Begins with the namespaces and two clouds, physics.home and physics.far, and nothing else."""

    def __init__(self, seed: str) -> None:
        self.clock = VirtualClock()
        self.wall = HostClock(self.clock)
        self.story = Story(self.clock.monotonic)
        self.dice = Dice(seed)
        random = SeededRandom(self.dice.number(0, 2**62))
        self.random = random
        self.server = SimulatedServer(self.clock, random)
        self.user = self.server.client("kubectl")
        self.skies: dict[str, Sky] = {}
        self.history = History(self.server.objects, self.clock.monotonic)
        self.violations: list[str] = []
        self.invariants = Invariants(self.history, self.skies, self.violated)
        for number, name in enumerate(("home", "far")):
            self.sky(name, first=1 + 100 * number)
        self.server.fault = self._observe
        self.operators: list[Operator] = []
        self.settings = AgentSettings()
        self.on_start: Callable[[Operator], None] = lambda _: None
        """Told of every operator before it starts."""
        self.downtime = (0.1, 90.0)
        """How long a killed operator stays away, in seconds."""
        self.script: asyncio.Task[None] | None = None
        self._restarts: list[asyncio.Task[None]] = []
        self._starts = itertools.count(1)

    def sky(self, name: str, *, first: int, **settings: Any) -> Sky:
        """The cloud behind the account of this name; VMs are numbered from `first`."""
        account = f"{NAMESPACE}.{name}"
        sky = self.skies[account] = Sky(account, self.clock, self.dice, self.story, first=first, **settings)
        sky.beyond = Sky(account, self.clock, self.dice, self.story, first=first + 50, scope=f"{account}.beyond")
        sky.beyond.keys = {BEYOND}
        sky.witness = sky.beyond.witness = self.invariants
        return sky

    @property
    def home(self) -> Sky:
        return self.skies[f"{NAMESPACE}.home"]

    @property
    def far(self) -> Sky:
        return self.skies[f"{NAMESPACE}.far"]

    # -- judging

    def violated(self, text: str) -> None:
        """Ends the script at once."""
        self.story.tell(f"VIOLATION: {text}")
        self.violations.append(text)
        if self.script and not self.script.done():
            self.script.cancel()

    async def _observe(self, call: Call, when: Literal["before", "after"]) -> None:
        if call.verb not in WRITES:
            return
        if when == "before":
            before = self.history.current.get(call.kind, {}).get((call.namespace, call.name))
            self.invariants.called(call, before)
            return
        if call.kind in (kinds.INSTANCE, kinds.VIRTUAL_CLUSTER) and call.verb != "patch":
            self.story.tell(f"{call.manager} {call.verb}s {call.kind.kind} {call.name}")
        self.history.follow()
        if (call.verb, call.kind, call.manager) == ("create", kinds.INSTANCE, "cloudherd-gateway"):
            self.invariants.created(self.history.current[kinds.INSTANCE][call.namespace, call.name])

    # -- operators

    def operate(self, *, gateway: bool = True, agent: bool = True, name: str = "operator") -> Operator:
        """Starts an operator; when it is killed, another one takes its place after a while."""
        operator = Operator(
            name,
            self.server,
            self.skies,
            self.wall,
            self.random,
            self.dice,
            self.story,
            identity=f"{name}-{next(self._starts)}",
            gateway=gateway,
            agent=agent,
            settings=self.settings,
        )
        operator.on_death = self._bury
        operator.on_end = self.violated
        self.operators.append(operator)
        self.on_start(operator)
        operator.start()
        return operator

    def _bury(self, operator: Operator) -> None:
        self.operators.remove(operator)
        self._restarts.append(asyncio.create_task(self._restart(operator)))

    async def _restart(self, dead: Operator) -> None:
        await asyncio.sleep(self.dice.between(*self.downtime))
        self.operate(gateway=dead.gateway, agent=dead.agent, name=dead.name)

    def restarting(self) -> bool:
        """Whether operators are about to start, or have just started."""
        coming = any(not one.done() for one in self._restarts)
        return coming or any(one.started_at > self.clock.monotonic() - 60 for one in self.operators)

    def befalls(self, fault: str, text: str) -> None:
        """Counts a fault that a script brings about, and tells of it."""
        self.dice.count(fault)
        self.story.tell(text)

    def later(self, seconds: float, deed: Callable[[], object]) -> None:
        asyncio.get_running_loop().call_later(seconds, deed)

    async def end(self) -> None:
        for restart in self._restarts:
            restart.cancel()
        for operator in self.operators:
            await operator.end()

    # -- users

    async def apply(self, *objects: Object) -> None:
        for obj in objects:
            await self.user.create(KINDS[obj["kind"]], obj)

    async def prepare(self, *accounts: Object) -> None:
        """The namespaces, Secrets, Contexts and accounts; `accounts` are home and far where left out."""
        await self.apply(manifests.namespace(SYSTEM), manifests.namespace(NAMESPACE), *manifests.contexts())
        await self.apply(manifests.secret("parameters", password=manifests.SECRET_TEXT))
        for one in accounts or (manifests.account("home"), manifests.account("far")):
            await self.apply(manifests.secret(f"{one['metadata']['name']}-keys", key="key-1"), one)

    async def change(self, kind: Kind, name: str, body: Object) -> None:
        await self.user.patch(kind, NAMESPACE, name, body)

    async def delete(self, kind: Kind, name: str) -> None:
        found = await self.user.get(kind, NAMESPACE, name)
        if found is not None:
            await self.user.delete(kind, NAMESPACE, name, uid=found["metadata"]["uid"])

    async def annotate(self, kind: Kind, name: str, **annotations: str) -> None:
        named_ = {f"cloudherd.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
        await self.change(kind, name, {"metadata": {"annotations": named_}})

    # -- the truth

    def objects(self, kind: Kind) -> list[Object]:
        return self.server.objects.list(kind)[0]

    def names(self, kind: Kind) -> list[str]:
        return [named(obj)[1] for obj in self.objects(kind)]

    async def until(self, condition: Callable[[], object], within: float, what: str) -> None:
        """Lets time pass until the condition holds; a violation where it does not within so many seconds."""
        end = self.clock.monotonic() + within
        while not condition():
            if self.clock.monotonic() > end:
                self.violated(f"within {within:.0f} s it did not come true that {what}")
            await self.clock.sleep(1)


class Complaints(logging.Handler):
    """What gateway and agent log as an error is a defect of ours."""

    def __init__(self, told: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1]:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        self._told(f"a defect was logged: {text}")
