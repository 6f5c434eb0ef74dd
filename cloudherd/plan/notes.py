"""Events of a cluster: what a person would want to know of a plan. On the good path never one per Instance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from cloudherd.plan.candidates import label
from cloudherd.plan.model import CreateInstance, DeleteInstance, Note, UpdateService
from cloudherd.plan.observed import Observed

MOST_NAMED = 3
GOOD = ("ScaledDown", "Updated", "SiteClosed", "ServiceRemoved", "Drained")


def notes(
    observed: Observed,
    create: Sequence[CreateInstance],
    delete: Sequence[DeleteInstance],
    update: Sequence[UpdateService],
) -> list[Note]:
    occupied = set(observed.records.accounts())
    opened = dict.fromkeys(one.account for one in create if one.account not in occupied)
    found = [Note("Normal", "SiteOpened", f"the cluster opens a site at {label(account)}") for account in opened]
    for service in (one.service.spec.service_name for one in update if one.put_back):
        text = f"a scale of {service} was put back, since the manifest holds replicas: {observed.counts[service]}"
        found.append(Note("Warning", "ScalePutBack", text))
    by_reason: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in delete:
        by_reason[one.reason, one.message].append(one.instance.name)
    for (reason, message), names in by_reason.items():
        if reason == "Updated":  # many small steps, which are counted on one Event
            found.append(Note("Normal", reason, f"replacing VMs: {message}"))
        else:
            found.append(Note("Normal" if reason in GOOD else "Warning", reason, f"deleting {_some(names)}: {message}"))
    return found


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
