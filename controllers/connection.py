"""One pool of HTTP connections to the API server, shared by all field managers: login, limits, errors.

Bodies are bytes and plain JSON; nothing that was sent or received ever reaches a log or an error,
but for the server's own message about a refused call.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.config.config_exception import ConfigException
from pydantic_core import from_json, to_json

from cloudherd.runtime.ports import ApiError, Object
from controllers.kubeconfig import KubeconfigError, load_configuration

CONCURRENT_CALLS = 20
"""More make nothing faster: the API server is the floor. Watches are not counted."""
_MESSAGE_LIMIT = 1000
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotServed",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    429: "TooManyRequests",
}
_WORDS = {404: "the server does not know this kind of object (404): are the CRDs installed?"}


class Connection:
    """Made by `connect`, closed by `close`."""

    def __init__(self, configuration: Any, kubeconfig: str = "") -> None:
        self._configuration = configuration
        self._kubeconfig = kubeconfig
        # No trust_env: it looks for proxies and .netrc in threads, twice per call, which is twice the CPU.
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=_trust(configuration)))
        self._proxy: str | None = configuration.proxy or _proxy_of(configuration.host)
        self._login = asyncio.Lock()
        self.slots = asyncio.Semaphore(CONCURRENT_CALLS)

    async def close(self) -> None:
        await self._session.close()

    @asynccontextmanager
    async def request(
        self,
        method: str,
        target: str,
        *,
        headers: dict[str, str],
        limits: aiohttp.ClientTimeout,
        body: Object | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response with a 2xx status, its body unread. `target` is path and query.

        ApiError for everything else, and Unreachable for what breaks while the body is read.
        """
        try:
            token = self._token()
            response = await self._send(method, target, headers, limits, body, token)
            if response.status == 401:
                response.release()
                await self._log_in_anew(token)
                response = await self._send(method, target, headers, limits, body, self._token())
            try:
                if response.status >= 300:
                    retry_after = response.headers.get("Retry-After", "")
                    raise error_of(response.status, await response.read(), retry_after)
                yield response
            finally:
                response.release()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError("Unreachable", self._unreachable(error)) from None

    async def _send(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        limits: aiohttp.ClientTimeout,
        body: Object | None,
        token: str,
    ) -> aiohttp.ClientResponse:
        return await self._session.request(
            method,
            self._configuration.host + target,
            headers={"User-Agent": "cloudherd", **headers, **({"Authorization": token} if token else {})},
            data=None if body is None else to_json(body),
            timeout=limits,
            allow_redirects=False,
            proxy=self._proxy,
            server_hostname=self._configuration.tls_server_name,
        )

    def _token(self) -> str:
        try:
            return self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization") or ""
        except (ConfigException, OSError) as error:
            raise ApiError("Unauthorized", f"the token cannot be read: {type(error).__name__}") from None

    async def _log_in_anew(self, refused: str) -> None:
        async with self._login:
            if self._token() != refused:
                return
            try:
                await load_configuration(self._kubeconfig, into=self._configuration)
            except KubeconfigError as error:
                raise ApiError("Unauthorized", str(error), 401) from None

    def _unreachable(self, error: Exception) -> str:
        # An aiohttp error's own text may hold a URL with a proxy's password; the operating system's does not.
        cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or ""
        return f"no answer from the API server at {self._configuration.host}: {type(error).__name__} {cause}".rstrip()


async def connect(kubeconfig: str = "") -> Connection:
    """A connection by the file named, else as `load_configuration` finds one. KubeconfigError."""
    return Connection(await load_configuration(kubeconfig), kubeconfig)


def _trust(configuration: Any) -> ssl.SSLContext:
    """Whom we trust to be the API server, and the certificate that says who we are, if that is how we log in.

    KubeconfigError.
    """
    try:
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    except OSError as error:  # an SSLError is one
        raise KubeconfigError(
            f"The certificates for {configuration.host} cannot be used ({error.strerror or type(error).__name__}): see "
            "certificate-authority, client-certificate and client-key in the kubeconfig, in a pod its service account."
        ) from None
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    # RFC 5280 to the letter (the default of Python 3.13) refuses the certificates of many clusters, which kubectl and
    # every Go client take; the chain of trust and the host name are checked all the same.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _proxy_of(url: str) -> str | None:
    """As HTTPS_PROXY and NO_PROXY say it."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)


def error_of(status: int, content: bytes | Object, retry_after: str = "") -> ApiError:
    """The ApiError that a refused call, or a watch's ERROR event, stands for."""
    body = content if isinstance(content, dict) else _parse(content)
    status = int(body.get("code") or status)
    details = body.get("details") or {}
    seconds = retry_after or str(details.get("retryAfterSeconds") or "")
    return ApiError(
        _reason(status, body, details),
        str(body.get("message") or _WORDS.get(status) or f"the server answered {status}")[:_MESSAGE_LIMIT],
        status,
        float(seconds) if seconds.isdecimal() else 0.0,
    )


def _reason(status: int, body: Object, details: Object) -> str:
    reason = str(body.get("reason") or "")
    if status >= 500:  # whether a write took place is not known: etcd may have timed out under it
        return "Unreachable"
    if status == 410:
        return "Expired"
    if reason == "NotFound" and not details.get("name"):
        return "NotServed"
    if reason == "Invalid" and any(cause.get("field") == "metadata.uid" for cause in details.get("causes") or ()):
        return "Conflict"
    return reason or _REASONS.get(status, "Unknown")


def _parse(content: bytes) -> Object:
    """A Status object, or nothing where a proxy (or a path that is not served) answered in words."""
    try:
        body = from_json(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) and body.get("kind") == "Status" else {}
