"""Holds an account and its Secret while Instances are bound to it, so that nothing takes the keys before the VMs.

Nothing is launched before both are held. The Secret is let go first, the account last, so that neither waits for the
other.
"""

from __future__ import annotations

from cloudherd.api import CloudAccount, ObjectKey, Resource
from cloudherd.runtime.account_state import Parts
from cloudherd.runtime.kinds import CLOUD_ACCOUNT, SECRET_METADATA
from cloudherd.runtime.link import secret_key
from cloudherd.runtime.records import Gone
from cloudherd.runtime.store import Store

ACCOUNT = "cloudherd.dev/account"
CREDENTIALS = "cloudherd.dev/credentials"


def bound(store: Store, account: ObjectKey) -> bool:
    """Whether Instances, readable or not, are bound to this account."""
    return any(True for _ in store.of_account(account))


def users(store: Store, secret: ObjectKey) -> list[CloudAccount]:
    """The accounts that name this Secret."""
    accounts = (one for one in store.entries("cloudaccounts") if isinstance(one, CloudAccount))
    return [one for one in accounts if secret_key(one) == secret]


def waits_for(store: Store, account: CloudAccount) -> str:
    """Whom the deletion of an account waits for, in a few words; empty where it waits for nobody."""
    names = sorted(str(entry.key) for entry in store.of_account(account.key)) if account.deleting else []
    if not names:
        return ""
    return f"{len(names)} Instances: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"


def _secret(store: Store, account: CloudAccount) -> Resource | None:
    key = secret_key(account)
    entry = store.entry("secrets", key) if key else None
    return entry if isinstance(entry, Resource) else None


def held(store: Store, account: CloudAccount) -> bool:
    """Whether all that must be held for a launch is."""
    secret = _secret(store, account)
    keys_held = secret is not None and CREDENTIALS in secret.metadata.finalizers
    return ACCOUNT in account.metadata.finalizers and (keys_held or secret_key(account) is None)


def settled(store: Store, account: CloudAccount) -> bool:
    """Whether nothing is to be written: all held, or nothing where no Instance is bound."""
    if bound(store, account.key):
        secret = _secret(store, account)
        holdable = [one for one in (account, secret) if one is not None and not one.deleting]
        return all(_finalizer(one) in one.metadata.finalizers for one in holdable)
    return ACCOUNT not in account.metadata.finalizers and not _to_let_go(store, account)


def _finalizer(one: Resource) -> str:
    return ACCOUNT if isinstance(one, CloudAccount) else CREDENTIALS


def _to_let_go(store: Store, account: CloudAccount) -> Resource | None:
    secret = _secret(store, account)
    if secret is None or CREDENTIALS not in secret.metadata.finalizers:
        return None
    return None if any(bound(store, user.key) for user in users(store, secret.key)) else secret


async def settle(parts: Parts, account: CloudAccount) -> None:
    """Holds, or lets go. ApiError where something has changed meanwhile: look again."""
    if bound(parts.store, account.key):
        secret = _secret(parts.store, account)
        for one in (account, secret):
            if one is not None and not one.deleting:
                await _set(parts, one, add=_finalizer(one))
        return
    secret = _to_let_go(parts.store, account)
    if secret is not None:
        await _set(parts, secret, remove=CREDENTIALS)
    if not bound(parts.store, account.key):
        await _set(parts, account, remove=ACCOUNT)


async def release_unused(parts: Parts, key: ObjectKey) -> None:
    """Lets a Secret go that holds our finalizer though no account with Instances names it any more."""
    entry = parts.store.entry("secrets", key)
    if isinstance(entry, Resource) and unused(parts.store, key):
        await _set(parts, entry, remove=CREDENTIALS)


def unused(store: Store, key: ObjectKey) -> bool:
    entry = store.entry("secrets", key)
    holds = isinstance(entry, Resource) and CREDENTIALS in entry.metadata.finalizers
    return holds and not any(bound(store, user.key) for user in users(store, key))


async def _set(parts: Parts, one: Resource, *, add: str = "", remove: str = "") -> None:
    before = list(one.metadata.finalizers)
    after = [name for name in before if name != remove] + ([add] if add and add not in before else [])
    if after == before:
        return
    kind = CLOUD_ACCOUNT if isinstance(one, CloudAccount) else SECRET_METADATA
    try:
        await parts.records.set_finalizers(kind, one, after)
    except Gone:
        return
