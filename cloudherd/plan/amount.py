"""VMs, cores and bytes counted together."""

from __future__ import annotations

from dataclasses import dataclass

from cloudherd.api.instance import Resources

ROUNDING = 1e-6
"""Cores may be fractions, and sums of fractions are not exact."""


@dataclass(frozen=True, slots=True)
class Amount:
    instances: float = 0
    cpus: float = 0
    memory: float = 0

    @classmethod
    def of(cls, resources: Resources, times: int = 1) -> Amount:
        """So many VMs of this size."""
        return cls(times, resources.cpus * times, resources.memory * times)

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.instances + other.instances, self.cpus + other.cpus, self.memory + other.memory)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.instances - other.instances, self.cpus - other.cpus, self.memory - other.memory)

    def covers(self, other: Amount) -> bool:
        return (
            self.instances >= other.instances
            and self.cpus >= other.cpus - ROUNDING
            and self.memory >= other.memory - ROUNDING
        )

    def max(self, other: Amount) -> Amount:
        return Amount(max(self.instances, other.instances), max(self.cpus, other.cpus), max(self.memory, other.memory))

    def min(self, other: Amount) -> Amount:
        return Amount(min(self.instances, other.instances), min(self.cpus, other.cpus), min(self.memory, other.memory))


NOTHING = Amount()
