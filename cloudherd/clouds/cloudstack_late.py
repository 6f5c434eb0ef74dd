"""Launches whose jobs had not ended when their driver stopped waiting, and what became of those that failed.

CloudStack lists jobs only while they run, and tells of one that has ended by its own ID alone, which no VM shows: so
the ID is kept, for all drivers of the process, since any of an account's threads may list what another one launched.
After a restart a failed launch is a VM in the state Error, without a cause.
"""

from __future__ import annotations

_MOST = 10_000


class LateLaunches:
    """By the ID of the VM, which no two CloudStacks share. Each step is a dict's own, so that threads need no lock."""

    def __init__(self) -> None:
        self._jobs: dict[str, str] = {}
        self._verdicts: dict[str, str] = {}

    def keep(self, vm_id: str, job_id: str) -> None:
        if len(self._jobs) >= _MOST:
            self.forget(next(iter(self._jobs), ""))
        self._jobs[vm_id] = job_id

    def job(self, vm_id: str) -> str:
        """Empty where there is none."""
        return self._jobs.get(vm_id, "")

    def verdict(self, vm_id: str) -> str | None:
        """How the cloud said that it had no room; empty where it failed otherwise, None where nobody has asked yet."""
        return self._verdicts.get(vm_id)

    def judged(self, vm_id: str, words: str) -> None:
        self._verdicts[vm_id] = words

    def forget(self, vm_id: str) -> None:
        self._jobs.pop(vm_id, None)
        self._verdicts.pop(vm_id, None)
