"""What depends on what among a cluster's services."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from cloudherd.api.cluster import ClusterSpec


def loop_in(spec: ClusterSpec) -> str:
    """The services of a dependency circle as `a -> b -> a`; empty where there is none."""
    try:
        TopologicalSorter({service.name: service.depends_on for service in spec.services}).prepare()
    except CycleError as error:
        return " -> ".join(error.args[1])
    return ""


def closures(spec: ClusterSpec) -> Mapping[str, tuple[str, ...]]:
    """By service: all that it depends on, directly or not, dependencies first. Needs a spec without circles."""
    direct = {service.name: service.depends_on for service in spec.services}
    result: dict[str, tuple[str, ...]] = {}
    for name in TopologicalSorter(direct).static_order():
        needed: dict[str, None] = {}
        for dependency in direct.get(name, ()):
            needed |= dict.fromkeys((*result.get(dependency, ()), dependency))
        result[name] = tuple(needed)
    return result
