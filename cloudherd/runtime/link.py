"""The connection of one account to its cloud: made of its settings and its Secret, and anew when these change."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from cloudherd.agent.account_status import Told
from cloudherd.api import CloudAccount, ObjectKey
from cloudherd.clouds.protocol import CloudError, ErrorKind
from cloudherd.runtime.kinds import SECRET
from cloudherd.runtime.ports import ApiError, Cloud, CloudFactory, KubeApi
from cloudherd.runtime.store import Entry, Store, version_of

CREDENTIALS_REFUSED = "CredentialsRefused"


def secret_key(account: CloudAccount) -> ObjectKey | None:
    """The Secret that an account names."""
    ref = account.spec.credentials_ref
    return ObjectKey(account.namespace, ref.name) if ref else None


def settings_of(account: CloudAccount) -> dict[str, Any]:
    """What a cloud is made of beside credentials, as the fields of an account's spec."""
    spec = account.spec
    settings: dict[str, Any] = {"region": spec.region, "endpoint": spec.endpoint, "options": spec.options}
    if spec.simulated is not None:
        settings["simulated"] = spec.simulated.wire()
    return {name: value for name, value in settings.items() if value}


def decoded(data: Mapping[str, str] | None) -> dict[str, str]:
    """A Secret's data in plain; a value that is no text is empty, which no key may be."""
    plain = {}
    for name, value in (data or {}).items():
        try:
            plain[name] = base64.b64decode(value).decode()
        except (binascii.Error, UnicodeDecodeError):
            plain[name] = ""
    return plain


def trouble_of(error: CloudError, account: CloudAccount) -> Told:
    """What a failed call says of the account, in one sentence."""
    if error.kind is ErrorKind.DENIED:
        key = secret_key(account)
        where = f"the Secret {key}" if key else "the account"
        return Told(False, CREDENTIALS_REFUSED, f"the cloud refuses the credentials of {where}: {error}")
    if error.kind is ErrorKind.INVALID:
        return Told(False, "InvalidSettings", str(error))
    return Told(False, "Unreachable", f"the cloud cannot be asked: {error}")


class Link:
    """`cloud` is None as long as there is no connection; `generation` counts connections."""

    def __init__(self, api: KubeApi, store: Store, clouds: CloudFactory) -> None:
        self._api = api
        self._store = store
        self._clouds = clouds
        self._tried: object = None
        self._made_up: tuple[CloudAccount, Entry | None, object] | None = None
        self._checked: object = None
        self._made_of: object = None
        self._retired: list[Cloud] = []
        self.cloud: Cloud | None = None
        self.generation = 0

    def stale(self, account: CloudAccount) -> bool:
        """Whether something that the connection is made of may have changed since it was last tried."""
        return self._tried != self._ingredients(account)

    async def connect(self, account: CloudAccount) -> Told | None:
        """A cloud that fits the account as it is now, or what is wrong with the account. Does not call the cloud."""
        checking = self._tried = self._ingredients(account)
        if self.cloud is not None and checking == self._checked:
            return None
        try:
            credentials = await self._credentials(account)
        except ApiError as error:
            return Told("Unknown", "SecretUnreadable", f"the Secret {secret_key(account)} cannot be read: {error}")
        if credentials is None:
            self._retire()
            return Told(
                False,
                "CredentialsMissing",
                f"the Secret {secret_key(account)} that spec.credentialsRef names does not exist: create it",
            )
        made_of = (account.spec.provider, settings_of(account), credentials)
        if self.cloud is None or made_of != self._made_of:
            self._retire()
            try:
                name = f"{account.namespace}.{account.name}"
                self.cloud = self._clouds(name, account.spec.provider, settings_of(account), credentials)
            except CloudError as error:
                return Told(False, "InvalidSettings", f"CloudAccount {account.key}: {error.message or error.code}")
            self.generation += 1
            self._made_of = made_of
        self._checked = checking
        return None

    def _ingredients(self, account: CloudAccount) -> object:
        key = secret_key(account)
        entry = self._store.entry("secrets", key) if key else None
        known = self._made_up
        if known is None or known[0] is not account or known[1] is not entry:  # asked for at each look
            version = (entry.uid, version_of(entry)) if entry else None
            known = self._made_up = (account, entry, (account.spec.provider, settings_of(account), key, version))
        return known[2]

    async def _credentials(self, account: CloudAccount) -> dict[str, str] | None:
        key = secret_key(account)
        if key is None:
            return {}
        secret = await self._api.get(SECRET, key.namespace, key.name)
        return None if secret is None else decoded(secret.get("data"))

    def _retire(self) -> None:
        if self.cloud is not None:
            self._retired.append(self.cloud)
        self.cloud, self._made_of = None, None

    async def close_retired(self) -> None:
        """Closes the connections that were replaced; to be called while no call is under way."""
        while self._retired:
            await self._retired.pop().close()

    async def close(self) -> None:
        self._retire()
        await self.close_retired()
