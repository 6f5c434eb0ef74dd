from __future__ import annotations

import pytest

from cloudherd.agent.full import Key
from cloudherd.agent.identity import fingerprint
from cloudherd.agent.refusal import refusal_of
from cloudherd.clouds.protocol import CloudError, ErrorKind
from tests.unit.agent.facts import record

FLAVORS, IMAGES = {"sim.small"}, {"sim-debian-12"}


def error(kind: ErrorKind, *, flavor_only: bool = False) -> CloudError:
    return CloudError(kind, "Code", "the cloud's words", flavor_only=flavor_only)


@pytest.mark.parametrize(
    ("raised", "key", "reason"),
    [
        (error(ErrorKind.FULL), ("", "", ""), "CloudFull"),
        (error(ErrorKind.FULL, flavor_only=True), ("sim.small", "", ""), "CloudFull"),
        (error(ErrorKind.INVALID), fingerprint(record().spec), "Invalid"),
    ],
)
def test_a_definite_no_holds_for_what_it_speaks_of(raised: CloudError, key: Key, reason: str) -> None:
    refusal = refusal_of(raised, record(), FLAVORS, IMAGES)
    assert refusal is not None
    assert (refusal.key, refusal.reason, refusal.message) == (key, reason, "Code: the cloud's words")


def test_what_was_not_found_is_what_the_cloud_does_not_know() -> None:
    missing = error(ErrorKind.NOT_FOUND)
    reasons = [
        refusal_of(missing, record(), set(), IMAGES),
        refusal_of(missing, record(), FLAVORS, set()),
        refusal_of(missing, record(), None, None),
        refusal_of(missing, record(), FLAVORS, IMAGES),
    ]
    assert [one and one.reason for one in reasons] == ["FlavorMissing", "ImageMissing", "ImageMissing", "Invalid"]


@pytest.mark.parametrize("kind", [ErrorKind.UNKNOWN, ErrorKind.UNREACHABLE, ErrorKind.THROTTLED, ErrorKind.DENIED])
def test_all_else_refuses_nothing(kind: ErrorKind) -> None:
    assert refusal_of(error(kind), record(), FLAVORS, IMAGES) is None
