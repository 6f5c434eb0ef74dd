"""Whom a driver's HTTPS connections believe: the public CAs, or those in the file that SSL_CERT_FILE names, and the CAs
in `caBundle` of the account's Secret.

Each driver has its own TLS context, made in memory: no two accounts share trust, no two threads a context (urllib3
writes to it at each connection), and nothing is put on a disk. There is no way to believe just anybody.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from functools import cached_property
from typing import Any

import certifi
import requests
from libcloud.common.base import Connection, LibcloudConnection
from requests.adapters import HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context

from cloudherd.clouds.protocol import CloudError, ErrorKind


class Trust(HTTPAdapter):
    """Carries the HTTPS requests of one driver. `ca_bundle` as `Credentials` holds it."""

    def __init__(self, ca_bundle: str | None) -> None:
        super().__init__()
        self._ca_bundle = ca_bundle

    @cached_property
    def _context(self) -> ssl.SSLContext:
        """Made with the first connection: many accounts in tests and on campus speak plain HTTP, and it takes time."""
        context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
        context.load_verify_locations(cafile=os.environ.get("SSL_CERT_FILE") or certifi.where())
        if self._ca_bundle is not None:
            context.load_verify_locations(cadata=self._ca_bundle)
        # RFC 5280 to the letter (the default of Python 3.13) refuses the certificates of many private CAs; and who has
        # put a server's own certificate, or its CA's that another one signed, into the bundle believes it.
        context.verify_flags = context.verify_flags & ~ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, *_: object, **__: object
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        host, tls = super().build_connection_pool_key_attributes(request, verify=True)
        return host, {**tls, "ssl_context": self._context}

    def cert_verify(self, *_: object, **__: object) -> None:
        """Nothing is added to what the context believes, and nothing taken away: not by REQUESTS_CA_BUNDLE either."""


def carries(trust: Trust, connection: object) -> bool:
    """Has a connection of libcloud's carry all its HTTPS requests by `trust`; whether it is one that can. Those that
    log in by certificates of their own cannot.
    """
    if not isinstance(connection, Connection) or hasattr(connection, "cert_file"):
        return False
    make: Callable[..., LibcloudConnection] = connection.conn_class

    def made(*arguments: Any, **settings: Any) -> LibcloudConnection:
        new = make(*arguments, **settings)
        new.session.mount("https://", trust)
        return new

    connection.conn_class = made
    if connection.connection is not None:
        connection.connection.session.mount("https://", trust)
    return True


_NOT_TRUSTED, _ANOTHER_HOST = "CertificateNotTrusted", "CertificateForAnotherHost"
_CODES = {
    **dict.fromkeys((2, 18, 19, 20, 21), _NOT_TRUSTED),
    **dict.fromkeys((62, 64), _ANOTHER_HOST),
    9: "CertificateNotYetValid",
    10: "CertificateExpired",
}
"""By OpenSSL's X509_V_ERR_ numbers."""
_WORDS = {
    _NOT_TRUSTED: "is signed by itself or by a CA that is not trusted: put the CA's certificate, in PEM, as caBundle "
    "into the Secret that spec.credentialsRef names",
    _ANOTHER_HOST: "is for other names: spec.endpoint, and at OpenStack the catalogue, must use one of these",
    "CertificateNotYetValid": "or its CA's is not valid yet: one of the clocks, here or there, is wrong",
    "CertificateExpired": "or its CA's has expired: it must be renewed there",
}


def disbelief(refused: ssl.SSLCertVerificationError, host: str) -> CloudError:
    """Why a certificate is not believed, and the way out. It is seen before anything is sent."""
    code = _CODES.get(refused.verify_code, "CertificateInvalid")
    sentence = f"the certificate of {host} {_WORDS.get(code, 'is not valid')}"
    return CloudError(ErrorKind.UNREACHABLE, code, sentence, never_sent=True)
