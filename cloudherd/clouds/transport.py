"""HTTP as libcloud sends it, made safe: no redirects, no second try, answers as they came, failures in our words.

Libcloud's own response classes raise exceptions that hold bodies and URLs; nothing of those may reach a message.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from libcloud.http import LibcloudConnection

from cloudherd.clouds.protocol import CloudError, ErrorKind
from cloudherd.clouds.trust import disbelief


class Transport(LibcloudConnection):  # type: ignore[misc]
    def __init__(self, host: str, port: int, secure: bool, **settings: Any) -> None:
        super().__init__(host, port, secure=secure, **settings)
        self.host = f"{'https' if secure else 'http'}://{host}:{port}"  # libcloud takes port 443 for https, always
        self.session.auth = lambda request: request  # or a .netrc's would replace ours

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **_: Any) -> None:
        self.response = self.session.request(
            method,
            self.host + url,
            data=body,
            headers=headers,
            allow_redirects=False,  # libcloud would carry user data wherever it is told to
            verify=self.verification,
            timeout=self.session.timeout,
            stream=True,  # the body is read by `whole`
        )


class Answer:
    """The answer as it came; libcloud's own class raises exceptions that hold it."""

    def __init__(self, response: requests.Response, **_: object) -> None:
        self.status: int = response.status_code
        self.headers = response.headers
        self.body = whole(response)


LONGEST_ANSWER = 64 * 2**20
"""Bytes: ten times what a cloud has to say of ten thousand VMs. The memory is all accounts' together."""


class AnswerTooLongError(OSError):
    """Most likely it has no end."""


def whole(response: requests.Response) -> bytes:
    """The body of an answer that is read as it comes; AnswerTooLongError in place of more than `LONGEST_ANSWER`."""
    body = bytearray()
    with response:
        for part in response.iter_content(2**16):
            body += part
            if len(body) > LONGEST_ANSWER:
                raise AnswerTooLongError
    return bytes(body)


@dataclass(frozen=True)
class Endpoint:
    """`host` as it stands in a URL, an IPv6 address in brackets."""

    host: str
    port: int
    secure: bool
    path: str


def endpoint(url: str) -> Endpoint:
    """What spec.endpoint says; CloudError(INVALID) where that is no plain URL."""
    try:
        parts = urlsplit(url)
        host, port, secure = parts.hostname or "", parts.port, parts.scheme == "https"
    except ValueError:
        host, port, secure, parts = "", None, False, urlsplit("")
    if not host or parts.scheme not in {"http", "https"} or parts.username or parts.query or parts.fragment:
        sentence = "spec.endpoint: must be http[s]://host[:port][/path] and nothing more"
        raise CloudError(ErrorKind.INVALID, "InvalidSettings", sentence)
    return Endpoint(f"[{host}]" if ":" in host else host, port or (443 if secure else 80), secure, parts.path or "/")


_NEVER_SENT = frozenset({"NameNotResolved", "ConnectionRefused", "NotConnected"})
_CAUSES: tuple[tuple[type[BaseException], str, str], ...] = (
    (urllib3.exceptions.NameResolutionError, "NameNotResolved", "the endpoint's name cannot be resolved"),
    (AnswerTooLongError, "AnswerTooLong", "the endpoint's answer is too long to be a cloud's: check spec.endpoint"),
    (ConnectionRefusedError, "ConnectionRefused", "the endpoint refuses connections"),
    (urllib3.exceptions.NewConnectionError, "NotConnected", "the endpoint cannot be connected to"),
    (urllib3.exceptions.ConnectTimeoutError, "NotConnected", "the endpoint cannot be connected to in time"),
    (
        requests.exceptions.SSLError,
        "TlsFailed",
        "no TLS connection was possible: is it http:// that the endpoint speaks?",
    ),
    (requests.exceptions.Timeout, "NoAnswerInTime", "the endpoint did not answer in time"),
)


def no_answer(raised: BaseException) -> CloudError:
    """What it means that there is no answer, told by what the library raised and with none of its words."""
    causes = list(_chain(raised))
    refused = next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if refused:
        return disbelief(refused, _host(raised))
    for kind, code, message in _CAUSES:
        if any(isinstance(cause, kind) for cause in causes):
            return CloudError(ErrorKind.UNREACHABLE, code, message, never_sent=code in _NEVER_SENT)
    return CloudError(ErrorKind.UNREACHABLE, "ConnectionBroken", "the connection broke before the answer was there")


def _host(raised: BaseException) -> str:
    """Whom requests was to ask: at OpenStack, the catalogue leads to other hosts than the endpoint's."""
    request = getattr(raised, "request", None)
    return urlsplit(getattr(request, "url", None) or "").hostname or "the endpoint"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what is wrapped in it: requests keeps it as first argument, urllib3 in `reason`."""
    while error is not None:
        yield error
        inner = [getattr(error, "reason", None), *error.args[:1], error.__cause__, error.__context__]
        error = next((each for each in inner if isinstance(each, BaseException)), None)
