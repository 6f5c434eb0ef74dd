"""What a launch that brought no VM means: for its Instance, and for what the account remembers."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from cloudherd.agent.actions import Lost, Report
from cloudherd.agent.full import ACCOUNT, Key
from cloudherd.agent.identity import fingerprint
from cloudherd.api import Instance
from cloudherd.api.instance import CLOUD_FULL
from cloudherd.clouds.protocol import CloudError, ErrorKind


@dataclass(frozen=True, slots=True)
class Refusal:
    """A definite no. `key` is what it holds for, see full.Key."""

    key: Key
    reason: str
    message: str


def unanswered(error: CloudError, *, never_asked: bool) -> Report:
    """What is said of a launch that nobody answered; `never_asked`: no VM can come of it."""
    if never_asked:
        message = f"the cloud could not be asked to launch it: {error}"
        return Report(False, "NotAsked", message, phase="Pending", launched=False)
    return Report(
        False, "OutcomeUnknown", f"whether the cloud launched it is not known yet: {error}", launched="Unknown"
    )


def late_refusal(record: Instance, lost: Lost | Report) -> Refusal | None:
    """What it means for the account that a VM came to nothing; None where that says nothing of it."""
    return Refusal((record.spec.flavor, "", ""), lost.reason, lost.message) if lost.reason == CLOUD_FULL else None


def refusal_of(
    error: CloudError, record: Instance, flavors: Container[str] | None, images: Container[str] | None
) -> Refusal | None:
    """None where the error refuses nothing. `flavors` and `images` are what the cloud knows, None where that is not
    known.
    """
    flavor, image = record.spec.flavor, record.spec.image
    match error.kind:
        case ErrorKind.FULL:
            return Refusal((flavor, "", "") if error.flavor_only else ACCOUNT, CLOUD_FULL, str(error))
        case ErrorKind.INVALID:
            return Refusal(fingerprint(record.spec), "Invalid", str(error))
        case ErrorKind.NOT_FOUND if flavors is not None and flavor not in flavors:
            return Refusal((flavor, "", ""), "FlavorMissing", str(error))
        case ErrorKind.NOT_FOUND if images is not None and image in images:
            return Refusal(fingerprint(record.spec), "Invalid", str(error))
        case ErrorKind.NOT_FOUND:
            return Refusal((flavor, image, ""), "ImageMissing", str(error))
    return None
