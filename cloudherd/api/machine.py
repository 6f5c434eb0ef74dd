"""What a service's VMs are made of, in names and sizes that mean the same at every cloud."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cloudherd.api.fields import CloudName, Grace, MemoryQuantity, Options, Quantity, ShortText, Tags
from cloudherd.api.meta import Model
from cloudherd.api.quantity import parse_quantity
from cloudherd.api.schema import Crd, Rule, validated


class MachineOverride(Model):
    """What is different at one cloud: matched by provider, by account (`namespace.name` or a name), or both; the last
    match wins.
    """

    model_config = validated(
        Rule(
            "has(self.provider) || has(self.account)",
            "an override needs a provider or an account (a name or namespace.name) that it is for",
        )
    )

    provider: ShortText | None = None
    account: ShortText | None = None
    flavor: CloudName | None = None
    image: CloudName | None = None
    options: Options = Field(default_factory=dict)


class MachineResources(Model):
    """The least that a VM needs. Of an account's flavors the cheapest with so much is taken, the smallest where no
    prices are known.
    """

    model_config = validated(
        Rule("has(self.cpus) || has(self.memory) || has(self.disk)", "give at least one of cpus, memory and disk")
    )

    cpus: Quantity | None = None
    memory: MemoryQuantity | None = None
    disk: MemoryQuantity | None = None

    @property
    def amounts(self) -> tuple[float, float, float]:
        """Cores, bytes of memory and bytes of disk."""
        cpus, memory, disk = (parse_quantity(one) if one is not None else 0 for one in self.each)
        return cpus, memory, disk

    @property
    def each(self) -> tuple[str | int | None, ...]:
        return self.cpus, self.memory, self.disk

    def __str__(self) -> str:
        names = zip(("cpus", "memory", "disk"), self.each, strict=True)
        return ", ".join(f"{name} {value}" for name, value in names if value is not None)


class Machine(Model):
    """`flavor` and `image` are names that accounts translate."""

    model_config = validated(
        Rule(
            "has(self.flavor) != has(self.resources)",
            "give either flavor, a name that accounts translate, or resources, for the smallest flavor with so much",
        )
    )

    flavor: CloudName | None = None
    resources: MachineResources | None = None
    image: CloudName
    tags: Tags = Field(default_factory=dict)
    """The user's own tags, put on the VMs at the cloud."""
    options: Options = Field(default_factory=dict)
    """Provider-specific."""
    deletion_grace: Grace = "0s"
    """The time that a VM has to shut down by itself before it is destroyed."""
    overrides: Annotated[list[MachineOverride], Crd(maxItems=16)] = Field(default_factory=list)
