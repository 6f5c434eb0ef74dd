"""What errors have in common at all clouds that are spoken to over HTTP. Pure."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from cloudherd.clouds.protocol import MESSAGE_LIMIT, CloudError, ErrorKind

_SHORTEST_SECRET = 8
"""Lines of user data shorter than this are in every message by chance."""
_LONG_CODE = re.compile(r"[A-Za-z0-9+/=_-]{48,}")


def scrubbed(words: str, secrets: Iterable[str]) -> str:
    """The cloud's words without secrets and encoded blobs (an encoded authorization failure, user data), bounded."""
    plain = {secret.strip() for secret in secrets}
    forms = {form(secret) for secret in plain - {""} for form in (str, quote, quote_plus, lambda each: quote(each, ""))}
    for form in sorted(forms, key=len, reverse=True):
        words = words.replace(form, "…")
    return _LONG_CODE.sub("…", words)[:MESSAGE_LIMIT]


def confidential(user_data: bytes) -> tuple[str, ...]:
    """What no message may repeat: the user data as they are sent, and each of their lines."""
    lines = (line.strip() for line in user_data.decode("utf-8", "replace").splitlines())
    return (b64encode(user_data).decode(), *(line for line in lines if len(line) >= _SHORTEST_SECRET))


def not_from(vendor: str) -> str:
    """What is said of an answer that some other program gave."""
    return f"the endpoint's answer is not {vendor}'s: check spec.endpoint, and whether the cloud is up"


def too_long(user_data: bytes, limit: str) -> CloudError:
    """`limit` says whose it is and how many bytes, as in "EC2 takes 16384"."""
    sentence = f"the user data has {len(user_data)} bytes, {limit}; shorten the context"
    return CloudError(ErrorKind.INVALID, "UserDataTooLong", sentence)


def never_sent(error: CloudError) -> CloudError:
    """The failure of what has to go before a creation."""
    return CloudError(error.kind, error.code, error.message, flavor_only=error.flavor_only, never_sent=True)


def of_creation(error: CloudError) -> CloudError:
    """The same failure of a creation: one that was sent and that nobody answered may have been carried out."""
    if error.kind is not ErrorKind.UNREACHABLE or error.never_sent:
        return error
    return CloudError(ErrorKind.UNKNOWN, error.code, error.message)
