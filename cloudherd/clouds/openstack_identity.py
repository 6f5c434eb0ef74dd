"""Tokens: apache-libcloud's keystone client asks for them, keeps them and knows when they end.

Ours is what is asked for (libcloud knows projects by their domain's ID only) and what a refusal means (libcloud's
exceptions hold the answer). Whatever fails here, nothing of the call that needed the token was sent.
"""

from __future__ import annotations

from typing import Any

from libcloud.common.openstack_identity import (
    OpenStackIdentity_3_0_Connection,
    OpenStackIdentityTokenScope,
    OpenStackServiceCatalog,
)
from libcloud.common.types import LibcloudError

from cloudherd.clouds.openstack_errors import refusal
from cloudherd.clouds.openstack_json import NotUnderstoodError, field, parse
from cloudherd.clouds.openstack_models import OpenStackCredentials
from cloudherd.clouds.protocol import CloudError, ErrorKind
from cloudherd.clouds.transport import Answer, Transport, endpoint


def parts_of(url: str) -> tuple[str, int, bool, str]:
    """Host, port, whether TLS, and path: libcloud's own cannot read an IPv6 address."""
    found = endpoint(url)
    return found.host, found.port, found.secure, found.path.rstrip("/")


class Identity(OpenStackIdentity_3_0_Connection):  # type: ignore[misc]
    """`region` has to be one of the catalogue's. Belongs to one thread."""

    responseCls = Answer  # noqa: N815 - libcloud's name
    conn_class = Transport

    def __init__(self, url: str, credentials: OpenStackCredentials, region: str, timeout: float) -> None:
        root = url.rstrip("/").removesuffix("/v3")
        unscoped = OpenStackIdentityTokenScope.UNSCOPED  # the scope is in what we send ourselves
        super().__init__(root, "", "", token_scope=unscoped, timeout=timeout)
        self._auth = credentials.auth()
        self._secrets = credentials.secrets
        self._region = region
        self.project = ""
        self.catalog = OpenStackServiceCatalog([], "3.x")

    def _tuple_from_url(self, url: str) -> tuple[str, int, bool, str]:
        return parts_of(url)

    def _get_auth_data(self) -> dict[str, Any]:
        return self._auth

    def request(self, action: str, **settings: Any) -> Answer:
        answer: Answer = super().request(action, **{**settings, "retry_failed": False})
        return answer

    def _parse_token_response(self, response: Answer, **settings: Any) -> None:
        if response.status not in {200, 201}:
            raise self._refusal(response)
        try:
            super()._parse_token_response(response, **settings)
            project = field(field(parse(response.body), "token", dict), "project", dict)
            self.catalog = OpenStackServiceCatalog(self.urls or [], "3.x")
        except (LibcloudError, KeyError, TypeError, ValueError):
            raise NotUnderstoodError from None
        self.project = field(project, "id", str)

    def _refusal(self, response: Answer) -> CloudError:
        error = refusal(response.status, response.body, self._secrets)
        if error.kind is ErrorKind.NOT_FOUND:
            return CloudError(ErrorKind.UNREACHABLE, error.code, "no keystone of version 3 answers at spec.endpoint")
        return error

    def url_of(self, service: str) -> str:
        """The public endpoint of a type of service in our region."""
        try:
            return str(self.catalog.get_endpoint(service_type=service, region=self._region).url)
        except ValueError:
            raise _invalid(f"spec.region: {self._region} has several {service} services") from None
        except LibcloudError:
            known = ", ".join(self.catalog.get_regions(service)) or "none"
            sentence = (
                f"spec.region: the cloud has no {service} service in {self._region}; regions that have one: {known}"
            )
            raise _invalid(sentence) from None


def _invalid(sentence: str) -> CloudError:
    return CloudError(ErrorKind.INVALID, "InvalidSettings", sentence)
