"""What an agent checks itself, trusting no Instance."""

from __future__ import annotations

from typing import Any

import pytest

from cloudherd.agent.checks import Held, objection, refused
from cloudherd.agent.memory import Track
from tests.unit.agent.facts import account, record


def no(its: Any = None, held: Held | None = None, labels: dict[str, str] | None = None, **spec: Any) -> str:
    found = objection(its or record(), account(**spec), labels or {}, ("i-1",), held or Held())
    return found[0] if found else ""


def test_an_instance_as_it_should_be_is_let_through() -> None:
    assert no() == ""


def test_flavor_and_image_must_be_the_accounts_by_name_or_by_id() -> None:
    assert no(record(flavor="sim.huge")) == "FlavorMissing"
    assert no(record(image="x")) == "ImageMissing"
    assert no(record(image="i-1")) == ""
    known = {"flavors": [{"name": "small", "id": "f-1"}]}
    assert objection(record(flavor="f-1"), account(status=known), {}, (), Held()) is None


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"from": "Same"}, "NotAllowed"),
        ({"from": "All"}, ""),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "atlas"}}}, ""),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "cms"}}}, "NotAllowed"),
    ],
)
def test_another_namespace_needs_to_be_allowed(rule: dict[str, Any], reason: str) -> None:
    guest = record()
    guest = guest.model_copy(update={"metadata": guest.metadata.model_copy(update={"namespace": "guests"})})
    assert no(guest, labels={"team": "atlas"}, allowedNamespaces=rule) == reason


@pytest.mark.parametrize(
    ("quota", "held", "reason"),
    [
        ({"instances": 3}, Held(instances=2), ""),
        ({"instances": 3}, Held(instances=3), "QuotaExceeded"),
        ({"cpus": 4}, Held(cpus=2), ""),
        ({"cpus": 4}, Held(cpus=2.5), "QuotaExceeded"),
        ({"memory": "8Gi"}, Held(memory=4 * 1024**3), ""),
        ({"memory": "8Gi"}, Held(memory=5 * 1024**3), "QuotaExceeded"),
        ({}, Held(10_000, 10_000, 1e15), ""),
    ],
)
def test_quotas_are_ceilings_on_what_is_launched(quota: dict[str, Any], held: Held, reason: str) -> None:
    assert no(held=held, quota=quota) == reason


def test_a_refusal_says_that_no_vm_can_exist_only_where_that_is_certain() -> None:
    assert refused("CloudFull", "", Track(0), doubt=False).launched is False
    assert refused("CloudFull", "", Track(0), doubt=True).launched == "Unknown"
    assert refused("CloudFull", "", Track(0, inherited=True), doubt=False).launched is None


def test_a_refusal_speaks_of_our_own_claim_where_another_agent_may_launch_too() -> None:
    assert refused("CloudFull", "", Track(0), doubt=False, shared=True).launched is None
    assert refused("CloudFull", "", Track(0), doubt=False, shared=True, claimed=True).launched == "Withdrawn"
    assert refused("CloudFull", "", Track(0), doubt=True, shared=True, claimed=True).launched == "Unknown"
