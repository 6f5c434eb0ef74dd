"""The agent's numbers: waits in seconds, caps and shares. Nothing that belongs to one account."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AgentSettings:
    orphan_age: float = 600
    """How long a VM without a record must have been seen before a sweep may end it."""
    predecessor_age: float = 3600
    """The same where an Instance of its name, with another id, exists."""
    sweep_cap: int = 5
    """VMs that one sweep may end; the next one comes with the next poll."""
    sweep_interval: float = 30
    mass_loss_count: int = 5
    mass_loss_share: float = 0.5
    """Of an account's VMs."""
    mass_loss_service_share: float = 0.9
    """Of a service's VMs at an account."""
    mass_loss_window: float = 120
    """Losses within so many seconds count as lost at once."""
    unreachable_after: float = 120
    """How long an account goes without a good listing until its Instances turn Unknown."""
    unknown_writes_per_second: int = 20
    late_creation: float = 600
    """How long a creation of unknown outcome, or one that an earlier process may have left under way, may still bring a
    VM. One that comes later is an orphan, which the sweep finds.
    """
    full_first: float = 60
    full_longest: float = 1800
    denied_longest: float = 300
    """The longest wait until launches are tried again where the cloud denies them but can be listed."""
    retry_first: float = 1
    retry_longest: float = 60
    destroy_again: float = 30
    """A VM that is still there so long after it was asked to end is asked again, then after twice as long, up to ten
    times as long."""
    ending_patience: float = 600
    """How long a VM may be on its way out until its Instance says so, and who can help."""
    shut_down_patience: float = 120
    """How long a VM that is to be stopped may take to shut down until it is switched off."""
    address_wait: float = 30
    """How long a running VM may be without an address until its Instance says so."""
    concurrent_launches: int = 16
    """Of one account; the cloud's own bound may be lower."""
    concurrent_calls: int = 32
    """Calls other than launches, of one account."""
    catalogue_interval: float = 3600
    """How often flavors and images are asked for while all of the account's are known; else with every poll."""
    count_interval: float = 5
    """What is used changes in an account's status at most so often."""
