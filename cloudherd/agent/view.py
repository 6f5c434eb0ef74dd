"""What a decision about one Instance reads beside the Instance and the memory of it."""

from __future__ import annotations

from dataclasses import dataclass

from cloudherd.agent.identity import parse_provider_id
from cloudherd.agent.memory import Track
from cloudherd.agent.seen import Seen
from cloudherd.agent.settings import AgentSettings
from cloudherd.api import Instance
from cloudherd.clouds.protocol import Capabilities

FINALIZER = "cloudherd.dev/instance"


@dataclass(frozen=True, slots=True)
class View:
    """`seen` is the last complete listing, None before the first. `hold` says why nothing may be launched on this
    account at the moment, empty where it may. Times are monotonic, but `now` in Unix seconds, for people.
    """

    installation: str
    agent: str
    provider: str
    settings: AgentSettings
    capabilities: Capabilities
    monotonic: float
    now: float
    seen: Seen | None = None
    scope: str = ""
    """The scope that the account was bound to while it has had Instances; empty: that of `seen`."""
    hold: str = ""

    def shares(self, record: Instance) -> bool:
        """Whether another agent may be launching it, of which its status says nothing. Where there are tokens the
        agent of its spec launches without a claim, and nobody but itself knows what it has under way.
        """
        return self.capabilities.idempotency_token and record.spec.agent != self.agent

    @property
    def repointed(self) -> bool:
        return self.seen is not None and bool(self.scope) and self.scope != self.seen.scope


def vm_id_of(record: Instance, track: Track) -> str:
    """The cloud's ID of its VM, by its status or by the answer that is not written yet."""
    return parse_provider_id(record.status.provider_id or "")[1] or track.vm_id


def elsewhere(record: Instance, view: View) -> bool:
    """Whether its VM lies in another scope than the one that the account shows now."""
    if view.seen is None:
        return False
    scope = parse_provider_id(record.status.provider_id or "")[0]
    return view.repointed or (bool(scope) and scope != view.seen.scope)
