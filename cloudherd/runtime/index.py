"""Who is concerned by what: which clusters a changed object wakes, and what one plan needs beside its own Instances."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TypeVar

from cloudherd.api import CloudAccount, ClusterService, Context, Instance, ObjectKey, VirtualCluster
from cloudherd.api.meta import GROUP
from cloudherd.plan.model import ClusterView, Stranger
from cloudherd.rendering.model import RenderResult
from cloudherd.runtime.store import Entry, Plain, Store, Unreadable

CLUSTER_LABEL = f"{GROUP}/cluster"
K = TypeVar("K")
T = TypeVar("T")


class Index:
    """Follows a store. Clusters are known by what they name: Contexts, Secrets, and the names that are derived from
    theirs.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._users: dict[tuple[str, ObjectKey], set[ObjectKey]] = defaultdict(set)
        self._services: dict[ObjectKey, dict[str, ClusterService]] = defaultdict(dict)
        self._user_data: dict[ObjectKey, set[str]] = defaultdict(set)
        self._accounts: dict[ObjectKey, CloudAccount] = {}
        self._namespaces: dict[str, dict[str, str]] = {}  # their labels
        store.subscribe(self._changed)

    # -- following

    def _changed(self, plural: str, before: Entry | None, after: Entry | None) -> None:
        for entry, present in ((before, False), (after, True)):
            match entry:
                case VirtualCluster():
                    for name in named_by(entry):
                        _put(self._users[name], entry.key, present)
                case ClusterService():
                    services = self._services[_owner(entry)]
                    services.pop(entry.spec.service_name, None)
                    if present:
                        services[entry.spec.service_name] = entry
                case Plain() if plural == "secrets" and CLUSTER_LABEL in entry.metadata.labels:
                    owner = ObjectKey(entry.namespace, entry.metadata.labels[CLUSTER_LABEL])
                    _put(self._user_data[owner], entry.name, present)
                case CloudAccount():
                    _set(self._accounts, entry.key, entry, present)
                case Plain() if plural == "namespaces":
                    _set(self._namespaces, entry.name, entry.metadata.labels, present)

    # -- asking

    def users(self, plural: str, key: ObjectKey) -> list[ObjectKey]:
        """The clusters that name this Context, Secret or derived name (`names`)."""
        return sorted(self._users.get((plural, key), ()))

    def owners(self, *entries: Entry | None) -> set[ObjectKey]:
        """The clusters that these ClusterServices name."""
        return {_owner(entry) for entry in entries if isinstance(entry, ClusterService)}

    def rivals(self, entry: Entry) -> set[ObjectKey]:
        """Other clusters that derive one of this cluster's names."""
        names = derived_names(entry) if isinstance(entry, VirtualCluster) else []
        found = {user for name in names for user in self.users("names", ObjectKey(entry.key.namespace, name))}
        return found - {entry.key}

    def names_account(self, cluster: VirtualCluster, account: CloudAccount) -> bool:
        """Whether an entry of the cluster's placement matches the account."""
        for entry in cluster.spec.placement.accounts:
            if (entry.namespace or cluster.namespace) != account.namespace:
                continue
            if entry.name == account.name or (entry.selector and entry.selector.matches(account.metadata.labels)):
                return True
        return False

    def secrets_of(self, cluster: VirtualCluster) -> list[str]:
        """The names of the Secrets that its services take parameters from."""
        return sorted({one.secret_ref.name for service in cluster.spec.services for one in service.parameters_from})

    def view(
        self,
        cluster: VirtualCluster,
        secrets: Mapping[str, Mapping[str, str] | str],
        rendered: Mapping[str, RenderResult],
    ) -> ClusterView:
        """All that a plan of this cluster reads."""
        store, entries = self._store, list(self._store.of_cluster(cluster.key))
        namespace = store.entry("namespaces", ObjectKey("", cluster.namespace))
        return ClusterView(
            cluster=cluster,
            services=dict(self._services.get(cluster.key, {})),
            instances=tuple(entry for entry in entries if isinstance(entry, Instance)),
            contexts=self._contexts(cluster),
            accounts=self._accounts,
            namespaces=self._namespaces,
            secrets=secrets,
            strangers=tuple(stranger(entry) for entry in entries if isinstance(entry, Unreadable)),
            taken=_Taken(store, cluster.namespace),
            user_data=frozenset(self._user_data.get(cluster.key, ())),
            rendered=rendered,
            conflict=self._conflict(cluster),
            namespace_ends=isinstance(namespace, Plain) and namespace.deleting,
        )

    def _contexts(self, cluster: VirtualCluster) -> dict[str, Context]:
        found = {}
        for service in cluster.spec.services:
            entry = self._store.entry("contexts", ObjectKey(cluster.namespace, service.context_ref.name))
            if isinstance(entry, Context):
                found[entry.name] = entry
        return found

    def _conflict(self, cluster: VirtualCluster) -> str:
        """Where names derived from two clusters meet (`a-b` with `c`, `a` with `b-c`), the elder keeps them."""
        for derived in derived_names(cluster):
            for other in self.users("names", ObjectKey(cluster.namespace, derived)):
                elder = self._store.cluster(other)
                if elder and other != cluster.key and _age(elder) < _age(cluster):
                    return (
                        f"the name {derived} is taken by VirtualCluster {elder.name}, which is older; "
                        f"rename this cluster or its service"
                    )
            entry = self._store.entry("clusterservices", ObjectKey(cluster.namespace, derived))
            if isinstance(entry, ClusterService) and _owner(entry) != cluster.key:
                return f"ClusterService {derived} exists and belongs to VirtualCluster {entry.spec.cluster_name}"
        return ""


class _Taken:
    """All names of Instances in a namespace, without a copy of ten thousand of them for each plan."""

    def __init__(self, store: Store, namespace: str) -> None:
        self._store, self._namespace = store, namespace

    def __contains__(self, name: object) -> bool:
        return self._store.entry("instances", ObjectKey(self._namespace, str(name))) is not None


def named_by(cluster: VirtualCluster) -> Iterable[tuple[str, ObjectKey]]:
    """What a cluster names, as (plural or `names`, key)."""
    for service in cluster.spec.services:
        yield "contexts", ObjectKey(cluster.namespace, service.context_ref.name)
        for source in service.parameters_from:
            yield "secrets", ObjectKey(cluster.namespace, source.secret_ref.name)
    for derived in derived_names(cluster):
        yield "names", ObjectKey(cluster.namespace, derived)


def derived_names(cluster: VirtualCluster) -> list[str]:
    return [f"{cluster.name}-{service.name}" for service in cluster.spec.services]


def _age(cluster: VirtualCluster) -> tuple[float, str]:
    return cluster.age_base, cluster.name


def _put(found: set[T], item: T, present: bool) -> None:
    (found.add if present else found.discard)(item)


def _set(found: dict[K, T], key: K, value: T, present: bool) -> None:
    if present:
        found[key] = value
    else:
        found.pop(key, None)


def _owner(service: ClusterService) -> ObjectKey:
    return ObjectKey(service.namespace, service.spec.cluster_name)


def stranger(entry: Unreadable) -> Stranger:
    """An Instance that cannot be read, as far as it can."""
    return Stranger(entry.key.name, entry.spec_text("serviceName"), entry.account)
