"""CloudStack's refusals as CloudErrors, by the error codes of its API. Pure. Only its own parsed words go on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from cloudherd.clouds.errors import scrubbed
from cloudherd.clouds.protocol import CloudError, ErrorKind

_KINDS = {
    401: ErrorKind.DENIED,
    405: ErrorKind.INVALID,
    429: ErrorKind.THROTTLED,  # API_LIMIT_EXCEED
    430: ErrorKind.INVALID,  # MALFORMED_PARAMETER_ERROR
    431: ErrorKind.INVALID,  # PARAM_ERROR
    432: ErrorKind.INVALID,  # UNSUPPORTED_ACTION_ERROR
    511: ErrorKind.DENIED,  # UNAUTHORIZED2FA
    530: ErrorKind.UNREACHABLE,  # INTERNAL_ERROR
    531: ErrorKind.INVALID,  # ACCOUNT_ERROR: not allowed to use this resource, or this command
    532: ErrorKind.FULL,  # ACCOUNT_RESOURCE_LIMIT_ERROR
    533: ErrorKind.FULL,  # INSUFFICIENT_CAPACITY_ERROR
    534: ErrorKind.FULL,  # RESOURCE_UNAVAILABLE_ERROR: what it would need is down
    535: ErrorKind.FULL,  # RESOURCE_ALLOCATION_ERROR: a limit of the account's, domain's or project's
    536: ErrorKind.BUSY,  # RESOURCE_IN_USE_ERROR
    537: ErrorKind.INVALID,  # NETWORK_RULE_CONFLICT_ERROR
}
_ABSENT = re.compile(r"entity does not exist|Unable to find|does not exist", re.IGNORECASE)
_OF_SOME_SIZES = re.compile(r"[Tt]ype = ?'?(cpu|memory|primary_storage)")  # a limit that a smaller VM may still meet
_ADDRESSES = re.compile(r"\bIP\b|address", re.IGNORECASE)


def refusal(status: int, found: Mapping[str, Any], command: str, secrets: Iterable[str] = ()) -> CloudError:
    """What an answer with an `errortext` means, of a call or of an asynchronous job."""
    number = _number(found.get("errorcode"), status)
    words = " ".join(str(found.get("errortext", "")).split())
    kind = _KINDS.get(number, ErrorKind.UNREACHABLE if number >= 500 else ErrorKind.INVALID)
    if kind is ErrorKind.INVALID and number in (430, 431) and _ABSENT.search(words):
        kind = ErrorKind.NOT_FOUND
    if number == 531 and command.startswith("list"):
        kind = ErrorKind.DENIED
    return CloudError(kind, f"CloudStack{number}", scrubbed(words, secrets), flavor_only=_is_flavors(number, words))


def _number(code: object, status: int) -> int:
    return code if isinstance(code, int) else status


def _is_flavors(number: int, words: str) -> bool:
    """Hosts may lack room for this size only; limits, addresses and outages concern every size."""
    if number == 533:
        return not _ADDRESSES.search(words)
    return number in (532, 535) and bool(_OF_SOME_SIZES.search(words))
