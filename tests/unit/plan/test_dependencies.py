"""What depends on what."""

from __future__ import annotations

from cloudherd.plan.dependencies import closures, loop_in
from tests.unit.plan.objects import cluster, fixed, scalable


def test_all_that_a_service_depends_on_dependencies_first() -> None:
    spec = cluster(
        "c",
        scalable("w", dependsOn=["m", "log"]),
        fixed("m", dependsOn=["db"]),
        fixed("db"),
        fixed("log"),
        accounts=["home"],
    ).spec
    assert closures(spec) == {"db": (), "log": (), "m": ("db",), "w": ("db", "m", "log")}
    assert loop_in(spec) == ""


def test_a_circle_is_named_by_its_members() -> None:
    services = [fixed("a", dependsOn=["b"]), fixed("b", dependsOn=["c"]), fixed("c", dependsOn=["a"])]
    text = loop_in(cluster("x", *services, accounts=["home"]).spec)
    members = text.split(" -> ")
    assert members[0] == members[-1]
    assert set(members) == {"a", "b", "c"}
