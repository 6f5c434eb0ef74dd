"""What is to be done about one Instance: plain data, carried out by somebody else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cloudherd.api.instance import Addresses, Phase
from cloudherd.clouds.protocol import Verb

Launched = bool | Literal["Unknown", "Withdrawn"]
"""Whether a VM may come of the attempts for an Instance. Withdrawn: none of what we claimed, but perhaps one of what
another agent has under way.
"""


@dataclass(frozen=True, slots=True)
class Nothing:
    """All is as it should be, or something else will wake us; `until` (monotonic) where only time will."""

    until: float | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """Call the cloud; `claim` first writes to the Instance that this agent does, for those who could not know."""

    claim: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """Write these facts to the Instance's status, where they are news. None leaves a field as it is; `tell` makes it an
    Event too.
    """

    ready: bool | Literal["Unknown"]
    reason: str
    message: str = ""
    phase: Phase | None = None
    provider_id: str | None = None
    addresses: Addresses | None = None
    launched: Launched | None = None
    unsupported: str | None = None
    """What of the spec the cloud cannot do; empty where there is nothing any more."""
    tell: bool = False
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """Its VM is gone, stopped or broken: the brake on mass losses judges it before it is written."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class LookUp:
    """Ask the cloud for a VM that a listing lacks, by its own ID."""

    vm_id: str


@dataclass(frozen=True, slots=True)
class Destroy:
    vm_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Power:
    """Ask the cloud for this of a VM that stays."""

    vm_id: str
    verb: Verb


@dataclass(frozen=True, slots=True)
class Release:
    """Take our finalizer off. `tell` is the text of a warning Event, where one is due."""

    tell: str = ""


Action = Nothing | Launch | Report | Lost | LookUp | Destroy | Power | Release
NOTHING = Nothing()
