"""EC2's refusals as CloudErrors. Pure. Only the cloud's own code and message are passed on, parsed, bounded and without
anything that we sent in confidence: never a client library's text, never a URL.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable

from cloudherd.clouds.ec2_xml import NotUnderstoodError, parse
from cloudherd.clouds.errors import not_from, scrubbed
from cloudherd.clouds.protocol import CloudError, ErrorKind

_FULL = frozenset({
    "InstanceLimitExceeded", "VcpuLimitExceeded", "ResourceLimitExceeded", "VolumeLimitExceeded",
    "NetworkInterfaceLimitExceeded", "AddressLimitExceeded", "InsufficientAddressCapacity",
    "InsufficientFreeAddressesInSubnet", "InsufficientVolumeCapacity",
})  # fmt: skip
# Spot has a quota and prices of its own: what stands in the way of one spot size fills neither the account nor others.
_FLAVOR_FULL = frozenset({
    "InsufficientInstanceCapacity", "InsufficientCapacity", "InsufficientHostCapacity", "InsufficientCapacityOnOutpost",
    "InsufficientReservedInstanceCapacity", "MaxSpotInstanceCountExceeded", "SpotMaxPriceTooLow",
})  # fmt: skip
_THROTTLED = frozenset({
    "RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled",
    "RequestThrottledException", "EC2ThrottledException", "BandwidthLimitExceeded", "SlowDown",
    "TooManyRequestsException",
})  # fmt: skip
_DENIED = frozenset({
    "AuthFailure", "UnauthorizedOperation", "InvalidClientTokenId", "SignatureDoesNotMatch", "OptInRequired",
    "PendingVerification", "Blocked", "AccessDenied", "AccessDeniedException", "ExpiredToken", "ExpiredTokenException",
    "RequestExpired", "IncompleteSignature", "InvalidAccessKeyId", "MissingAuthenticationToken",
    "UnrecognizedClientException", "Forbidden",
})  # fmt: skip
_PASSING = frozenset({
    "InternalError", "InternalFailure", "ServiceUnavailable", "Unavailable", "ConnectFailure", "RequestTimeout",
})  # fmt: skip
_UNFILLED = re.compile(r"%\(\w+\)[sd]")  # OpenStack's ec2-api leaves its own templates so
_BUSY = frozenset({"IncorrectInstanceState", "IncorrectState"})
_NOT_FOUND = frozenset({
    "InvalidInstanceID.NotFound", "NotFound", "InvalidInstanceType", "InvalidInstanceType.NotFound",
})  # fmt: skip


def refusal(status: int, body: bytes, secrets: Iterable[str] = ()) -> CloudError:
    """What an answer that is no success means. `secrets` are taken out of the message, should the cloud repeat them.

    An answer that EC2 did not write (plain text, HTML) is UNREACHABLE, whatever its status: it looks final and is not,
    as with OpenStack's ec2-api, which answers 400 in plain text while keystone is down.
    """
    found = _error_element(body)
    if found is None:
        kind = ErrorKind.THROTTLED if status == 429 else ErrorKind.UNREACHABLE
        return CloudError(kind, f"HTTP{status}", not_from("EC2"))
    code = " ".join(found.findtext("Code", "").split())[:64]
    words = _UNFILLED.sub("…", " ".join(found.findtext("Message", "").split()))
    kind = _kind(status, code.removeprefix("Server.").removeprefix("Client."), words)
    return CloudError(kind, code, scrubbed(words, secrets), flavor_only=_is_flavors(code))


def _error_element(body: bytes) -> ET.Element | None:
    try:
        root = parse(body)
    except NotUnderstoodError:
        return None
    return next((each for each in root.iter("Error") if each.findtext("Code", "").strip()), None)


def _is_flavors(code: str) -> bool:
    return code.removeprefix("Server.") in _FLAVOR_FULL


def _kind(status: int, code: str, words: str) -> ErrorKind:
    for kind, codes in _BY_CODE:
        if code in codes:
            return _despite_code(kind, code, words)
    if code.startswith("InvalidAMIID."):
        return ErrorKind.NOT_FOUND
    if status == 429:
        return ErrorKind.THROTTLED
    if status >= 500:
        return ErrorKind.UNREACHABLE
    return ErrorKind.DENIED if status in {401, 403} else ErrorKind.INVALID


_BY_CODE = (
    (ErrorKind.FULL, _FULL | _FLAVOR_FULL),
    (ErrorKind.THROTTLED, _THROTTLED),
    (ErrorKind.DENIED, _DENIED),
    (ErrorKind.UNREACHABLE, _PASSING),
    (ErrorKind.NOT_FOUND, _NOT_FOUND),
    (ErrorKind.BUSY, _BUSY),
)


def _despite_code(kind: ErrorKind, code: str, words: str) -> ErrorKind:
    """Two codes say that the credentials are refused, and sometimes mean something else."""
    if code == "Forbidden" and "quota exceeded" in words.lower():
        return ErrorKind.FULL  # OpenStack's ec2-api passes nova's answer on
    if code == "AuthFailure" and words.startswith("Not authorized for images"):
        return ErrorKind.NOT_FOUND  # another account's private image; the keys are good
    return kind
