"""Known bugs of such controllers, to be planted one by one: the harness is worth what it finds of them.

Each changes the product in memory, for one process and as long as it is planted; the product knows nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from math import inf
from typing import Any
from unittest.mock import patch
from weakref import WeakKeyDictionary

from cloudherd.agent import decide, seen, sweep
from cloudherd.agent.actions import Nothing, Release
from cloudherd.agent.full import Full
from cloudherd.agent.identity import Identity, tags_for
from cloudherd.agent.memory import Look, Track
from cloudherd.api import Instance
from cloudherd.clouds.batches import Batches
from cloudherd.clouds.protocol import CloudError, ErrorKind
from cloudherd.plan import capacity, creation, outcomes, userdata
from cloudherd.plan.amount import Amount
from cloudherd.plan.records import Records
from cloudherd.runtime import account_poll, brakes, calls, executor, keeper, launcher
from cloudherd.runtime.installation import Installation
from cloudherd.runtime.kinds import CLOUD_ACCOUNT, INSTANCE, SECRET
from cloudherd.runtime.store import Store, Unreadable
from cloudherd.runtime.user_data import UserData, UserDataMissing
from tests.fakes.clock import EPOCH
from tests.faults.operators import HostClock
from tests.faults.world import World


@dataclass(frozen=True, slots=True)
class Mutant:
    """`cases` are the names of those in which it should show, the likeliest first."""

    name: str
    cases: tuple[str, ...]
    plant: Callable[[], AbstractContextManager[Any]]


def _patches(*patches: tuple[Any, str, Any]) -> Callable[[], AbstractContextManager[Any]]:
    @contextmanager
    def plant() -> Iterator[None]:
        with ExitStack() as stack:
            for target, name, value in patches:
                stack.enter_context(patch.object(target, name, value))
            yield

    return plant


def _settings(**changes: Any) -> Callable[[], AbstractContextManager[Any]]:
    """Other numbers for the agent."""
    original = World.operate

    def operate(self: World, **kwargs: Any) -> Any:
        self.settings = replace(self.settings, **changes)
        return original(self, **kwargs)

    return _patches((World, "operate", operate))


# -- the bugs


def _without_finalizer(original: Callable[..., Any]) -> Callable[..., Any]:
    async def create(self: Any, kind: Any, body: Any) -> None:
        if kind == INSTANCE:
            body["metadata"].pop("finalizers")
        await original(self, kind, body)

    return create


_numbers = count()


def _token_per_attempt(installation: str, record: Instance) -> str:
    return f"{installation}-{record.name}-{next(_numbers)}"


async def _no_claim(_self: Any, record: Instance, _track: Track) -> Instance:
    return record


def _forgets_doubt(_self: Track, _record: Instance) -> None:
    return None


def _random_slots(cluster: str, service: str, *_taken: Any) -> Iterator[str]:
    return (f"{cluster}-{service}-{1000 + next(_numbers) % 9000}" for _ in count())


def _no_limit(_account: Any) -> tuple[Amount, str]:
    return Amount(inf, inf, inf), ""


async def _does_not_look(self: Any, vm_id: str, track: Track) -> None:
    track.looks[vm_id] = Look(self._parts.clock.monotonic(), None)


def _release_when_asked(original: Callable[..., Any]) -> Callable[..., Any]:
    def destroy(record: Instance, track: Track, view: Any, known: dict[str, Any]) -> Any:
        action = original(record, track, view, known)
        return Release() if isinstance(action, Nothing) else action

    return destroy


def _release_at_once(record: Instance, track: Track, view: Any, seen_: Any) -> Any:
    return Release()


async def _sweep_unread(self: Any, orphan: Any) -> None:
    if self._link.cloud is not None:
        await self._end(self._link.cloud, orphan)


def _tags_by_uid(installation: str, record: Instance) -> dict[str, str]:
    return {**tags_for(installation, record), "cloudherd-id": record.uid}


def _identity_by_uid(record: Instance) -> Any:
    return Identity(record.namespace, record.name, record.uid)


def _user_tags_last(installation: str, record: Instance) -> dict[str, str]:
    return {**tags_for(installation, record), **record.spec.tags}


def _ours_by_name(tags: Any, _installation: str, _account: Any) -> bool:
    return "cloudherd-name" in tags


def _with_heartbeat(original: Callable[..., Any]) -> Callable[..., Any]:
    async def listing(self: Any, account: Any) -> bool:
        good: bool = await original(self, account)
        beat = {"metadata": {"annotations": {"seen-at": str(self._parts.clock.now())}}}
        await self._parts.api.patch(CLOUD_ACCOUNT, account.namespace, account.name, beat)
        return good

    return listing


@contextmanager
def _ages_outlive_the_process() -> Iterator[None]:
    """As if the time of an orphan's first sight were written down somewhere."""
    original, ages = sweep.sweep, WeakKeyDictionary[Any, dict[str, float]]()

    def with_ages(seen_: Any, lookup: Any, records: Any, unreadable: Any, memory: Any, *rest: Any) -> Any:
        kept = ages.setdefault(asyncio.get_running_loop(), {})
        memory.since = {**kept, **memory.since}
        due = original(seen_, lookup, records, unreadable, memory, *rest)
        kept |= memory.since
        return due

    with patch.object(brakes, "sweep", with_ages):
        yield


