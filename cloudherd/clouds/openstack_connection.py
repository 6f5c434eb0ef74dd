"""Calls to nova, glance and neutron: apache-libcloud's connections carry them, our own code reads the answers.

Libcloud's reading is not used: it gives the first page of a listing for the whole, reads a server by GET after each
launch, so that a lost answer loses its ID, and puts bodies into its exceptions. A call is sent twice only where the
first was refused for its token. One object belongs to one thread.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import urllib3.exceptions
from libcloud.common.base import ConnectionUserAndKey
from libcloud.common.openstack import OpenStackBaseConnection

from cloudherd.clouds.errors import never_sent
from cloudherd.clouds.openstack_errors import NOT_ACCEPTABLE, refusal
from cloudherd.clouds.openstack_identity import Identity, parts_of
from cloudherd.clouds.openstack_json import Json, field, items, next_marker, parse
from cloudherd.clouds.openstack_models import OpenStackCredentials, OpenStackOptions
from cloudherd.clouds.protocol import CloudError, Connection, ErrorKind
from cloudherd.clouds.transport import Answer, Transport, no_answer
from cloudherd.clouds.trust import Trust, carries

T = TypeVar("T")
_TELLS_OF_DOWN_CELLS = "2.69"
_PASSES = 4
_VERSIONED = {"image": "/v2", "network": "/v2.0"}  # which some catalogues end in, and others leave out
_JSON = "application/json"


class _Service(OpenStackBaseConnection):  # type: ignore[misc]
    """One type of service in the account's region, by the token of an identity that several share."""

    responseCls = Answer  # noqa: N815 - libcloud's name
    conn_class = Transport
    accept_format = _JSON

    def __init__(self, identity: Identity, service: str, timeout: float) -> None:
        super().__init__("", "", timeout=timeout, ex_force_auth_url=identity.auth_url)
        self._osa = identity
        self.service_type = service

    def _tuple_from_url(self, url: str) -> tuple[str, int, bool, str]:
        return parts_of(url)

    def encode_data(self, data: Any) -> str:
        return json.dumps(data)

    def _populate_hosts_and_request_paths(self) -> None:
        if not self._osa.is_token_valid():
            self._osa.authenticate()
        self.auth_token = self._osa.auth_token
        version = _VERSIONED.get(self.service_type, "")
        self._set_up_connection_info(self._osa.url_of(self.service_type).rstrip("/").removesuffix(version) + version)

    def send(self, method: str, path: str, query: Mapping[str, Any], body: Any, microversion: str) -> Answer:
        headers = {"OpenStack-API-Version": f"compute {microversion}"} if microversion else {}
        if body is not None:
            headers["Content-Type"] = _JSON
        answer: Answer = ConnectionUserAndKey.request(
            self, path, params=query, data=body, headers=headers, method=method, retry_failed=False
        )
        return answer


class OpenStackApi:
    """One project in one region. Every failure is a CloudError."""

    def __init__(self, connection: Connection, credentials: OpenStackCredentials, options: OpenStackOptions) -> None:
        for name in ("endpoint", "region"):
            if not getattr(connection, name):
                sentence = f"spec.{name} is required for the provider openstack"
                raise CloudError(ErrorKind.INVALID, "InvalidSettings", sentence)
        self._secrets = credentials.secrets
        self._identity = Identity(connection.endpoint, credentials, connection.region, options.timeout_seconds)
        self._services = {
            service: _Service(self._identity, service, options.timeout_seconds)
            for service in ("compute", "image", "network")
        }
        trust = Trust(credentials.ca_bundle)
        for each in (self._identity, *self._services.values()):
            carries(trust, each)
        self._microversion = _TELLS_OF_DOWN_CELLS

    @property
    def project(self) -> str:
        """The project's ID, once anything was asked."""
        return str(self._identity.project)

    def ready(self) -> None:
        """Sees to a token that is valid now. Nothing else was sent where that fails."""
        failed = self._attempt(self._services["compute"]._populate_hosts_and_request_paths)
        if isinstance(failed, CloudError):
            raise never_sent(failed)

    def call(
        self,
        method: str,
        service: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        *,
        confidential: Iterable[str] = (),
        microversion: str = "",
    ) -> Json:
        """The answer's JSON, empty where it has no body. What is `confidential` is taken out of error messages."""
        self.ready()

        def send() -> Answer:
            return self._services[service].send(method, path, query or {}, body, microversion)

        answer = self._attempt(send)
        if isinstance(answer, Answer) and answer.status == 401:  # the token ended early
            self._identity.clear_cached_auth_context()
            self.ready()
            answer = self._attempt(send)
        if isinstance(answer, CloudError):
            raise answer
        if not 200 <= answer.status < 300:
            raise refusal(answer.status, answer.body, (*self._secrets, *confidential))
        return {} if method != "GET" and not answer.body else parse(answer.body)

    @staticmethod
    def _attempt(send: Callable[[], T]) -> T | CloudError:
        """Returns its error, for one that is raised would carry the library's exception, which holds the request."""
        try:
            return send()
        except CloudError as error:
            return error
        except (OSError, urllib3.exceptions.HTTPError, ValueError) as raised:  # requests' own are OSErrors
            return no_answer(raised)

    def servers(self, path: str, query: Mapping[str, Any] | None = None) -> Json:
        """An answer about servers. Newer novas say which ones they cannot tell of; older ones leave those out."""
        try:
            return self.call("GET", "compute", path, query, microversion=self._microversion)
        except CloudError as error:
            if not (self._microversion and error.code == NOT_ACCEPTABLE):
                raise
        self._microversion = ""
        return self.call("GET", "compute", path, query)

    def items(self, service: str, path: str, name: str, query: Mapping[str, Any] | None = None) -> list[Json]:
        """The items of the list `name`, from all pages; an error where any page is missing."""
        pages = _pages(lambda page: self.call("GET", service, path, {**(query or {}), **page}), name)
        return [item for page in pages for item in page]

    def all_servers(self) -> tuple[list[Json], bool]:
        """All servers, and whether none is missing for certain.

        Nova lists those without a host before all others. Where the last one on a page gets its host before the next
        page is asked for, nova leaves out the rest of them. Then what it lists is believed once it does so twice.
        """
        servers: list[Json] = []
        before: set[str] = set()
        for _ in range(_PASSES):
            pages = list(_pages(lambda page: self.servers("/servers/detail", page), "servers"))
            servers = [server for page in pages for server in page]
            now = {field(server, "id", str) for server in servers}
            if now == before or all(page[-1].get("status") != "BUILD" for page in pages[:-1]):
                return servers, True
            before = now
        return servers, False


def _pages(ask: Callable[[dict[str, str]], Json], name: str) -> Iterator[list[Json]]:
    seen: set[str] = set()
    marker = ""
    while True:
        answer = ask({"marker": marker} if marker else {})
        yield items(answer, name)
        marker = next_marker(answer, name)
        if not marker:
            return
        if marker in seen:
            raise CloudError(ErrorKind.UNREACHABLE, "PagesRepeat", f"the list of {name} has the same page twice")
        seen.add(marker)
