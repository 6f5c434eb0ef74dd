"""One poll of one account: connect, list, and now and then ask for flavors, images and limits."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from cloudherd.agent.account_status import Told
from cloudherd.agent.catalogue import Untold, catalogue, lacking
from cloudherd.agent.full import exhausted, room_left
from cloudherd.agent.identity import identity_of, parse_provider_id
from cloudherd.agent.seen import Seen, again, index
from cloudherd.api import CloudAccount, Instance
from cloudherd.api.account import Usage
from cloudherd.api.quantity import format_bytes
from cloudherd.clouds.protocol import VM, CloudError, ErrorKind, Listing, Size
from cloudherd.runtime.account_state import AccountState, Parts
from cloudherd.runtime.link import Link, trouble_of
from cloudherd.runtime.ports import Cloud

log = logging.getLogger(__name__)
ACCEPTED = Told(True, "Accepted")
WHILE_LACKING = 30.0  # seconds between questions for flavors and images while one cannot be used


class Poll:
    def __init__(self, state: AccountState, parts: Parts, link: Link) -> None:
        self._state = state
        self._parts = parts
        self._link = link
        self._catalogue_at = float("-inf")
        self._catalogue_of: object = None
        self._usage_of: object = None
        self._usage_is = Usage(), Usage()

    async def listing(self, account: CloudAccount) -> bool:
        """Lists the cloud into the state; whether that went well. What is wrong is in the facts afterwards."""
        state, facts = self._state, self._state.facts
        before = self._link.generation
        trouble = await self._link.connect(account)
        if self._link.generation != before:
            state.seen = None
            state.launches_denied.end()
            state.denied = None
            state.ask_limits = True
            self._catalogue_of = None
        cloud = self._link.cloud
        if trouble is not None or cloud is None:
            facts.trouble, state.polled, state.seen = trouble, True, None
            if trouble and trouble.reason == "CredentialsMissing":
                facts.credentials = Told(False, trouble.reason, trouble.message)
            return False
        begun = self._parts.clock.monotonic()
        try:
            listing = await cloud.list_vms()
            if not listing.complete:
                raise CloudError(ErrorKind.UNREACHABLE, "ListingIncomplete", "its listing of VMs lacked some pages")
        except CloudError as error:
            self._failed(error, account)
            return False
        if state.launches_denied.until <= begun:
            state.denied = None  # the next launch will tell
        facts.trouble = state.denied
        facts.credentials = state.denied or ACCEPTED
        self._take(listing, begun, account)
        return True

    def _failed(self, error: CloudError, account: CloudAccount) -> None:
        state, facts = self._state, self._state.facts
        log.debug("%s: the listing failed: %s %s", state.key, error.kind, error.code)
        state.polled = True
        if error.kind is ErrorKind.THROTTLED and not self._silent():
            return
        facts.trouble = trouble_of(error, account)
        if error.kind is ErrorKind.DENIED:
            facts.credentials = facts.trouble

    def _silent(self) -> bool:
        since = self._state.last_good if self._state.last_good is not None else self._state.started_at
        return self._parts.clock.monotonic() >= since + self._parts.settings.unreachable_after

    def _take(self, listing: Listing, begun: float, account: CloudAccount) -> None:
        state, facts = self._state, self._state.facts
        seen = again(listing, begun, state.seen) or index(listing, begun, self._parts.installation.id, state.key)
        records = [one for one in self._parts.store.of_account(state.key) if isinstance(one, Instance)]
        bound_to = {parse_provider_id(one.status.provider_id)[0] for one in records if one.status.provider_id}
        if not bound_to and any(not one.status.provider_id for one in records):
            bound_to = {state.scope or account.status.scope or ""} - {""}
        strange = sorted(bound_to - {seen.scope})
        state.scope = strange[0] if strange else seen.scope
        facts.scope = state.scope
        if strange:
            facts.trouble = Told(
                False,
                "AccountRepointed",
                f"the credentials lead to {seen.scope}, but this account has Instances in {state.scope}: give it "
                f"back its old credentials, and make another CloudAccount for {seen.scope}",
            )
        state.seen, state.last_good = seen, begun
        self._parts.metrics.listed(state.key, self._parts.clock.now())
        facts.used, facts.foreign = self._usage(seen, records)
        self._measure()

    def _usage(self, seen: Seen, records: list[Instance]) -> tuple[Usage, Usage]:
        """What our VMs take, and what all others take. Most polls show what the last one did."""
        of = (seen.ours, seen.foreign, records, self._state.facts.sizes)
        if of != self._usage_of:
            self._usage_of, self._usage_is = of, self._count(seen, records)
        return self._usage_is

    def _count(self, seen: Seen, records: list[Instance]) -> tuple[Usage, Usage]:
        """As the records say, or else as the flavors do."""
        known = {identity_of(one): one.spec.resources for one in records}
        cpus, memory, counted = 0.0, 0.0, 0
        for identity, vms in seen.by_identity.items():
            resources = known.get(identity)
            if resources is not None:
                cpus, memory, counted = cpus + resources.cpus, memory + resources.memory, counted + 1
                vms = vms[1:]  # noqa: PLW2901 - the others of one identity have no record
            cpus, memory, counted = cpus + self._cpus(vms), memory + self._memory(vms), counted + len(vms)
        foreign = seen.foreign
        return (
            Usage(instances=len(seen.ours), cpus=cpus, memory=format_bytes(memory)),
            Usage(instances=len(foreign), cpus=self._cpus(foreign), memory=format_bytes(self._memory(foreign))),
        )

    def _cpus(self, vms: list[VM] | tuple[VM, ...]) -> float:
        sizes = self._sizes()
        return sum(sizes[vm.flavor].cpus for vm in vms if vm.flavor in sizes)

    def _memory(self, vms: list[VM] | tuple[VM, ...]) -> int:
        sizes = self._sizes()
        return sum(sizes[vm.flavor].memory for vm in vms if vm.flavor in sizes)

    def _sizes(self) -> Mapping[str, Size]:
        told = self._state.facts.sizes
        return told.known if told else {}

    # -- what is asked less often

    async def catalogue(self, account: CloudAccount) -> None:
        """Flavors, images and limits, where they are due. Failures leave what was known."""
        cloud = self._link.cloud
        if cloud is not None and self._catalogue_due(account):
            await self._ask_catalogue(cloud, account)
        if cloud is not None and self._limits_due(cloud):
            await self._ask_limits(cloud)
        self._state.polled = True

    def _catalogue_due(self, account: CloudAccount) -> bool:
        state, facts = self._state, self._state.facts
        if facts.sizes is None or facts.images is None or self._catalogue_of != _wanted(account):
            return True
        wrong = lacking(account.spec, facts.sizes, facts.images)
        wait = WHILE_LACKING if wrong else self._parts.settings.catalogue_interval
        return state.ask_catalogue or self._parts.clock.monotonic() >= self._catalogue_at + wait

    async def _ask_catalogue(self, cloud: Cloud, account: CloudAccount) -> None:
        """What it tells is kept at once; where it fails, that is a fact until the next time."""
        state, facts = self._state, self._state.facts
        flavors, images = (sorted(set(named.values())) for named in (account.spec.flavors, account.spec.images))
        what = "flavors"
        try:
            facts.sizes = catalogue(await cloud.sizes(tuple(flavors)), flavors)
            what = "images"
            facts.images = catalogue(await cloud.images(tuple(images)), images)
        except CloudError as error:
            log.debug("%s: %s were not told: %s %s", state.key, what, error.kind, error.code)
            self._untold(Untold(what, error.code, str(error)), error.kind)
            return
        facts.untold, state.ask_catalogue = None, False
        self._catalogue_of = _wanted(account)
        self._catalogue_at = self._parts.clock.monotonic()

    def _untold(self, untold: Untold, kind: ErrorKind) -> None:
        facts = self._state.facts
        if kind is ErrorKind.THROTTLED and facts.sizes is not None and facts.images is not None:
            return
        if untold != facts.untold:  # whose words stay: they are not to be written with every poll
            facts.untold = untold

    def _limits_due(self, cloud: Cloud) -> bool:
        state = self._state
        short = bool(state.full.standing()) or (state.facts.room is not None and exhausted(state.facts.room))
        return cloud.capabilities.limits_readable and (state.ask_limits or short)

    async def _ask_limits(self, cloud: Cloud) -> None:
        state, facts = self._state, self._state.facts
        try:
            facts.limits = await cloud.limits()
        except CloudError as error:
            log.debug("%s: limits were not told: %s %s", state.key, error.kind, error.code)
            return
        state.ask_limits = False
        self._measure()
        foreign = facts.foreign or Usage()
        share = room_left(facts.limits, foreign.instances, foreign.cpus, foreign.memory_bytes)
        if facts.room is not None:
            state.full.told(share, facts.room)

    def _measure(self) -> None:
        """What is left of the limits that the cloud told last."""
        state, facts = self._state, self._state.facts
        if facts.limits is None:
            return
        used, foreign = facts.used or Usage(), facts.foreign or Usage()
        held = state.holders.held
        facts.room = room_left(
            facts.limits,
            max(used.instances, held.instances) + foreign.instances,
            max(used.cpus, held.cpus) + foreign.cpus,
            max(used.memory_bytes, held.memory) + foreign.memory_bytes,
        )


def _wanted(account: CloudAccount) -> object:
    return dict(account.spec.flavors), dict(account.spec.images)