async def _any_secret(self: Any, key: Any) -> bytes:
    found = await self._api.get(SECRET, key.namespace, key.name)
    if found is None:
        raise UserDataMissing("there is none")
    return str(found["data"]).encode()


def _scope_forgotten(original: Callable[..., Any]) -> Callable[..., Any]:
    def take(self: Any, listing: Any, begun: float, account: Any) -> None:
        original(self, listing, begun, account)
        self._state.scope = self._state.facts.scope = listing.scope
        if self._state.facts.trouble and self._state.facts.trouble.reason == "AccountRepointed":
            self._state.facts.trouble = None

    return take


async def _any_installation(self: Any, found: Any, _uid: str) -> None:
    self.id = found["data"]["id"]


def _unreadable_is_absent(original: Callable[..., Any]) -> Callable[..., Any]:
    def offer(self: Any, plural: str, entry: Any) -> None:
        if isinstance(entry, Unreadable):
            self._put(plural, entry.key, None)
        else:
            original(self, plural, entry)

    return offer


def _unknown_is_refused(original: Callable[..., Any]) -> Callable[..., Any]:
    async def one_call(self: Any, part: Any) -> Any:
        error = await original(self, part)
        return CloudError(ErrorKind.FULL, error.code) if error and error.kind is ErrorKind.UNKNOWN else error

    return one_call


@contextmanager
def _first_neighbour() -> Iterator[None]:
    """Every site is told the addresses that were found first, wherever that was."""
    first: list[Any] = []
    original = userdata.addresses_of

    def addresses_of(vms: Any) -> Any:
        found = original(vms)
        if found.address and not first:
            first.append(found)
        return first[0] if found.address else found

    with patch.object(outcomes, "addresses_of", addresses_of):
        yield


