"""Makes an account's `Cloud` of its settings and credentials: the port `CloudFactory`, on real threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudherd.clouds.protocol import Connection, account_capabilities
from cloudherd.clouds.registry import Registry
from cloudherd.clouds.threads import Observer, ThreadedCloud
from cloudherd.clouds.validation import CREDENTIALS, check


class ThreadedCloudFactory:
    """`settings` are the account's spec as Kubernetes stores it; of it region, endpoint, options and simulated count.

    CloudError(INVALID) in one sentence where provider, settings or credentials make no sense; no call to the cloud.
    """

    def __init__(self, registry: Registry, *, call_timeout: float = 120, observer: Observer | None = None) -> None:
        self._registry = registry
        self._observer = observer
        self._call_timeout = call_timeout

    def __call__(
        self, account: str, provider: str, settings: Mapping[str, Any], credentials: Mapping[str, str]
    ) -> ThreadedCloud:
        found = self._registry.provider(provider)
        options = settings.get("options") or {}
        where = CREDENTIALS if credentials else "spec.credentialsRef is missing, or names an empty Secret"
        check(found.credentials_model, credentials, where)
        check(found.options_model, options, "spec.options")
        connection = Connection(
            account=account,
            region=settings.get("region") or "",
            endpoint=settings.get("endpoint") or "",
            credentials=dict(credentials),
            options=options,
            simulated=settings.get("simulated") or {},
        )
        capabilities = account_capabilities(found, connection)
        return ThreadedCloud(found, connection, capabilities, call_timeout=self._call_timeout, observer=self._observer)
