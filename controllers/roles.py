"""The two roles of an operator's process, put together: what a gateway and what an agent is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from cloudherd.agent.settings import AgentSettings
from cloudherd.api import CloudAccount, Context, VirtualCluster
from cloudherd.clouds.factory import ThreadedCloudFactory
from cloudherd.clouds.registry import Registry
from cloudherd.rendering.workers import Workers
from cloudherd.runtime.agent import Agent
from cloudherd.runtime.contexts import Contexts
from cloudherd.runtime.events import EventRecorder
from cloudherd.runtime.evictions import Evictions
from cloudherd.runtime.gateway import Gateway
from cloudherd.runtime.ports import KubeApi

if TYPE_CHECKING:
    from controllers.process import Process

Loop = Callable[[], Awaitable[None]]


def gateway_loops(process: Process, api: KubeApi) -> list[Loop]:
    """Plans clusters, checks contexts, evicts. Never touches a cloud."""
    store, clock, random = process.store, process.clock, process.random
    renderer = Workers(process.settings.render_workers)
    process.on_close(renderer.close)
    events = EventRecorder(api, "cloudherd-gateway", clock)
    gateway = Gateway(api, store, renderer, events, clock, random, process.metrics)
    contexts = Contexts(api, store, renderer, clock, random, process.metrics)
    evictions = Evictions(api, store, events, clock, random, process.metrics)
    process.metrics.tell_clusters(store)
    process.wakers = {
        VirtualCluster.plural: gateway.wake,
        Context.plural: contexts.wake,
        CloudAccount.plural: evictions.wake,
    }
    return [gateway.run, contexts.run, evictions.run]


def agent_loops(process: Process, api: KubeApi) -> list[Loop]:
    """Turns Instances into VMs, with the credentials that lie in this cluster's Secrets. Never decides where one
    goes.
    """
    settings = process.settings
    agent = Agent(
        api,
        process.store,
        ThreadedCloudFactory(Registry(), observer=process.metrics.called),
        process.clock,
        process.random,
        name=process.identity,
        namespace=settings.namespace,
        settings=AgentSettings(orphan_age=settings.orphan_age_seconds),
        installation_id=settings.installation,
        metrics=process.metrics,
    )
    process.metrics.tell_clouds(process.store)
    return [agent.run]
