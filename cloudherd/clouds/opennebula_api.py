"""Calls to OpenNebula's XML-RPC API: pyone speaks it and binds the answers, over a transport of our own.

pyone's time-out does nothing, it follows redirects, which would carry the password wherever they lead, and it obeys
.netrc files. Nothing is ever sent twice here, and no connection is used twice: one that the server has closed meanwhile
would leave open what became of a launch.
"""

from __future__ import annotations

import xmlrpc.client
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, TypeVar
from xml.parsers.expat import ExpatError

import pyone
import requests
import urllib3.exceptions

from cloudherd.clouds.errors import not_from
from cloudherd.clouds.opennebula_errors import refusal
from cloudherd.clouds.opennebula_models import OpenNebulaCredentials, OpenNebulaOptions
from cloudherd.clouds.protocol import CloudError, Connection, ErrorKind
from cloudherd.clouds.transport import endpoint, no_answer, whole
from cloudherd.clouds.trust import Trust

T = TypeVar("T")

_NOT_BOUND = (xmlrpc.client.Error, ExpatError, SyntaxError, LookupError, TypeError, ValueError, AttributeError)
"""What pyone and what is under it raise where an answer is not OpenNebula's."""


class NotUnderstoodError(CloudError):
    """What came is not OpenNebula's answer. Holds nothing of it."""

    def __init__(self) -> None:
        super().__init__(ErrorKind.UNREACHABLE, "NotUnderstood", not_from("OpenNebula"))


def understood(read: Callable[[], T]) -> T:
    """What `read` makes of an answer, which may lack what it should hold."""
    try:
        return read()
    except (LookupError, TypeError, ValueError, AttributeError):
        raise NotUnderstoodError from None


class _HttpError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Transport(pyone.RequestsTransport):  # type: ignore[misc]
    def __init__(self, url: str, timeout: float, trust: Trust) -> None:
        super().__init__()
        self._url = url
        self._timeout = timeout
        self._trust = trust

    def request(self, host: str, handler: str, request_body: bytes, verbose: bool = False) -> Any:  # noqa: ARG002
        with requests.Session() as session:
            session.mount("https://", self._trust)
            session.auth = lambda request: request
            response = session.post(
                self._url,
                data=request_body,
                headers={"Content-Type": "text/xml", "Connection": "close"},
                allow_redirects=False,
                timeout=self._timeout,
                stream=True,
            )
            body = whole(response)
        if response.status_code != HTTPStatus.OK:
            raise _HttpError(response.status_code)
        parser, found = self.getparser()
        parser.feed(body)
        parser.close()
        return found.close()


class _Server(pyone.OneServer):  # type: ignore[misc]
    """pyone's, but for its transport."""

    def __init__(self, url: str, session: str, timeout: float, trust: Trust) -> None:
        super().__init__(url, session)
        self._ServerProxy__transport = _Transport(url, timeout, trust)


class OpenNebulaApi:
    """One user of one OpenNebula. Every failure is a CloudError."""

    def __init__(self, connection: Connection, credentials: OpenNebulaCredentials, options: OpenNebulaOptions) -> None:
        if not connection.endpoint:
            sentence = "spec.endpoint is required for the provider opennebula, like https://one.example.org:2633/RPC2"
            raise CloudError(ErrorKind.INVALID, "InvalidSettings", sentence)
        at = endpoint(connection.endpoint)
        path = "/RPC2" if at.path == "/" else at.path
        url = f"{'https' if at.secure else 'http'}://{at.host}:{at.port}{path}"
        session = f"{credentials.username}:{credentials.password}"
        self._secrets = (session, credentials.password)
        self._server = _Server(url, session, options.timeout_seconds, Trust(credentials.ca_bundle))

    def call(self, method: str, *arguments: Any, confidential: Iterable[str] = ()) -> int:
        """The number of what it made or changed. `confidential` is taken out of refusals, should oned repeat it."""
        answer = self._sent(method, arguments, confidential)
        if not isinstance(answer, int):
            raise NotUnderstoodError
        return answer

    def read(self, method: str, root: str, *arguments: Any) -> Any:
        """The answer as pyone binds it: an object whose attributes are named like the elements of `root`."""
        answer = self._sent(method, arguments)
        if type(answer).__name__ != f"{root}Sub":  # pyone binds any XML to something
            raise NotUnderstoodError
        return answer

    def _sent(self, method: str, arguments: tuple[Any, ...], confidential: Iterable[str] = ()) -> Any:
        answer = self._answer(method, arguments, (*self._secrets, *confidential))
        if isinstance(answer, CloudError):
            raise answer
        return answer

    def _answer(self, method: str, arguments: tuple[Any, ...], secrets: Iterable[str]) -> Any:
        """Returns its error, for one that is raised would carry the library's exception, which holds the request."""
        try:
            return getattr(self._server, method)(*arguments)
        except pyone.OneException as raised:
            return refusal(raised, method, secrets)
        except _HttpError as raised:
            code = f"HTTP{raised.status}"
            return CloudError(ErrorKind.UNREACHABLE, code, not_from("OpenNebula"))
        except (OSError, urllib3.exceptions.HTTPError) as raised:  # requests' own are OSErrors
            return no_answer(raised)
        except _NOT_BOUND:
            return NotUnderstoodError()
