"""An agent at work on virtual time: a simulated API server, clouds in memory, and the hands of gateway and users."""

from __future__ import annotations

import asyncio
import base64
import itertools
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from cloudherd.agent.settings import AgentSettings
from cloudherd.api import CloudAccount, Condition, Instance
from cloudherd.api.conditions import find
from cloudherd.runtime import kinds
from cloudherd.runtime.agent import Agent
from cloudherd.runtime.metrics import UNMEASURED, Metrics
from cloudherd.runtime.ports import Object
from cloudherd.runtime.store import Store
from controllers.reflector import Reflector
from tests.fakes.apiserver import SimulatedServer
from tests.fakes.clock import SeededRandom, VirtualClock
from tests.fakes.cloud import FakeCloud, FakeClouds

SYSTEM = "cloudherd-system"
NAMESPACE = "physics"
SECRETS = ("sesame-4711", "#cloud-config password=s3cret")


class World:
    """`home` is the cloud of the account physics/home; more come with `cloud`."""

    def __init__(self, seed: int = 0, **cloud: Any) -> None:
        self.clock, self.random = VirtualClock(), SeededRandom(seed)
        self.server = SimulatedServer(self.clock, self.random)
        self.user = self.server.client("kubectl")
        self.gateway = self.server.client("cloudherd-gateway")
        self.clouds = FakeClouds({})
        self.home = self.cloud("home", **cloud)
        self.settings = AgentSettings()
        self.metrics: Metrics = UNMEASURED
        self._numbers = itertools.count(1)
        self.agents: list[tuple[Agent, Store, list[asyncio.Task[Any]]]] = []

    def cloud(self, account: str, **settings: Any) -> FakeCloud:
        scope = settings.pop("scope", f"{NAMESPACE}.{account}")
        made = self.clouds.clouds[f"{NAMESPACE}.{account}"] = FakeCloud(self.clock, scope=scope, **settings)
        return made

    # -- what stands in the cluster

    async def prepare(self) -> None:
        for name in (SYSTEM, NAMESPACE):
            await self.user.create(
                kinds.NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            )
        await self.secret("keys", "Opaque", key=SECRETS[0])
        await self.secret("data", "cloudherd.dev/user-data", userData=SECRETS[1])

    async def secret(self, name: str, type_: str, **data: str) -> None:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        meta = {"name": name, "namespace": NAMESPACE}
        await self.user.create(
            kinds.SECRET, {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": type_, "data": encoded}
        )

    async def account(self, name: str = "home", **spec: Any) -> None:
        defaults = {
            "provider": "fake",
            "credentialsRef": {"name": "keys"},
            "flavors": {"small": "sim.small", "large": "sim.large"},
            "images": {"debian-12": "sim-debian-12"},
        }
        meta = {"name": name, "namespace": NAMESPACE}
        body = {"apiVersion": "cloudherd.dev/v1alpha1", "kind": "CloudAccount", "metadata": meta}
        await self.user.create(kinds.CLOUD_ACCOUNT, {**body, "spec": {**defaults, **spec}})

    async def instance(self, name: str, *, namespace: str = NAMESPACE, **spec: Any) -> None:
        """What the gateway writes: the record of one VM to be."""
        cluster, service, _ = name.split("-")
        account = await self.gateway.get(kinds.CLOUD_ACCOUNT, NAMESPACE, "home") or {}
        defaults = {
            "id": str(uuid.UUID(int=int(self.random.uniform(0, 2**100)), version=4)),
            "clusterName": cluster,
            "serviceName": service,
            "accountRef": {"namespace": NAMESPACE, "name": "home"},
            "flavor": "sim.small",
            "image": "sim-debian-12",
            "resources": {"cpus": 1, "memory": 2 * 1024**3},
            "userDataRef": {"name": "data"},
            "revision": "1",
            "agent": (account.get("status") or {}).get("agent"),
        }
        meta = {"name": name, "namespace": namespace, "finalizers": ["cloudherd.dev/instance"]}
        body = {"apiVersion": "cloudherd.dev/v1alpha1", "kind": "Instance", "metadata": meta}
        await self.gateway.create(kinds.INSTANCE, {**body, "spec": {**defaults, **spec}})

    async def instances(self, count: int, first: int = 0, **spec: Any) -> list[str]:
        names = [f"batch-worker-{slot}" for slot in range(first, first + count)]
        for name in names:
            await self.instance(name, **spec)
        return names

    async def delete(self, *names: str) -> None:
        for name in names:
            found = await self.user.get(kinds.INSTANCE, NAMESPACE, name)
            if found is not None:
                await self.gateway.delete(kinds.INSTANCE, NAMESPACE, name, uid=found["metadata"]["uid"])

    async def annotate(self, kind: Any, name: str, **annotations: str) -> None:
        named = {f"cloudherd.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
        namespace = SYSTEM if kind == kinds.CONFIG_MAP else NAMESPACE
        await self.user.patch(kind, namespace, name, {"metadata": {"annotations": named}})

    # -- what it shows

    def objects(self, kind: Any) -> list[Object]:
        return self.server.objects.list(kind)[0]

    def records(self) -> dict[str, Instance]:
        found = [Instance.model_validate(one) for one in self.objects(kinds.INSTANCE)]
        return {one.name: one for one in found}

    def phases(self) -> dict[str, str]:
        return {name: one.status.phase for name, one in sorted(self.records().items())}

    def ready(self, name: str) -> Condition:
        condition = self.records()[name].condition("Ready")
        assert condition is not None
        return condition

    def account_now(self, name: str = "home") -> CloudAccount:
        return next(
            CloudAccount.model_validate(one)
            for one in self.objects(kinds.CLOUD_ACCOUNT)
            if one["metadata"]["name"] == name
        )

    def condition(self, type_: str, account: str = "home") -> Condition | None:
        return find(self.account_now(account).status.conditions, type_)

    def events(self) -> list[str]:
        return [f"{one['reason']} {one['regarding']['name']}: {one['note']}" for one in self.objects(kinds.EVENT)]

    def all_are(self, phase: str, count: int) -> Callable[[], bool]:
        return lambda: list(self.phases().values()) == [phase] * count

    def writes(self) -> int:
        """Writes to Instances, by anybody."""
        return len(self.server.writes(kinds.INSTANCE))

    # -- the agent

    def start(self) -> None:
        api = self.server.client("cloudherd-agent")
        store = Store(kind.plural for kind in kinds.AGENT_READS)
        ports = (api, store, self.clouds, self.clock, self.random)
        name = f"agent-{next(self._numbers)}"
        agent = Agent(*ports, name=name, namespace=SYSTEM, settings=self.settings, metrics=self.metrics)
        reflectors = [Reflector(api, kind, store, self.clock, self.random) for kind in kinds.AGENT_READS]
        work = [*(one.run() for one in reflectors), agent.run()]
        self.agents.append((agent, store, [asyncio.create_task(one) for one in work]))

    async def kill(self) -> None:
        """All agents end where they stand."""
        for _, _, tasks in self.agents:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self.agents.clear()

    def check(self) -> None:
        """Nothing may end by itself, and no secret may show."""
        for _, _, tasks in self.agents:
            assert not any(task.done() for task in tasks), [task for task in tasks if task.done()]
        shown = [self.objects(kind) for kind in (kinds.INSTANCE, kinds.CLOUD_ACCOUNT, kinds.EVENT)]
        tags = [one.tags for cloud in self.clouds.clouds.values() for one in cloud.machines.values()]
        for secret in SECRETS:
            for form in (secret, base64.b64encode(secret.encode()).decode()):
                assert form not in repr((shown, tags))


def told(world: World, type_: str = "Ready", account: str = "home") -> tuple[str, str]:
    """What a condition of an account says, and its reason."""
    condition = world.condition(type_, account)
    assert condition is not None
    return condition.status, condition.reason


def message(world: World, account: str = "home") -> str:
    condition = world.condition("Ready", account)
    assert condition is not None
    return condition.message


@asynccontextmanager
async def agent_at_work(seed: int = 0, *, settings: AgentSettings | None = None, **cloud: Any) -> AsyncIterator[World]:
    """A world with one account, physics/home, that is ready."""
    world = World(seed, **cloud)
    world.settings = settings or world.settings
    await world.prepare()
    await world.account()
    world.start()
    try:
        await world.clock.settle()
        yield world
        world.check()
    finally:
        await world.kill()
