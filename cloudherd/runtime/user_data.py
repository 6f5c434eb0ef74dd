"""The user data of an Instance: read when it is needed, kept for the others that boot with the same, told to nobody."""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict

from cloudherd.agent.checks import USER_DATA_KEY, USER_DATA_TYPE
from cloudherd.api import Instance, ObjectKey
from cloudherd.runtime.kinds import SECRET
from cloudherd.runtime.ports import KubeApi
from cloudherd.runtime.store import Store, version_of

KEPT = 64


class UserDataMissing(Exception):  # noqa: N818 - what it says, not an error of ours
    """There is none that may be used; the message is for the Instance's status."""


class UserData:
    def __init__(self, api: KubeApi, store: Store) -> None:
        self._api = api
        self._store = store
        self._kept: OrderedDict[tuple[ObjectKey, str, int], bytes] = OrderedDict()

    async def of(self, record: Instance) -> bytes:
        """ApiError where it cannot be read now, UserDataMissing where it is not there or not of our type."""
        key = ObjectKey(record.namespace, record.spec.user_data_ref.name)
        entry = self._store.entry("secrets", key)
        at = (key, entry.uid, version_of(entry)) if entry else None
        if at is not None and at in self._kept:
            self._kept.move_to_end(at)
            return self._kept[at]
        found = await self._read(key)
        if at is not None:
            self._kept[at] = found
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found

    async def _read(self, key: ObjectKey) -> bytes:
        secret = await self._api.get(SECRET, key.namespace, key.name)
        if secret is None:
            raise UserDataMissing(f"the Secret {key} of spec.userDataRef does not exist")
        if secret.get("type") != USER_DATA_TYPE:
            raise UserDataMissing(f"the Secret {key} of spec.userDataRef is not of the type {USER_DATA_TYPE}")
        try:
            return base64.b64decode((secret.get("data") or {})[USER_DATA_KEY], validate=True)
        except (KeyError, binascii.Error):
            raise UserDataMissing(f"the Secret {key} of spec.userDataRef has no readable key {USER_DATA_KEY}") from None
