"""Leadership by a Lease: of several processes one works, and it stops before another may begin.

Expiry is judged by one's own monotonic clock from the last change that one saw, never by times that others
wrote. The leader gives itself less time than it gives the others: it stops `stop_after` seconds after it sent
its last successful renewal, and nobody takes over sooner than `duration` seconds after that arrived.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from cloudherd.runtime.kinds import LEASE
from cloudherd.runtime.ports import ApiError, Clock, KubeApi, Object, Random

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds, with client-go's defaults. Work that was stopped has `duration - stop_after` to end."""

    duration: float = 15
    stop_after: float = 10
    retry: float = 2


class LeadershipLost(Exception):  # noqa: N818 - the process did nothing wrong
    """The Lease could not be renewed in time, or another holds it. The work was stopped."""


class Leadership:
    """One candidate. `identity` must be another one for every process, and for every start of it."""

    def __init__(
        self,
        api: KubeApi,
        clock: Clock,
        random: Random,
        *,
        namespace: str,
        name: str,
        identity: str,
        pace: Pace | None = None,
    ) -> None:
        self._api = api
        self._clock = clock
        self._random = random
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._pace = pace or Pace()
        self._seen: Object | None = None
        self._seen_at = 0.0
        self._sure = False
        """What was seen last is our own write, so that a renewal needs no look before."""
        self._leads_until = -math.inf

    @property
    def leading(self) -> bool:
        """Whether acting is still safe at this moment: to be asked before every act that cannot be taken back."""
        return self._clock.monotonic() < self._leads_until

    async def lead(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Waits for leadership, works until the work ends, and gives the Lease back.

        LeadershipLost where the leadership ends first. Cancelled, it stays leader until the work has ended.
        """
        while not await self._attempt():
            await self._clock.sleep(self._pace.retry * self._random.uniform(1.0, 1.2))
        logger.info("%s leads by the Lease %s/%s", self._identity, self._namespace, self._name)
        working = asyncio.ensure_future(work())
        renewing = asyncio.ensure_future(self._renew())
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
            lost = not working.done()
        finally:
            await self._end(working, renewing)
        if lost:
            raise LeadershipLost(f"the Lease {self._namespace}/{self._name} is not {self._identity}'s any more")
        return working.result()

    async def _end(self, working: asyncio.Future[T], renewing: asyncio.Future[None]) -> None:
        try:
            working.cancel()
            await asyncio.wait({working})
        finally:
            renewing.cancel()
        await asyncio.wait({renewing})
        await self._release()

    async def _renew(self) -> None:
        """Returns when the leadership is lost."""
        while self.leading:
            await self._clock.sleep(min(self._pace.retry, self._left()))
            try:
                async with asyncio.timeout(self._left()):
                    await self._attempt()
            except TimeoutError:
                logger.warning("the Lease %s/%s could not be renewed in time", self._namespace, self._name)

    def _left(self) -> float:
        return max(0.0, self._leads_until - self._clock.monotonic())

    async def _attempt(self) -> bool:
        """Takes or renews the Lease where that is allowed; whether it leads now."""
        began = self._clock.monotonic()
        try:
            if not self._sure:
                self._see(await self._api.get(LEASE, self._namespace, self._name))
            if self._taken():
                self._leads_until = -math.inf
                return False
            self._sure = False
            self._see(await self._write(self._identity, math.ceil(self._pace.duration)))
            self._sure = True
            self._leads_until = began + self._pace.stop_after
        except ApiError as error:
            if error.reason not in ("Conflict", "AlreadyExists"):
                logger.warning("the Lease %s/%s: %s: %s", self._namespace, self._name, error.reason, error)
        return self.leading

    def _see(self, lease: Object | None) -> None:
        if _version(lease) != _version(self._seen):
            self._seen_at = self._clock.monotonic()
        self._seen = lease

    def _taken(self) -> bool:
        spec = _spec(self._seen)
        if spec.get("holderIdentity") in (None, "", self._identity):
            return False
        return self._clock.monotonic() < self._seen_at + (spec.get("leaseDurationSeconds") or self._pace.duration)

    async def _write(self, holder: str, lasts: int) -> Object:
        """Writes the Lease, if it still is as it was seen."""
        now = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec: Object = {"holderIdentity": holder, "leaseDurationSeconds": lasts, "renewTime": now}
        before = _spec(self._seen)
        if before.get("holderIdentity") != holder:
            spec |= {"acquireTime": now, "leaseTransitions": before.get("leaseTransitions", -1) + 1}
        if self._seen is None:
            return await self._api.create(
                LEASE, {"metadata": {"namespace": self._namespace, "name": self._name}, "spec": spec}
            )
        lock = {key: self._seen["metadata"][key] for key in ("uid", "resourceVersion")}
        return await self._api.patch(LEASE, self._namespace, self._name, {"metadata": lock, "spec": spec})

    async def _release(self) -> None:
        """Nobody needs to wait for what was given back."""
        if not (self.leading and self._sure):
            return
        left, self._leads_until, self._sure = self._left(), -math.inf, False
        try:
            async with asyncio.timeout(left):
                await self._write("", 1)
        except (ApiError, TimeoutError) as error:
            logger.warning("the Lease %s/%s was not given back: %s", self._namespace, self._name, error)


def _spec(lease: Object | None) -> Object:
    return (lease or {}).get("spec") or {}


def _version(lease: Object | None) -> str:
    return str(lease["metadata"]["resourceVersion"]) if lease else ""
