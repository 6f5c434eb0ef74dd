"""What placement is asked, and what it answers: plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from cloudherd.api import ObjectKey
from cloudherd.api.cluster import Placement, Service
from cloudherd.plan.model import Waiting
from cloudherd.plan.records import At


@dataclass(frozen=True, slots=True)
class Ask:
    """What stands, and what is to be placed beside it."""

    fixed: Sequence[Service]
    scalable: Sequence[Service]
    counts: Mapping[str, int]  # asked for, by service (Fixed: at each site)
    alive: Mapping[At, int]
    missing: Mapping[str, int]  # scalable VMs to make, those above what is asked for included
    moving: Mapping[str, int]  # scalable VMs on accounts that the placement no longer names: places are held for them
    surge: Mapping[str, int]  # scalable VMs to make above what is asked for
    fixed_surge: Mapping[At, int]  # fixed ones
    complete: Collection[ObjectKey]  # accounts where all fixed services are up
    occupied: Collection[ObjectKey]  # accounts with any record
    placement: Placement
    backing_off: Mapping[At, str]  # why a scalable service is not tried at an account for now


@dataclass(slots=True)
class Assignment:
    """Where everything goes. Sites that stand and are not among `sites` are given up."""

    places: Counter[At] = field(default_factory=Counter)  # new VMs
    spare: Counter[At] = field(default_factory=Counter)  # held for those that move
    sites: list[ObjectKey] = field(default_factory=list)  # that stay or become open, in order of preference
    unplaced: Counter[str] = field(default_factory=Counter)  # VMs that are asked for and have no place, by service
    no_surge: Counter[str] = field(default_factory=Counter)  # the same of those above what is asked for
    stuck: Counter[str] = field(default_factory=Counter)  # the same of those that move
    why: dict[ObjectKey, str] = field(default_factory=dict)  # what kept each account from taking them
    waits: dict[ObjectKey, Waiting] = field(default_factory=dict)  # for accounts that lacked nothing but room
