"""The Secrets that clusters take parameters from: read when needed, kept only as long as their version stands.

Never logged, never part of an error: what goes wrong is said by the Secret's name.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping

from cloudherd.api import CloudAccount, ObjectKey
from cloudherd.runtime.kinds import SECRET
from cloudherd.runtime.ports import KubeApi
from cloudherd.runtime.store import Plain, Store

Values = Mapping[str, str] | str
"""The Secret's values, or one sentence on why they cannot be had."""


class Parameters:
    """Reads Secrets through the API, once per version; the store's metadata says when there is a new one."""

    def __init__(self, api: KubeApi, store: Store) -> None:
        self._api, self._store = api, store
        self._known: dict[ObjectKey, tuple[str, Values]] = {}

    async def read(self, namespace: str, names: Iterable[str]) -> dict[str, Values]:
        """The values of each Secret by name. May raise ApiError."""
        return {name: await self._read(ObjectKey(namespace, name)) for name in names}

    async def _read(self, key: ObjectKey) -> Values:
        meta = self._store.entry("secrets", key)
        if not isinstance(meta, Plain):
            self._known.pop(key, None)
            return (
                f"Secret {key.name} does not exist in namespace {key.namespace}; create it, or correct parametersFrom"
            )
        account = self._account_with(key)
        if account:
            return (
                f"Secret {key.name} holds the credentials of CloudAccount {account}, so parametersFrom may not use it; "
                "put the parameters in a Secret of their own"
            )
        version = meta.metadata.resource_version
        known = self._known.get(key)
        if known is None or known[0] != version:
            known = (version, await self._fetch(key))
            self._known[key] = known
        return known[1]

    def _account_with(self, key: ObjectKey) -> str:
        for entry in self._store.entries("cloudaccounts"):
            if isinstance(entry, CloudAccount) and entry.namespace == key.namespace:
                ref = entry.spec.credentials_ref
                if ref and ref.name == key.name:
                    return entry.name
        return ""

    async def _fetch(self, key: ObjectKey) -> Values:
        secret = await self._api.get(SECRET, key.namespace, key.name)
        if secret is None:
            return (
                f"Secret {key.name} does not exist in namespace {key.namespace}; create it, or correct parametersFrom"
            )
        if secret.get("type", "Opaque") != "Opaque":
            return f"Secret {key.name} is of type {secret['type']}; parametersFrom takes Opaque ones only"
        try:
            data = secret.get("data") or {}
            return {name: base64.b64decode(value).decode() for name, value in data.items()}
        except (binascii.Error, UnicodeDecodeError):
            return f"Secret {key.name} holds a value that is not UTF-8 text, which no template can use"
