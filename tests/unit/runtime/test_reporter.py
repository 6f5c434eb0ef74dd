"""What one agent writes does not undo what another one wrote meanwhile."""

from __future__ import annotations

from cloudherd.agent.actions import Report
from cloudherd.api import Instance, ObjectKey
from cloudherd.clouds.protocol import CloudError, ErrorKind
from cloudherd.runtime import kinds
from cloudherd.runtime.account_state import new_state
from cloudherd.runtime.reporter import Reporter
from tests.fakes.agentworld import NAMESPACE, World, agent_at_work
from tests.fakes.clock import on_virtual_time

REFUSED = Report(False, "CloudFull", "no room", phase="Failed", launched=False)
MAYBE = {
    "type": "Launched",
    "status": "Unknown",
    "reason": "OutcomeUnknown",
    "message": "",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}


async def _pending(world: World) -> tuple[Reporter, Instance]:
    """An Instance that is not launched, as this agent has read it."""
    world.home.down = CloudError(ErrorKind.UNREACHABLE, "NoRoute")
    await world.clock.advance(120)
    await world.instance("batch-worker-0")
    await world.clock.advance(5)
    parts = world.agents[0][0]._parts
    record = parts.store.instance(ObjectKey(NAMESPACE, "batch-worker-0"))
    assert record
    return Reporter(new_state(record.account, parts, set(), inherits=False), parts), record


async def _launched(world: World, reporter: Reporter, record: Instance) -> str:
    await reporter.write(record, REFUSED)
    assert world.phases() == {"batch-worker-0": "Failed"}
    launched = world.records()["batch-worker-0"].condition("Launched")
    assert launched
    return launched.status


@on_virtual_time
async def test_a_refusal_says_that_there_is_no_vm() -> None:
    async with agent_at_work() as world:
        assert await _launched(world, *await _pending(world)) == "False"


@on_virtual_time
async def test_but_not_where_another_agent_has_said_that_there_may_be_one() -> None:
    async with agent_at_work() as world:
        reporter, record = await _pending(world)
        status = {"status": {"conditions": [MAYBE]}}
        await world.user.patch(kinds.INSTANCE, NAMESPACE, "batch-worker-0", status, subresource="status")
        assert await _launched(world, reporter, record) == "Unknown"
