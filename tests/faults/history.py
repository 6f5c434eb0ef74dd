"""What the API server held at any time of a run: every Instance that ever was, and what was asked for when."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from cloudherd.runtime import kinds
from cloudherd.runtime.installation import NAME as CONFIG
from cloudherd.runtime.installation import TAKE_OVER
from cloudherd.runtime.ports import Kind, Object
from tests.fakes.objects import Objects
from tests.faults.truth import NEWER, Named, Unit, account_of, asked_for, deleting, named, surge_of, vm_of

FOLLOWED = (kinds.VIRTUAL_CLUSTER, kinds.CLUSTER_SERVICE, kinds.CLOUD_ACCOUNT, kinds.INSTANCE, kinds.CONFIG_MAP)
ENDLESS = 10**9


@dataclass(slots=True)
class Record:
    """An Instance, by its spec.id: one that is restored is the same. Times are virtual seconds."""

    id: str
    unit: Unit
    account: str
    created_at: float
    now: Object | None = None
    gone_at: float | None = None
    vm_id: str = ""
    """The VM that it named last."""
    named: set[str] = field(default_factory=set)
    """All that it ever named."""
    uids: set[str] = field(default_factory=set)
    unreadable_since: float | None = None
    held: bool = False
    """Whether it ever bore a finalizer."""
    forced: bool = False
    """Whether it went without a word, by force or with a data base that was set back: its VM is nobody's then."""


class Timeline:
    """A number over time."""

    def __init__(self) -> None:
        self._points: list[tuple[float, int]] = []

    def set(self, at: float, value: int) -> None:
        if not self._points or self._points[-1][1] != value:
            self._points.append((at, value))

    def most_since(self, at: float) -> int:
        """The largest value that held at `at` or after it; 0 where there was none."""
        most = 0
        for since, value in reversed(self._points):
            most = max(most, value)
            if since <= at:
                break
        return most

    @property
    def last(self) -> int:
        return self._points[-1][1] if self._points else 0


Change = Callable[[Kind, Object | None, Object | None], None]
"""Told of every change as (kind, before, after)."""


class History:
    """Follows the API server's own log of changes."""

    def __init__(self, objects: Objects, now: Callable[[], float]) -> None:
        self._objects, self._now = objects, now
        self._since = dict.fromkeys(FOLLOWED, objects.version)
        self.current: dict[Kind, dict[Named, Object]] = {kind: {} for kind in FOLLOWED}
        self.records: dict[str, Record] = {}
        self.ceilings: dict[Unit, Timeline] = defaultdict(Timeline)
        self.quotas: dict[str, Timeline] = defaultdict(Timeline)
        self._fixed: dict[Named, frozenset[str]] = defaultdict(frozenset)
        """The fixed services of every cluster that ever was: a record may come after its cluster has gone."""
        self.homeless_since: float | None = 0.0
        """Since when no installation of this very cluster is there, by whose ID its VMs are known; None: it is."""
        self.listeners: list[Change] = []

    def follow(self) -> None:
        """Takes in what has changed since the last time; to be called after every write."""
        for kind in FOLLOWED:
            for change in self._objects.changes(kind, self._since[kind]):
                self._since[kind] = change.version
                self._take(kind, json.loads(change.text), gone=change.type == "DELETED")

    def _take(self, kind: Kind, obj: Object, *, gone: bool) -> None:
        current, key = self.current[kind], named(obj)
        before = current.pop(key, None)
        after = None if gone else obj
        if after is not None:
            current[key] = after
        if kind == kinds.INSTANCE:
            self._instance(obj, after)
        elif kind == kinds.CLOUD_ACCOUNT:
            quota = obj["spec"].get("quota", {}).get("instances")
            self.quotas[".".join(key)].set(self._now(), ENDLESS if gone or quota is None else int(quota))
            for namespace, name in self.current[kinds.VIRTUAL_CLUSTER] if before is None else ():
                self._count(namespace, name)
        elif kind == kinds.CONFIG_MAP:
            self._installation(current.get((key[0], CONFIG)))
        else:
            cluster = key[1] if kind == kinds.VIRTUAL_CLUSTER else obj["spec"]["clusterName"]
            self._count(key[0], cluster)
        for listener in self.listeners:
            listener(kind, before, after)

    def _instance(self, obj: Object, after: Object | None) -> None:
        spec = obj["spec"]
        unit = self.unit(key := named(obj), spec["clusterName"], spec["serviceName"], account_of(obj))
        record = self.records.get(spec["id"])
        if record is None:
            record = self.records[spec["id"]] = Record(spec["id"], unit, account_of(obj), self._now())
            assert key[0] == unit.namespace
        record.now, record.vm_id = after, vm_of(obj)
        record.named.add(record.vm_id)
        record.gone_at = None if after else self._now()
        record.held = record.held or bool(obj["metadata"].get("finalizers"))
        record.forced = after is None and not deleting(obj)
        record.uids.add(obj["metadata"]["uid"])
        since = self._now() if record.unreadable_since is None else record.unreadable_since
        record.unreadable_since = since if NEWER in obj["metadata"].get("annotations", {}) else None

    def _installation(self, config: Object | None) -> None:
        system = self.get(kinds.NAMESPACE, "", "kube-system")
        assert system is not None
        uid = system["metadata"]["uid"]
        told = (config or {}).get("metadata", {}).get("annotations", {}).get(TAKE_OVER)
        at_home = config is not None and uid in (config["data"].get("kubeSystemUID"), told)
        since = self._now() if self.homeless_since is None else self.homeless_since
        self.homeless_since = None if at_home else since

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """As the API server holds it now."""
        return self._objects.get(kind, namespace, name)

    def of_account(self, account: str) -> list[Record]:
        """The records that stand and are bound to it, by `<namespace>.<name>`."""
        return [one for one in self.records.values() if one.now is not None and one.account == account]

    def unit(self, key: Named, cluster: str, service: str, account: str) -> Unit:
        fixed = service in self._fixed[key[0], cluster]
        return Unit(key[0], cluster, service, account if fixed else "")

    def _count(self, namespace: str, name: str) -> None:
        """What a cluster's services may have at most from now on."""
        cluster = self.current[kinds.VIRTUAL_CLUSTER].get((namespace, name))
        if cluster is None:
            return
        fixed = [one["name"] for one in cluster["spec"]["services"] if one["type"] == "Fixed"]
        self._fixed[namespace, name] = frozenset(fixed)
        for service in cluster["spec"]["services"]:
            held = self.current[kinds.CLUSTER_SERVICE].get((namespace, f"{name}-{service['name']}"))
            count = asked_for(service, held)
            if count is None:
                continue
            most = count + surge_of(cluster, count)
            accounts = [".".join(key) for key in self.current[kinds.CLOUD_ACCOUNT]]
            for account in accounts if service["type"] == "Fixed" else [""]:
                self.ceilings[Unit(namespace, name, service["name"], account)].set(self._now(), most)
