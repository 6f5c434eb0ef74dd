"""OpenStack's refusals as CloudErrors. Pure. Only the cloud's own code and message are passed on, parsed, bounded and
without anything that we sent in confidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from cloudherd.clouds.errors import not_from, scrubbed
from cloudherd.clouds.openstack_json import NotUnderstoodError, parse
from cloudherd.clouds.protocol import CloudError, ErrorKind

NOT_ACCEPTABLE = "NotAcceptable"
"""The code of a version of the API that the service does not speak."""

_QUOTA = re.compile(r"quota exceeded|exceeds? (the )?(allowed )?quota|maximum number of ports", re.IGNORECASE)
_QUOTA_OF_SIZE = re.compile(r"exceeded for (cores|ram)(, ?(cores|ram))*:", re.IGNORECASE)
_NO_ADDRESS = re.compile(r"no more ip addresses|no fixed ip addresses available", re.IGNORECASE)
_NOT_THERE = re.compile(
    r"\b(image|flavor)\b.{0,80}\b(could not be found|not found|does not exist)|can not find requested image",
    re.IGNORECASE,
)
_IN_STATE = re.compile(r"while it is in|is locked|in an invalid state", re.IGNORECASE)
_REPEATS = re.compile(r"Value: .*\. (?=\S)", re.DOTALL)


def refusal(status: int, body: bytes, secrets: Iterable[str] = ()) -> CloudError:
    """What an answer that is no success means. `secrets` are taken out of the message, should the cloud repeat them.

    An answer that no OpenStack service wrote (a proxy's HTML) is UNREACHABLE, whatever its status, but for 401 and 429,
    which the middleware before the services gives in plain text.
    """
    found = _error(body)
    if found is None:
        kind = {401: ErrorKind.DENIED, 429: ErrorKind.THROTTLED}.get(status, ErrorKind.UNREACHABLE)
        return CloudError(kind, f"HTTP{status}", "" if status in {401, 429} else not_from("OpenStack"))
    code, words = found if status != 406 else (NOT_ACCEPTABLE, found[1])
    kind = _kind(status, words)
    message = scrubbed(_REPEATS.sub("", words), secrets)
    return CloudError(kind, code, message, flavor_only=kind is ErrorKind.FULL and bool(_QUOTA_OF_SIZE.search(words)))


def lacked_room(fault: Mapping[str, Any]) -> bool:
    """Whether the fault of a server in ERROR tells of a lack of room: nova looks for a host, and for the last place of
    a quota, only after it has accepted a launch.
    """
    words = str(fault.get("message", ""))
    return "no valid host" in words.lower() or bool(_QUOTA.search(words) or _NO_ADDRESS.search(words))


def _error(body: bytes) -> tuple[str, str] | None:
    """Code and message. Each service has its own form: nova and keystone name the error by a key, neutron by a type,
    glance by nothing.
    """
    try:
        found = parse(body)
    except NotUnderstoodError:
        return None
    name, inner = next(iter(found.items()), ("", None))
    if "message" in found:
        name, inner = "", found
    if not isinstance(inner, dict) or not isinstance(inner.get("message"), str):
        return None
    title = inner.get("type") or (name if name not in {"", "error"} else "") or inner.get("title") or "Error"
    return "".join(str(title).split()), " ".join(re.sub(r"<br ?/?>", " ", inner["message"]).split())


def _kind(status: int, words: str) -> ErrorKind:
    if status < 500 and (_QUOTA.search(words) or _NO_ADDRESS.search(words)):
        return ErrorKind.FULL
    if status == 400 and _NOT_THERE.search(words):
        return ErrorKind.NOT_FOUND
    if status == 409 and _IN_STATE.search(words):
        return ErrorKind.BUSY
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ErrorKind.INVALID if 400 <= status < 500 else ErrorKind.UNREACHABLE


_BY_STATUS = {
    401: ErrorKind.DENIED,
    403: ErrorKind.DENIED,
    404: ErrorKind.NOT_FOUND,
    413: ErrorKind.THROTTLED,  # of nova's old rate limit; a quota's says so
    429: ErrorKind.THROTTLED,
}
