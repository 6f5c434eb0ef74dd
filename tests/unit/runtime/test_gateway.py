"""The gateway's whole loop on virtual time, with a simulated API server and a toy agent."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from cloudherd.api.context import ContextSpec
from cloudherd.api.meta import timestamp
from cloudherd.rendering.check import check_context
from cloudherd.rendering.model import RenderRequest, RenderResult
from cloudherd.rendering.render import render
from cloudherd.runtime import kinds
from cloudherd.runtime.events import EventRecorder
from cloudherd.runtime.evictions import Evictions
from cloudherd.runtime.gateway import Gateway
from cloudherd.runtime.ports import Object
from cloudherd.runtime.store import Store
from controllers.reflector import Reflector
from tests.fakes.apiserver import SimulatedServer
from tests.fakes.clock import SeededRandom, VirtualClock, on_virtual_time

EXAMPLES = Path(__file__).parents[3] / "examples" / "two-clouds"
KINDS = {kind.kind: kind for kind in (*kinds.OURS, kinds.SECRET, kinds.NAMESPACE)}


class InlineRenderer:
    async def render(self, request: RenderRequest) -> RenderResult:
        return render(request)

    async def check(self, spec: ContextSpec) -> RenderResult:
        return check_context(spec)


class World:
    """A simulated API server with a gateway at work on it, and agents that make every bound Instance ready."""

    def __init__(self) -> None:
        self.clock, self.random = VirtualClock(), SeededRandom(1)
        self.server = SimulatedServer(self.clock, self.random)
        self.user = self.server.client("kubectl")
        self.agent = self.server.client("cloudherd-agent")
        api = self.server.client("cloudherd-gateway")
        self.store = Store(kind.plural for kind in kinds.GATEWAY_READS)
        events = EventRecorder(api, "cloudherd-gateway", self.clock)
        self.gateway = Gateway(api, self.store, InlineRenderer(), events, self.clock, self.random)
        evictions = Evictions(api, self.store, events, self.clock, self.random)
        self.work = [
            *(Reflector(api, kind, self.store, self.clock, self.random).run() for kind in kinds.GATEWAY_READS),
            self._loops(),
            evictions.run(),
            self._toy_agent(),
        ]

    async def _loops(self) -> None:
        await self.store.wait_synced()
        await self.gateway.run()

    async def apply(self, *documents: Object) -> None:
        for document in documents:
            await self.user.create(KINDS[document["kind"]], document)

    async def examples(self) -> None:
        for file in sorted(EXAMPLES.glob("*.yaml")):
            await self.apply(*(doc for doc in yaml.safe_load_all(file.read_text()) if doc))
        await self.account_ready("home", limit=4)
        await self.account_ready("aws")

    async def account_ready(self, name: str, limit: int | None = None) -> None:
        account = await self.user.get(kinds.CLOUD_ACCOUNT, "physics", name)
        assert account
        sizes = [{"name": n, "id": i, "cpus": 1, "memory": "2Gi"} for n, i in account["spec"]["flavors"].items()]
        status: dict[str, Any] = {"flavors": sizes, "conditions": [self._ready("Listed")]}
        if limit is not None:
            status["limit"] = {"instances": limit}
        await self.agent.patch(kinds.CLOUD_ACCOUNT, "physics", name, {"status": status}, subresource="status")

    async def lacks(self, account: str, *lacking: Object) -> None:
        status = {"lacking": list(lacking)}
        await self.agent.patch(kinds.CLOUD_ACCOUNT, "physics", account, {"status": status}, subresource="status")

    def _ready(self, reason: str) -> Object:
        since = timestamp(self.clock.now())
        return {"type": "Ready", "status": "True", "reason": reason, "message": "", "lastTransitionTime": since}

    async def _toy_agent(self) -> None:
        number = 0
        while True:
            for one in await self.instances():
                meta = one["metadata"]
                if meta.get("deletionTimestamp"):
                    body: Object = {"metadata": {"finalizers": []}}
                    await self.agent.patch(kinds.INSTANCE, meta["namespace"], meta["name"], body)
                elif one.get("status", {}).get("phase", "Pending") == "Pending":
                    number += 1
                    status = {
                        "phase": "Ready",
                        "providerID": f"simulated://x/{number}",
                        "addresses": {"private": [f"10.0.0.{number}"]},
                        "conditions": [self._ready("ServiceReady")],
                    }
                    body = {"status": status}
                    await self.agent.patch(kinds.INSTANCE, meta["namespace"], meta["name"], body, subresource="status")
            await self.clock.sleep(1)

    async def instances(self) -> list[Object]:
        return (await self.user.list(kinds.INSTANCE))[0]

    async def where(self) -> Counter[tuple[str, str]]:
        """Instances by service and account."""
        return Counter((o["spec"]["serviceName"], o["spec"]["accountRef"]["name"]) for o in await self.instances())

    async def cluster(self) -> Object:
        found = await self.user.get(kinds.VIRTUAL_CLUSTER, "physics", "batch")
        assert found
        return found

    async def condition(self, type_: str) -> tuple[str, str, str]:
        found = (await self.cluster()).get("status", {}).get("conditions", [])
        one = next(one for one in found if one["type"] == type_)
        return one["status"], one["reason"], one["message"]

    async def quiet(self) -> None:
        await self.clock.until_quiet(lambda: len([c for c in self.server.calls if c.verb in ("create", "patch")]))


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    it = World()
    tasks = [asyncio.ensure_future(work) for work in it.work]
    try:
        yield it
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


@on_virtual_time
async def test_the_first_cloud_is_filled_and_the_rest_bursts_with_a_master_of_its_own() -> None:
    async with world() as it:
        await it.examples()
        await it.quiet()
        assert await it.where() == {
            ("master", "home"): 1,
            ("worker", "home"): 3,
            ("master", "aws"): 1,
            ("worker", "aws"): 7,
        }
        assert await it.condition("Ready") == ("True", "AllReady", "all 12 VMs are ready")
        assert (await it.condition("Placed"))[0] == "True"
        assert (await it.condition("Progressing"))[0] == "False"


@on_virtual_time
async def test_every_workers_user_data_names_its_own_sites_master() -> None:
    async with world() as it:
        await it.examples()
        await it.quiet()
        masters = {
            one["spec"]["accountRef"]["name"]: one["status"]["addresses"]["private"][0]
            for one in await it.instances()
            if one["spec"]["serviceName"] == "master"
        }
        for one in await it.instances():
            if one["spec"]["serviceName"] == "worker":
                secret = await it.user.get(kinds.SECRET, "physics", one["spec"]["userDataRef"]["name"])
                assert secret
                text = __import__("base64").b64decode(secret["data"]["userData"]).decode()
                assert f"CONDOR_HOST = {masters[one['spec']['accountRef']['name']]}\n" in text


@on_virtual_time
async def test_a_deleted_cluster_takes_everything_with_it() -> None:
    async with world() as it:
        await it.examples()
        await it.quiet()
        cluster = await it.cluster()
        await it.user.delete(kinds.VIRTUAL_CLUSTER, "physics", "batch", uid=cluster["metadata"]["uid"])
        await it.quiet()
        assert await it.instances() == []
        assert await it.user.get(kinds.VIRTUAL_CLUSTER, "physics", "batch") is None
        assert (await it.user.list(kinds.CLUSTER_SERVICE))[0] == []
        secrets = {one["metadata"]["name"] for one in (await it.user.list(kinds.SECRET))[0]}
        assert secrets == {"aws-keys", "condor-secrets"}


@on_virtual_time
async def test_nothing_is_written_when_nothing_changes() -> None:
    async with world() as it:
        await it.examples()
        await it.quiet()
        it.server.calls.clear()
        await it.clock.advance(3600)
        assert [call for call in it.server.calls if call.verb in ("create", "patch", "delete")] == []


@on_virtual_time
async def test_a_cluster_goes_where_an_image_can_be_used_again() -> None:
    async with world() as it:
        await it.examples()
        why = {"kind": "Image", "name": "debian-12", "reason": "ImageAmbiguous", "message": "2 images are called so"}
        await it.lacks("aws", why)
        await it.quiet()
        placed, _, message = await it.condition("Placed")
        assert placed == "False"
        assert "physics.aws cannot use the image debian-12: 2 images are called so" in message
        assert {account for _, account in await it.where()} == {"home"}
        await it.lacks("aws")
        await it.quiet()
        assert await it.condition("Ready") == ("True", "AllReady", "all 12 VMs are ready")


@on_virtual_time
async def test_instances_whose_cluster_was_taken_by_force_are_kept_and_say_so() -> None:
    async with world() as it:
        await it.examples()
        await it.quiet()
        cluster, before = await it.cluster(), len(await it.instances())
        await it.user.patch(kinds.VIRTUAL_CLUSTER, "physics", "batch", {"metadata": {"finalizers": []}})
        await it.user.delete(kinds.VIRTUAL_CLUSTER, "physics", "batch", uid=cluster["metadata"]["uid"])
        await it.clock.advance(600)
        assert len(await it.instances()) == before
        told = [one for one in (await it.user.list(kinds.EVENT))[0] if one["reason"] == "ClusterMissing"]
        assert len(told) == 5
        assert told[0]["note"].startswith(
            "VirtualCluster physics/batch does not exist, and its VM is kept all the same"
        )
