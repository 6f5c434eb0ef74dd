"""What an account says of itself."""

from __future__ import annotations

from datetime import UTC, datetime

from cloudherd.agent.account_status import (
    Facts,
    Told,
    account_status,
    images_by_name,
    sizes_by_name,
    status_patch,
)
from cloudherd.agent.full import Full
from cloudherd.api.account import AccountStatus, Usage
from cloudherd.clouds.protocol import Image, Limits, Size
from tests.unit.agent.facts import account

SIZES = sizes_by_name([Size("f-1", "sim.small", 2, 4 * 1024**3)])
IMAGES = images_by_name([Image("i-1", "sim-debian-12")])


def facts(**more: object) -> Facts:
    given = {"scope": "physics.home", "sizes": SIZES, "images": IMAGES, "credentials": Told(True, "Accepted"), **more}
    return Facts(**given)  # type: ignore[arg-type]


def status(of: Facts, full: Full | None = None, **spec: object) -> AccountStatus:
    counts = AccountStatus(used=Usage(instances=1))
    return account_status(account(**spec), of, full.standing() if full else {}, counts, 1000.0)  # type: ignore[arg-type]


def told(of: AccountStatus, type_: str = "Ready") -> tuple[str, str, str]:
    (found,) = [one for one in of.conditions if one.type == type_]
    return found.status, found.reason, found.message


def test_the_first_visit_sets_all_conditions_with_the_generation() -> None:
    first = status(Facts())
    assert {(one.type, one.status, one.reason, one.observed_generation) for one in first.conditions} == {
        ("Ready", "Unknown", "Connecting", 3),
        ("CredentialsValid", "Unknown", "Connecting", 3),
        ("CapacityAvailable", "Unknown", "Connecting", 3),
    }


def test_flavors_are_named_as_the_cloud_knows_them() -> None:
    (flavor,) = status(facts()).flavors
    assert (flavor.name, flavor.id, flavor.cpus, flavor.memory) == ("small", "f-1", 2, "4Gi")


def test_an_unknown_flavor_or_image_leaves_the_account_usable() -> None:
    flavors = {"small": "sim.small", "huge": "sim.huge"}
    assert told(status(facts(), flavors=flavors)) == (
        "True",
        "FlavorUnknown",
        "the cloud does not know sim.huge (huge): correct spec.flavors; the others are used",
    )
    assert told(status(facts(), images={"x": "ami-x"}))[:2] == ("True", "ImageUnknown")
    assert told(status(facts(images=None), images={"x": "ami-x"}))[:2] == ("True", "Ready")


def test_trouble_comes_first() -> None:
    trouble = Told(False, "Unreachable", "the cloud cannot be asked")
    assert told(status(facts(trouble=trouble, freeze="many"))) == ("False", "Unreachable", "the cloud cannot be asked")


def test_a_mass_loss_is_a_condition_of_its_own_and_stays_as_a_memory() -> None:
    assert told(status(facts(freeze="all of a service look lost")))[0] == "True"
    frozen = status(facts(freeze="many look lost", frozen=True))
    assert told(frozen)[:2] == ("False", "MassLoss")
    assert told(frozen, "MassLoss") == ("True", "MassLoss", "many look lost")
    before = account().model_copy(update={"status": frozen})
    after = account_status(before, facts(), {}, AccountStatus(), 2000.0)
    assert told(after, "MassLoss")[0] == "False"
    assert not [one for one in status(facts()).conditions if one.type == "MassLoss"]


def test_capacity_says_what_is_full() -> None:
    full = Full(60, 1800)
    full.refused(("f-1", "", ""), "CloudFull", "no room for f-1", began=0, monotonic=1, now=1000)
    part = status(facts(), full)
    assert told(part, "CapacityAvailable") == ("True", "PartlyFull", "f-1: no room for f-1")
    assert [(one.flavor, one.reason, one.until.timestamp()) for one in part.full] == [("f-1", "CloudFull", 1060)]
    full.refused(("", "", ""), "CloudFull", "no room at all", began=0, monotonic=1, now=1000)
    assert told(status(facts(), full), "CapacityAvailable") == ("False", "CloudFull", "no room at all")
    used_up = status(facts(room=Limits(instances=0)))
    assert told(used_up, "CapacityAvailable")[:2] == ("False", "LimitReached")


def test_the_deletion_says_for_whom_it_waits() -> None:
    its = account()
    meta = its.metadata.model_copy(update={"deletion_timestamp": datetime(2026, 1, 1, tzinfo=UTC)})
    deleting = its.model_copy(update={"metadata": meta})
    waiting = account_status(deleting, facts(waits_for="2 Instances: a, b"), {}, AccountStatus(), 1000.0)
    assert told(waiting) == ("False", "Deleting", "the deletion waits for 2 Instances: a, b")


def test_only_what_changed_is_patched_and_what_is_no_more_is_taken_out() -> None:
    now = status(facts())
    standing = account().model_copy(update={"status": now})
    assert status_patch(standing, now) is None
    without = now.model_copy(update={"used": None})
    assert status_patch(standing, without) == {"used": None}