MUTANTS = (
    Mutant(
        "record without finalizer",
        ("deleted-during-create", "mix"),
        _patches((executor.Executor, "_create", _without_finalizer(executor.Executor._create))),
    ),
    Mutant(
        "record after launch",  # where there are no tokens, the claim is the record of the attempt
        ("killed-after-create", "list-lags"),
        _patches((launcher.Launcher, "_claim", _no_claim), (Track, "unsettled_since", _forgets_doubt)),
    ),
    Mutant(
        "token per attempt",
        ("list-lags", "killed-after-create"),
        _patches((launcher, "token_for", _token_per_attempt)),
    ),
    Mutant(
        "late creation not waited for",
        ("deleted-during-create", "slow-create-swept", "mix"),
        _settings(late_creation=5.0),
    ),
    Mutant("sweep without the age gate", ("restored", "mix"), _patches((sweep, "_age", lambda *_: 0.0))),
    Mutant("sweep without a live look", ("bad-list-at-start",), _patches((calls.Calls, "sweep", _sweep_unread))),
    Mutant("counting instead of slots", ("stale-cache", "mix"), _patches((creation, "free_slots", _random_slots))),
    Mutant(
        "ending VMs not counted",
        ("stale-cache", "names-reused"),
        _patches((Records, "count", Records.kept), (Records, "count_at", Records.kept_at)),
    ),
    Mutant(
        "absent from one listing is gone",
        ("list-lags", "partition"),
        _patches((calls.Calls, "_look_up", _does_not_look), (decide, "_speaks_of", lambda *_: True)),
    ),
    Mutant(
        "record let go when its VM is asked to end",
        ("names-reused", "cleanup-fails"),
        _patches((decide, "_destroy", _release_when_asked(decide._destroy))),
    ),
    Mutant(
        "record let go when no VM is listed",
        ("deleted-during-create",),
        _patches((decide, "_confirm_none", _release_at_once)),
    ),
    Mutant("no brake on mass losses", ("partition",), _settings(mass_loss_count=10**6)),
    Mutant(
        "known by metadata.uid",
        ("restored",),
        _patches(
            (launcher, "tags_for", _tags_by_uid),
            (seen, "identity_of", _identity_by_uid),
            (decide, "identity_of", _identity_by_uid),
        ),
    ),
    Mutant("users' tags win", ("tags-collide",), _patches((launcher, "tags_for", _user_tags_last))),
    Mutant("known by name alone", ("tags-collide", "names-reused"), _patches((seen, "is_ours", _ours_by_name))),
    Mutant("no memory of what is full", ("capacity-storm",), _patches((Full, "refused", lambda *_, **__: None))),
    Mutant(
        "quota not counted",
        ("stale-cache", "mix"),
        _patches((capacity, "ceiling_of", _no_limit), (launcher, "objection", lambda *_: None)),
    ),
    Mutant("a neighbour of another site", ("stale-cache", "cleanup-fails", "mix"), _first_neighbour),
    Mutant(
        "credentials not held",
        ("way-out",),
        _patches((keeper, "held", lambda *_: True), (keeper, "settled", lambda *_: True)),
    ),
    Mutant("an orphan's age outlives the process", ("names-reused", "mix"), _ages_outlive_the_process),
    Mutant(
        "waits by the wall clock",
        ("names-reused", "restored", "mix"),
        _patches((HostClock, "monotonic", lambda self: self.now() - EPOCH)),
    ),
    Mutant("launches what no account offers", ("mix",), _patches((launcher, "objection", lambda *_: None))),
    Mutant("boots with any Secret", ("mix",), _patches((UserData, "_read", _any_secret))),
    Mutant(
        "a repointed account is believed",
        ("mix",),
        _patches(
            (account_poll.Poll, "_take", _scope_forgotten(account_poll.Poll._take)),
            (decide, "elsewhere", lambda *_: False),
        ),
    ),
    Mutant(
        "another cluster's installation is used",
        ("mix",),
        _patches((Installation, "_judge", _any_installation)),
    ),
    Mutant(
        "what cannot be read is absent",
        ("bad-list-at-start", "mix"),
        _patches((Store, "_offer", _unreadable_is_absent(Store._offer))),
    ),
    Mutant(
        "a batch without an answer is asked for again by halves",
        ("batches",),
        _patches((Batches, "_one_call", _unknown_is_refused(Batches._one_call))),
    ),
    Mutant(
        "what comes with one call needs no claim",
        ("batches",),
        _patches((launcher.Launcher, "_claim", _no_claim), (Track, "unsettled_since", _forgets_doubt)),
    ),
    Mutant(
        "a heartbeat at every poll",
        ("killed-after-create",),
        _patches((account_poll.Poll, "listing", _with_heartbeat(account_poll.Poll.listing))),
    ),
)
