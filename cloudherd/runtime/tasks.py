"""What is under way for one account: at most one task per Instance, and one of each name for the account itself.

So no Instance is worked on twice at a time, and no VM is launched twice by this process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from cloudherd.api import Instance
from cloudherd.runtime.account_state import AccountState, Parts
from cloudherd.runtime.agenda import Agenda
from cloudherd.runtime.kinds import INSTANCE
from cloudherd.runtime.ports import ApiError
from cloudherd.runtime.records import Gone

log = logging.getLogger(__name__)

Work = Coroutine[Any, Any, None]


class Tasks:
    """`idle` is awaited whenever nothing is under way any more."""

    def __init__(self, state: AccountState, parts: Parts, agenda: Agenda, idle: Callable[[], Awaitable[None]]) -> None:
        self._state = state
        self._parts = parts
        self._agenda = agenda
        self._idle = idle
        self._named: dict[str, asyncio.Task[None]] = {}

    def running(self, name: str) -> bool:
        return name in self._named

    def start(self, name: str, work: Callable[[], Work]) -> None:
        """Carries something out for the account, unless the same is under way. After a failure it waits a while."""
        if name not in self._named:
            self._named[name] = asyncio.create_task(self._run_named(name, work()))

    def drop(self, name: str) -> None:
        """Gives up what is under way by that name and has begun; its name is free when it has ended."""
        self._named[name].cancel()

    def work(self, record: Instance, work: Work) -> None:
        """Carries something out for an Instance that is not busy; it is looked at again when that has ended."""
        self._state.busy[record.uid] = asyncio.create_task(self._run(record, work))

    async def cancel(self) -> None:
        tasks = [*self._named.values(), *self._state.busy.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run_named(self, name: str, work: Work) -> None:
        settings = self._parts.settings
        try:
            await work
        except (ApiError, Gone) as error:
            log.debug("%s: %s: %s", self._state.key, name, error)
            await self._parts.clock.sleep(settings.retry_first)
        except Exception:
            log.exception("CloudAccount %s: %s", self._state.key, name)
            await self._parts.clock.sleep(settings.retry_longest)
        finally:
            self._named.pop(name, None)
            self._agenda.wake()
        if not self._state.busy and not self._named:
            await self._idle()

    async def _run(self, record: Instance, work: Work) -> None:
        try:
            await work
        except Gone:
            pass
        except ApiError as error:
            await self._refused(record, error)
        except Exception:
            log.exception("Instance %s", record.key)
            self._back_off(record)
        finally:
            self._state.busy.pop(record.uid, None)
            self._agenda.one(record.key)
            if self._state.look_again:
                self._state.look_again = False
                self._agenda.everything()

    async def _refused(self, record: Instance, error: ApiError) -> None:
        """The API server did not take a write; what we knew may be old."""
        log.debug("Instance %s: %s", record.key, error.reason)
        if error.reason == "Conflict" and await self._reread(record):
            return
        self._back_off(record)

    async def _reread(self, record: Instance) -> bool:
        try:
            await self._parts.records.read(INSTANCE, record)
        except Gone:
            return True
        except ApiError:
            return False
        return True

    def _back_off(self, record: Instance) -> None:
        settings, now = self._parts.settings, self._parts.clock.monotonic()
        track = self._state.track(record, now)
        self._agenda.at(track.failed(now, settings.retry_first, settings.retry_longest), record.key)
