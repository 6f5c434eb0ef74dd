"""Events of a cluster: what a person would want to know of a plan. On the good path never one per Instance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from cloudherd.api import ObjectKey
from cloudherd.api.cluster import ClusterStatus
from cloudherd.api.conditions import find
from cloudherd.plan.candidates import label
from cloudherd.plan.failures import closed
from cloudherd.plan.model import CreateInstance, DeleteInstance, Note, UpdateService
from cloudherd.plan.picture import Picture

MOST_NAMED = 3
GOOD = ("ScaledDown", "Updated", "SiteClosed", "ServiceRemoved", "Drained")
TOLD: dict[tuple[str, str], Literal["Normal", "Warning"]] = {
    ("Ready", "True"): "Normal",
    ("Placed", "False"): "Warning",
    ("MassLoss", "True"): "Warning",
}
"""Turns of a condition that are Events."""


def notes(
    picture: Picture,
    status: ClusterStatus | None,
    create: Sequence[CreateInstance],
    delete: Sequence[DeleteInstance],
    update: Sequence[UpdateService],
) -> list[Note]:
    return [
        *_put_back(picture, update),
        *_sites(picture, create),
        *_deletions(delete),
        *(_turns(picture, status) if status else ()),
    ]


def _put_back(picture: Picture, update: Sequence[UpdateService]) -> list[Note]:
    """Without the count that somebody asked for, so that repeated ones are no new Events."""
    counts, names = picture.observed.counts, [one.service.spec.service_name for one in update if one.put_back]
    why = "was put back, since the manifest holds replicas"
    return [Note("Warning", "ScalePutBack", f"a scale of {name} {why}: {counts[name]}") for name in names]


def _sites(picture: Picture, create: Sequence[CreateInstance]) -> list[Note]:
    occupied = set(picture.observed.records.accounts())
    opened = dict.fromkeys(one.account for one in create if one.account not in occupied)
    known = {
        ObjectKey(site.account_ref.namespace, site.account_ref.name)
        for site in picture.view.cluster.status.sites
        if site.retry_after
    }
    passed_over = closed(picture.view, picture.memory, picture.monotonic)
    return [
        *(Note("Normal", "SiteOpened", f"the cluster opens a site at {label(account)}") for account in opened),
        *(
            Note("Warning", "SitePassedOver", f"{label(account)} {why}")
            for account, why in passed_over.items()
            if account not in known
        ),
    ]


def _deletions(delete: Sequence[DeleteInstance]) -> list[Note]:
    found = []
    by_reason: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in delete:
        by_reason[one.reason, one.message].append(one.instance.name)
    for (reason, message), names in by_reason.items():
        if reason == "Updated":  # many small steps, which are counted on one Event
            found.append(Note("Normal", reason, f"replacing VMs: {message}"))
        else:
            found.append(Note("Normal" if reason in GOOD else "Warning", reason, f"deleting {_some(names)}: {message}"))
    return found


def _turns(picture: Picture, status: ClusterStatus) -> list[Note]:
    found = []
    for one in status.conditions:
        before = find(picture.view.cluster.status.conditions, one.type)
        kind = TOLD.get((one.type, one.status))
        if kind and (before is None or before.status != one.status):
            found.append(Note(kind, one.reason, one.message))
    return found


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
