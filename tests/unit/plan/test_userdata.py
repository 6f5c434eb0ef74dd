"""From context, parameters and neighbours to a revision; and who is outdated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cloudherd.api import Instance
from cloudherd.plan.candidates import Choice
from cloudherd.plan.model import Stranger
from cloudherd.plan.userdata import addresses_of, revision_of
from tests.unit.plan.helpers import condition, plan, view_of, vm
from tests.unit.plan.objects import account, cluster, context, fixed, instance, scalable

SMALL = Choice("small", "debian-12", {})
HOME = account("home")


@pytest.mark.parametrize(
    ("content", "choice"),
    [
        (b"y", SMALL),
        (b"x", Choice("large", "debian-12", {})),
        (b"x", Choice("small", "debian-13", {})),
        (b"x", Choice("small", "debian-12", {"spot": True})),
    ],
)
def test_a_revision_covers_what_the_clusters_owner_wrote(content: bytes, choice: Choice) -> None:
    assert revision_of(1, content, choice) != revision_of(1, b"x", SMALL) == revision_of(1, b"x", SMALL)


def test_a_recipe_that_is_not_known_says_nothing() -> None:
    assert revision_of(7, b"x", SMALL) == ""


def test_the_address_is_that_of_the_lowest_slot() -> None:
    vms = [vm("c-m-2", address="10.0.0.2"), vm("c-m-10", address="10.0.0.10")]
    found = addresses_of(vms)
    assert (found.address, found.addresses, found.hostname) == ("10.0.0.2", ("10.0.0.2", "10.0.0.10"), "c-m-2-00000000")


def first(*instances: Instance, **more: Any) -> Any:
    view = view_of(cluster("batch", fixed(), scalable(replicas=1), accounts=["home"]), *instances, accounts=(HOME,))
    return plan(view, **more)


def current(name: str, **more: Any) -> Instance:
    """An Instance as the planner would make it, but for its state."""
    revision = next(one.user_data.revision for one in first().create if one.service == name.split("-")[1])
    return instance(name, revision=revision, **more)


def test_what_is_made_is_not_outdated() -> None:
    found = first(current("batch-master-0"))
    assert [one.name for one in found.create] == ["batch-worker-0"]
    assert not found.delete


def test_an_account_that_loses_a_flavor_outdates_nobody() -> None:
    """An account's edits reach new VMs only."""
    poor = account("home", flavors={"large": "home.large"})
    spec = cluster("batch", fixed(), accounts=["home"])
    found = plan(view_of(spec, current("batch-master-0"), accounts=(poor,)))
    assert not found.delete
    assert condition(found, "Ready").status == "True"


def test_an_instance_of_a_newer_recipe_is_never_rolled() -> None:
    newer = instance("batch-master-0", revision="other")
    newer = newer.model_copy(update={"spec": newer.spec.model_copy(update={"recipe": 7})})
    assert not first(newer).delete


def test_an_outdated_one_is() -> None:
    found = first(instance("batch-master-0", revision="other"))
    assert [(one.instance.name, one.reason) for one in found.delete] == [("batch-master-0", "Updated")]
    assert not found.create


@pytest.mark.parametrize(
    ("masters", "why"),
    [
        ([], "0 of 1 exist"),
        ([{"phase": "Launching"}], "0 of 1 are ready"),
        ([{"ready": "Unknown"}], "0 of 1 are ready"),
        ([{"deleting": True}], "0 of 1 exist"),
        ([{}, {"deleting": True}], "1 on the way out"),
        ([{"revision": "other"}], "it is being updated"),
    ],
)
def test_workers_wait_for_a_master_that_is_complete_ready_and_updated(masters: list[Any], why: str) -> None:
    instances = [
        instance(f"batch-master-{slot}", **one) if "revision" in one else current(f"batch-master-{slot}", **one)
        for slot, one in enumerate(masters)
    ]
    found = first(*instances)
    assert not [one for one in found.create if one.service == "worker"]
    assert f"1 waiting for master at physics.home ({why})" in condition(found, "Ready").message


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"contexts": {}}, "service master: Context server does not exist in namespace physics; create it or correct"),
        (
            {"contexts": {"server": context("server", "{{ nobody }}")}},
            "service master: Context server does not render: ",
        ),
        ({"secrets": {"keys": "Secret keys does not exist"}}, "service master: Secret keys does not exist"),
        ({"secrets": {}}, "service master: Secret keys was not read"),
    ],
)
def test_what_the_user_must_mend_is_named(change: Any, why: str) -> None:
    sources = [{"secretRef": {"name": "keys"}}] if "secrets" in change else []
    view = view_of(cluster("batch", fixed(parametersFrom=sources), accounts=["home"]), accounts=(HOME,))
    found = plan(replace(view, **change))
    assert not found.create
    assert condition(found, "Ready").reason == "ContextInvalid"
    assert condition(found, "Ready").message.startswith(why)


def test_a_parameter_that_nobody_declared_is_named() -> None:
    spec = cluster("batch", fixed(parameters={"typo": "x"}), accounts=["home"])
    found = plan(view_of(spec, accounts=(HOME,)))
    assert "service master: Context server: parameter `typo` is not declared" in condition(found, "Ready").message


def test_user_data_that_nobody_needs_goes_but_not_while_something_cannot_be_read() -> None:
    view = view_of(cluster("batch", fixed(), accounts=["home"]), current("batch-master-0"), accounts=(HOME,))
    view = replace(view, user_data=frozenset({"old", view.instances[0].spec.user_data_ref.name}))
    assert plan(view).drop_user_data == ("old",)
    assert plan(replace(view, strangers=(Stranger("batch-master-1", "master", HOME.key),))).drop_user_data == ()
