"""Which accounts a cluster may use, and what its services would be there."""

from __future__ import annotations

from typing import Any

import pytest

from cloudherd.api import CloudAccount
from cloudherd.api.account import FlavorStatus, Lack
from cloudherd.api.machine import MachineResources
from cloudherd.plan.candidates import Candidate, candidates, smallest
from tests.unit.plan.helpers import view_of
from tests.unit.plan.objects import account, cluster, fixed, key, scalable, true


def found(*accounts: CloudAccount, order: list[Any] | None = None, machine: Any = None, **more: Any) -> list[Candidate]:
    worker = scalable(machine=machine or {})
    spec = cluster("batch", fixed(), worker, accounts=order or ["home"])
    return candidates(view_of(spec, accounts=accounts, **more))


def test_names_stand_in_the_manifests_order_and_a_selectors_accounts_by_name() -> None:
    accounts = [account(name, labels={"region": "us"}) for name in ("b", "a")] + [account("home")]
    order = [{"name": "home"}, {"selector": {"matchLabels": {"region": "us"}}}]
    assert [one.key.name for one in found(*accounts, order=order)] == ["home", "a", "b"]


def test_the_first_entry_that_matches_an_account_counts() -> None:
    order = [{"name": "home", "maxInstances": 3}, {"selector": {}, "maxInstances": 9}]
    assert [(one.key.name, one.max_instances) for one in found(account("home"), account("aws"), order=order)] == [
        ("home", 3),
        ("aws", 9),
    ]


def test_an_account_of_another_namespace_is_named_with_it() -> None:
    order = [{"name": "home", "namespace": "shared"}]
    assert found(account("home"), order=order)[0].blocked == "does not exist"


@pytest.mark.parametrize(
    ("where", "why"),
    [
        (account("home", unschedulable=True), "is cordoned (spec.unschedulable)"),
        (account("home", ready=False), "was not looked at yet"),
        (account("other"), "does not exist"),
        (account("home"), ""),
    ],
    ids=["cordoned", "new", "missing", "usable"],
)
def test_why_an_account_gets_nothing_new(where: CloudAccount, why: str) -> None:
    assert found(where)[0].blocked == why


def test_an_account_that_is_not_ready_says_so_in_its_own_words() -> None:
    dark = account("home", ready=False)
    told = [true("Ready", "Denied", "the keys are refused", "False")]
    dark = dark.model_copy(update={"status": dark.status.model_copy(update={"conditions": told})})
    assert found(dark)[0].blocked == "is not ready: the keys are refused"


@pytest.mark.parametrize(
    ("allowed", "labels", "admits"),
    [
        ({"from": "Same"}, {}, True),
        ({"from": "All"}, {}, True),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "x"}}}, {"team": "x"}, True),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "x"}}}, {"team": "y"}, False),
    ],
)
def test_allowed_namespaces(allowed: Any, labels: dict[str, str], admits: bool) -> None:
    (one,) = found(account("home", allowedNamespaces=allowed), namespaces={"physics": labels})
    assert (one.blocked == "") is admits
    assert admits or one.blocked == "does not allow namespace physics (spec.allowedNamespaces)"


def test_an_account_of_another_namespace_admits_only_its_own_unless_it_says_more() -> None:
    other = account("home")
    other = other.model_copy(update={"metadata": other.metadata.model_copy(update={"namespace": "shared"})})
    order = [{"name": "home", "namespace": "shared"}]
    assert found(other, order=order)[0].blocked.startswith("does not allow namespace physics")


def test_an_offer_translates_names_and_keeps_them_for_the_revision() -> None:
    offer = found(account("home"))[0].offers["worker"]
    assert (offer.flavor, offer.image, offer.flavor_id, offer.image_id) == (
        "small",
        "debian-12",
        "home.small",
        "img-12",
    )
    assert (offer.resources.cpus, offer.resources.memory) == (1, 2 * 1024**3)


@pytest.mark.parametrize(
    ("machine", "why"),
    [
        ({"flavor": "huge"}, "lacks the flavor huge (spec.flavors)"),
        ({"image": "plan9"}, "lacks the image plan9 (spec.images)"),
        ({"flavor": "odd"}, "has the flavor odd as x.odd, but its flavors could not be asked for yet"),
    ],
)
def test_what_an_account_lacks_it_lacks_for_one_service_only(machine: Any, why: str) -> None:
    (one,) = found(account("home", flavors={"small": "home.small", "odd": "x.odd"}), machine=machine)
    assert one.lacking == {"worker": why}
    assert set(one.offers) == {"master"}
    assert one.choices["worker"].flavor == machine.get("flavor", "small")  # what runs there can still be compared


