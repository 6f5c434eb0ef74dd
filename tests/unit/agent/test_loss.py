"""Incident 11: eighty healthy machines replaced at once because nobody could see them."""

from __future__ import annotations

from cloudherd.agent.loss import Freeze, LossMemory, digest_of, judge
from cloudherd.agent.settings import AgentSettings
from cloudherd.api import Instance
from tests.unit.agent.facts import record, up

SETTINGS = AgentSettings()


WORKER = ("physics", "batch", "worker")


def some(count: int, first: int = 0, phase: str = "Ready", service: str = "worker") -> dict[str, Instance]:
    ids = [f"6f0c0000-0000-4000-8000-{number:012d}" for number in range(first, first + count)]
    records = [
        record(f"batch-{service}-{number}", id_=id_, status=up(f"i-{number}", phase), serviceName=service)
        for number, id_ in enumerate(ids, first)
    ]
    return {f"uid-{number}": one for number, one in enumerate(records, first)}


def frozen(
    lost: dict[str, Instance],
    of: int,
    memory: LossMemory | None = None,
    accepted: str = "",
    others: dict[str, Instance] | None = None,
) -> Freeze | None:
    """Of a service with so many VMs that were up, beside `others`."""
    standing = [*lost.values(), *some(max(0, of - len(lost)), first=900).values(), *(others or {}).values()]
    return judge(lost, standing, accepted, memory or LossMemory(), SETTINGS, 1000)


def test_a_few_are_no_mass_and_a_small_share_is_none() -> None:
    assert frozen(some(4), of=4) is None
    assert frozen(some(50), of=100) is None


def test_many_and_more_than_half_are() -> None:
    freeze = frozen(some(5), of=9)
    assert freeze is not None
    assert freeze.uids == {f"uid-{number}" for number in range(5)}
    assert freeze.whole
    assert "5 of 9 VMs look lost at once (physics/batch-worker-0, " in freeze.message
    assert freeze.message.endswith(f"cloudherd.dev/accept-loss: {freeze.digest}")


def test_nearly_all_of_a_service_are_too_but_only_for_that_service() -> None:
    others = some(100, first=100, service="store")
    freeze = frozen({**some(6), **dict(list(others.items())[:20])}, of=6, others=dict(list(others.items())[20:]))
    assert freeze is not None
    assert freeze.uids == {f"uid-{number}" for number in range(6)}
    assert not freeze.whole
    assert "6 of 6 VMs of physics/batch worker look lost at once" in freeze.message
    assert frozen(some(9), of=10, others=others) is None
    assert frozen(some(4), of=4, others=others) is None


def test_what_a_service_lost_a_minute_ago_counts_for_that_one_alone() -> None:
    others = some(100, first=100, service="store")
    for service, kept in (("worker", True), ("store", False)):
        memory = LossMemory(recent={f"x{number}": (950.0, ("physics", "batch", service)) for number in range(4)})
        assert (frozen(some(2), of=2, memory=memory, others=others) is not None) is kept


def test_launches_that_failed_were_never_up_and_do_not_count() -> None:
    assert frozen(some(80, phase="Launching"), of=0) is None


def test_what_was_lost_a_minute_ago_counts_too() -> None:
    memory = LossMemory(recent={name: (at, WORKER) for name, at in (("x", 900), ("y", 950), ("z", 990), ("old", 100))})
    assert frozen(some(2), of=6, memory=memory) is not None
    assert set(memory.recent) == {"x", "y", "z"}


def test_agreement_lets_exactly_that_set_go_however_slowly() -> None:
    lost, memory = some(8), LossMemory()
    freeze = frozen(lost, of=8, memory=memory)
    assert freeze is not None
    assert frozen(lost, of=8, memory=memory, accepted="another") is not None
    assert frozen(lost, of=8, memory=memory, accepted=freeze.digest) is None
    rest = dict(list(lost.items())[3:])
    assert frozen(rest, of=5, memory=memory, accepted=freeze.digest) is None
    assert frozen({**rest, **some(6, first=20)}, of=11, memory=memory, accepted=freeze.digest) is not None


def test_the_digest_is_the_same_to_an_agent_that_was_just_started() -> None:
    records = list(some(3).values())
    assert digest_of(records) == digest_of(reversed(records))
    assert digest_of(records) != digest_of(records[:2])
