"""What an account says of itself."""

from __future__ import annotations

from datetime import UTC, datetime

from cloudherd.agent.account_status import Facts, Told, account_status, status_patch
from cloudherd.agent.catalogue import Untold, catalogue
from cloudherd.agent.full import Full
from cloudherd.api import CloudAccount
from cloudherd.api.account import AccountStatus, Usage
from cloudherd.clouds.protocol import Image, Limits, Size
from tests.unit.agent.facts import account

SIZES = catalogue([Size("f-1", "sim.small", 2, 4 * 1024**3)], ["sim.small", "sim.huge"])
IMAGES = catalogue([Image("i-1", "sim-debian-12")], ["sim-debian-12", "ami-x"])
NO_ZONE = Untold("images", "NotOneZone", "NotOneZone: spec.region: moon, but it must name one of the zones north")


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
    unknown = status(facts(), flavors={"small": "sim.small", "huge": "sim.huge"})
    sentence = "its cloud does not know sim.huge: correct spec.flavors.huge"
    assert told(unknown) == ("True", "FlavorUnknown", f"{sentence}; the others are used")
    assert [(one.kind, one.name, one.reason, one.message) for one in unknown.lacking] == [
        ("Flavor", "huge", "FlavorUnknown", sentence)
    ]
    assert [one.name for one in unknown.flavors] == ["small"]
    assert told(status(facts(), images={"x": "ami-x"}))[:2] == ("True", "ImageUnknown")


def test_nothing_is_said_of_what_was_not_asked_for_yet() -> None:
    fresh = status(facts(), flavors={"new": "sim.new"}, images={"new": "new"})
    assert (told(fresh)[:2], fresh.lacking, fresh.flavors) == (("True", "Ready"), [], [])


def test_a_name_that_several_bear_leaves_the_account_usable_and_names_their_ids() -> None:
    twins = catalogue([Size("101", "sim.small", 8, 2**36), Size("99", "sim.small", 1, 2**31)], ["sim.small"])
    twice = status(facts(sizes=twins))
    sentence = "2 flavors of its cloud are called sim.small: give the ID of one (99, 101) in spec.flavors.small"
    assert told(twice) == ("True", "FlavorAmbiguous", f"{sentence}; the others are used")
    assert (twice.flavors, [one.message for one in twice.lacking]) == ([], [sentence])
    by_id = status(facts(sizes=twins), flavors={"small": "99"})
    assert (told(by_id)[:2], [one.cpus for one in by_id.flavors]) == (("True", "Ready"), [1])
    images = catalogue([Image(str(number), "sim-debian-12") for number in range(1, 8)], ["sim-debian-12"])
    (many,) = status(facts(images=images)).lacking
    assert many.reason == "ImageAmbiguous"
    assert many.message == (
        "7 images of its cloud are called sim-debian-12: give the ID of one (1, 2, 3, 4, 5 ...) in "
        "spec.images.debian-12"
    )


def standing(at: AccountStatus) -> CloudAccount:
    return account().model_copy(update={"status": at})


def test_an_account_whose_cloud_never_told_its_flavors_or_images_is_not_ready() -> None:
    assert told(status(facts(images=None)))[:2] == ("Unknown", "Connecting")
    sentence = f"the cloud's images could not be asked for: {NO_ZONE.words}"
    blind = status(facts(images=None, untold=NO_ZONE))
    assert told(blind) == ("False", "CatalogueUnknown", sentence)
    assert [one.name for one in blind.flavors] == ["small"], "what is known is told"
    again = account_status(standing(blind), facts(images=None, untold=NO_ZONE), {}, AccountStatus(), 2000.0)
    assert told(again) == ("False", "CatalogueUnknown", sentence)


def test_what_the_cloud_told_before_is_used_on() -> None:
    said = ("True", "CatalogueOutdated", f"{NO_ZONE}; what it told before is used")
    assert told(status(facts(untold=NO_ZONE))) == said
    first = account_status(
        standing(status(facts())), facts(sizes=None, images=None, untold=NO_ZONE), {}, AccountStatus(), 2000.0
    )
    assert told(first) == said, "to an agent before us"
    assert [one.name for one in first.flavors] == ["small"]
    empty = status(facts()).model_copy(update={"flavors": []})
    blind = account_status(standing(empty), facts(sizes=None, images=None, untold=NO_ZONE), {}, AccountStatus(), 2000.0)
    assert told(blind)[:2] == ("False", "CatalogueUnknown"), "Ready, and yet never told"


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
    assert status_patch(standing(now), now) is None
    without = now.model_copy(update={"used": None})
    assert status_patch(standing(now), without) == {"used": None}
