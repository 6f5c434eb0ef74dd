"""Who a VM is: by its tags and by the cloud's own ID, never by an address or by anything that users can edit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from cloudherd.agent.full import Key
from cloudherd.api import Instance, ObjectKey
from cloudherd.api.instance import InstanceSpec

INSTALLATION = "cloudherd-installation"
ACCOUNT = "cloudherd-account"
NAMESPACE = "cloudherd-namespace"
NAME = "cloudherd-name"
ID = "cloudherd-id"
RESERVED = "cloudherd"
"""Users' tags that begin so are left out, whatever let them in."""


class Identity(NamedTuple):
    """Of an Instance, and of its VM: survives a restore of the Instance, which gives it a new metadata.uid."""

    namespace: str
    name: str
    id: str

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.namespace, self.name)


def identity_of(record: Instance) -> Identity:
    return Identity(record.namespace, record.name, record.spec.id)


def account_tag(account: ObjectKey) -> str:
    return f"{account.namespace}.{account.name}"


def tags_for(installation: str, record: Instance) -> dict[str, str]:
    """All tags of the VM to be: the user's own, and ours, which nothing can displace."""
    own = {key: value for key, value in record.spec.tags.items() if not key.lower().startswith(RESERVED)}
    return {
        **own,
        INSTALLATION: installation,
        ACCOUNT: account_tag(record.account),
        NAMESPACE: record.namespace,
        NAME: record.name,
        ID: record.spec.id,
    }


def is_ours(tags: Mapping[str, str], installation: str, account: ObjectKey) -> bool:
    """Whether a VM is this account's of this installation: all others are foreign and never touched."""
    return bool(installation) and tags.get(INSTALLATION) == installation and tags.get(ACCOUNT) == account_tag(account)


def identity_in(tags: Mapping[str, str]) -> Identity | None:
    """The identity that tags name, None where they do not name one whole."""
    namespace, name, id_ = tags.get(NAMESPACE), tags.get(NAME), tags.get(ID)
    return Identity(namespace, name, id_) if namespace and name and id_ else None


def bears_identity(tags: Mapping[str, str]) -> bool:
    """Whether they name an owner at all, ours or another one."""
    return INSTALLATION in tags and ACCOUNT in tags and identity_in(tags) is not None


def token_for(installation: str, record: Instance) -> str:
    """The same for every attempt to launch this Instance's VM, and for no other VM in the world."""
    parts = "\n".join((installation, record.namespace, record.name, record.spec.id))
    return "ch-" + hashlib.sha256(parts.encode()).hexdigest()[:40]


def provider_id(provider: str, scope: str, vm_id: str) -> str:
    return f"{provider}://{scope}/{vm_id}"


def parse_provider_id(text: str) -> tuple[str, str]:
    """(scope, the cloud's own ID). Both empty where it is none of ours."""
    _, found, rest = text.partition("://")
    scope, slash, vm_id = rest.rpartition("/")
    return (scope, vm_id) if found and slash else ("", "")


def fingerprint(spec: InstanceSpec) -> Key:
    """What refusals are remembered by: flavor, image, and what else the request is made of."""
    return spec.flavor, spec.image, f"{spec.revision} {spec.network!r}"
