"""What libcloud's drivers raise, as CloudErrors. Pure. None of their words go on: they may hold user data."""

from __future__ import annotations

import re

import urllib3.exceptions
from libcloud.common.exceptions import BaseHTTPError, RateLimitReachedError
from libcloud.common.types import InvalidCredsError, LibcloudError, MalformedResponseError, ProviderError

from cloudherd.clouds.protocol import CloudError, ErrorKind
from cloudherd.clouds.transport import no_answer

_ROOM = re.compile(
    r"quota|limit (has been )?(reached|exceeded)|exceed|insufficient|capacity|out of stock", re.IGNORECASE
)
_NOT_FOUND = 404
_STATUSES = {401: ErrorKind.DENIED, 403: ErrorKind.DENIED, _NOT_FOUND: ErrorKind.NOT_FOUND, 429: ErrorKind.THROTTLED}


def failure(raised: BaseException) -> CloudError:
    """What it means. A refusal for lack of room is told by its words, which differ from cloud to cloud."""
    status = _status(raised)
    if status is not None:
        return _of_status(status, str(raised))
    if isinstance(raised, RateLimitReachedError):
        return CloudError(ErrorKind.THROTTLED, "RateLimitReached", "the cloud says that it is called too often")
    if isinstance(raised, MalformedResponseError):
        return CloudError(ErrorKind.UNREACHABLE, "NotUnderstood", "libcloud's driver does not understand the answer")
    if isinstance(raised, (OSError, urllib3.exceptions.HTTPError)) and not isinstance(raised, LibcloudError):
        return no_answer(raised)
    return CloudError(ErrorKind.UNREACHABLE, type(raised).__name__, "libcloud's driver failed")


def _status(raised: BaseException) -> int | None:
    if isinstance(raised, InvalidCredsError):
        return 401
    found: object = None
    if isinstance(raised, BaseHTTPError) and not isinstance(raised, RateLimitReachedError):
        found = raised.code
    elif isinstance(raised, ProviderError):
        found = raised.http_code
    return found if isinstance(found, int) else None


def _of_status(status: int, words: str) -> CloudError:
    code = f"HTTP{status}"
    if status >= 400 and status not in (401, 404, 429) and _ROOM.search(words):
        return CloudError(ErrorKind.FULL, code, "the cloud has no room, or a limit of the account is reached")
    otherwise = ErrorKind.UNREACHABLE if status >= 500 else ErrorKind.INVALID
    return CloudError(_STATUSES.get(status, otherwise), code, f"the cloud refused it with HTTP status {status}")
