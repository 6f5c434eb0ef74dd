"""OpenNebula's refusals as CloudErrors. Pure. Only oned's own words are passed on, bounded and without our secrets.

Its error classes are coarse: one of them stands for quotas, missing rights and locked VMs, and what pyone raises
without a class of its own can be anything. So the words decide, which are the same from 5.8 to 7.5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pyone import (
    OneActionException,
    OneAuthenticationException,
    OneAuthorizationException,
    OneException,
    OneInternalException,
    OneNoExistsException,
)

from cloudherd.clouds.errors import scrubbed
from cloudherd.clouds.protocol import CloudError, ErrorKind

_ORIGIN = re.compile(r"^\[[\w.]+\] ")
_QUOTA = re.compile(r"limit of .* reached for (?P<what>.+) quota")
_OF_THE_ACCOUNT = re.compile(r"VMS$|NETWORK|LEASES")  # the others are cores, memory, disks: a smaller VM may still fit
_NO_IMAGE = re.compile(r"does not own an image with name|Image with ID: \d+ +does not exist")


Meaning = tuple[ErrorKind, str]


def refusal(raised: OneException, method: str, secrets: Iterable[str] = ()) -> CloudError:
    """What a refusal of `method` means. `secrets` are taken out of its words, should oned repeat them."""
    words = _ORIGIN.sub("", " ".join(str(raised).split()))
    quota = _QUOTA.search(words)
    if quota and isinstance(raised, OneAuthorizationException):
        flavor_only = not _OF_THE_ACCOUNT.search(quota["what"])
        return CloudError(ErrorKind.FULL, "QuotaExceeded", scrubbed(words, secrets), flavor_only=flavor_only)
    kind, code = _by_class(raised, words, method) or _by_words(words)
    return CloudError(kind, code, scrubbed(words, secrets))


def _by_class(raised: OneException, words: str, method: str) -> Meaning | None:
    match raised:
        case OneAuthenticationException():
            return ErrorKind.DENIED, "AuthenticationFailed"
        case OneAuthorizationException():  # of an action: this VM's lock or owner, which concerns no other one
            return (ErrorKind.INVALID if method == "vm.action" else ErrorKind.DENIED), "NotAuthorized"
        case OneNoExistsException():
            return ErrorKind.NOT_FOUND, "NoExists"
        case OneActionException():
            return ErrorKind.BUSY, "WrongState"
        case OneInternalException() if "Parse error" not in words:
            return ErrorKind.UNREACHABLE, "InternalError"
    return None


def _by_words(words: str) -> Meaning:
    if "Cannot get IP/MAC lease" in words:
        return ErrorKind.FULL, "NoFreeAddress"
    if _NO_IMAGE.search(words):
        return ErrorKind.NOT_FOUND, "ImageNotFound"
    return ErrorKind.INVALID, "Refused"