def without(kind: str, name: str, why: str, **spec: Any) -> CloudAccount:
    """The account home, whose agent says this of one of its flavors or images."""
    home = account("home", **spec)
    lack = Lack.model_validate({"kind": kind, "name": name, "reason": f"{kind}Ambiguous", "message": why})
    return home.model_copy(update={"status": home.status.model_copy(update={"lacking": [lack]})})


def test_what_the_agent_says_of_a_flavor_or_image_is_said_of_the_account() -> None:
    home = without("Flavor", "odd", "2 flavors are called x", flavors={"small": "home.small", "odd": "x"})
    (one,) = found(home, machine={"flavor": "odd"})
    assert one.lacking == {"worker": "cannot use the flavor odd: 2 flavors are called x"}
    assert set(one.offers) == {"master"}
    (one,) = found(without("Image", "debian-13", "2 images are called x"), machine={"image": "debian-13"})
    assert one.lacking == {"worker": "cannot use the image debian-13: 2 images are called x"}
    (one,) = found(without("Image", "small", "not the flavor of that name"))
    assert one.lacking == {}


OVERRIDES = [
    {"provider": "simulated", "flavor": "large", "options": {"a": 1}},
    {"account": "physics.home", "options": {"b": 2}},
    {"account": "aws", "provider": "simulated", "image": "debian-13"},
    {"account": "aws", "provider": "ec2", "image": "never"},
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("home", ("small", "debian-12", {"z": 0, "b": 2})),  # the last match wins, whole
        ("aws", ("small", "debian-13", {"z": 0})),
        ("other", ("large", "debian-12", {"z": 0, "a": 1})),
    ],
)
def test_of_the_overrides_that_match_the_last_one_wins(name: str, expected: tuple[str, str, dict[str, int]]) -> None:
    machine = {"options": {"z": 0}, "overrides": OVERRIDES}
    choice = found(account(name), order=[name], machine=machine)[0].choices["worker"]
    assert (choice.flavor, choice.image, dict(choice.options)) == expected


def test_labels_of_an_account_are_what_people_read() -> None:
    assert found(account("home"))[0].label == "physics.home"
    assert found(account("home"))[0].key == key("home")


FLAVORS = [
    FlavorStatus(name="large", id="f-3", cpus=8, memory="32Gi"),
    FlavorStatus(name="small", id="f-1", cpus=1, memory="2Gi", disk="10Gi"),
    FlavorStatus(name="medium", id="f-2", cpus=2, memory="4Gi", disk="40Gi"),
]


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ({"cpus": 1}, "small"),
        ({"cpus": "1500m"}, "medium"),
        ({"memory": "4Gi"}, "medium"),
        ({"cpus": 1, "disk": "20Gi"}, "medium"),
        ({"disk": "100Gi"}, "large"),
        ({"memory": "64Gi"}, None),
    ],
)
def test_of_the_flavors_with_what_is_wanted_the_smallest_is_taken(wanted: dict[str, Any], name: str | None) -> None:
    found = smallest(MachineResources.model_validate(wanted), FLAVORS)
    assert (found and found.name) == name


def test_the_cheapest_where_prices_are_known() -> None:
    priced = [FLAVORS[0].model_copy(update={"price": 0.1}), FLAVORS[1].model_copy(update={"price": 0.2}), FLAVORS[2]]
    found = smallest(MachineResources(cpus=1), priced)
    assert found is not None
    assert found.name == "large"


def test_resources_in_place_of_a_flavor_are_the_account_s_to_translate() -> None:
    asked = {"flavor": None, "resources": {"cpus": 2, "memory": "1Gi"}}
    one = found(account("home"), machine=asked)[0]
    assert (one.offers["worker"].flavor, one.choices["worker"].wanted) == ("large", "cpus 2, memory 1Gi")
    too_much = {"flavor": None, "resources": {"cpus": 900}}
    assert found(account("home"), machine=too_much)[0].lacking == {
        "worker": "has no flavor with cpus 900 (spec.flavors)"
    }


def test_a_flavor_that_may_fit_is_not_denied_before_it_was_asked_for() -> None:
    asked = {"flavor": None, "resources": {"cpus": 900}}
    flavors = {"small": "home.small", "odd": "x.odd"}
    assert found(account("home", flavors=flavors), machine=asked)[0].lacking == {
        "worker": "may have a flavor with cpus 900, but its flavors could not be asked for yet"
    }
    home = without("Flavor", "odd", "its cloud does not know x.odd", flavors=flavors)
    assert found(home, machine=asked)[0].lacking == {"worker": "has no flavor with cpus 900 (spec.flavors)"}


def test_an_override_names_a_flavor_where_one_account_is_to_be_asked_for_it() -> None:
    asked = {"flavor": None, "resources": {"cpus": 2}, "overrides": [{"account": "home", "flavor": "small"}]}
    assert found(account("home"), machine=asked)[0].offers["worker"].flavor == "small"
