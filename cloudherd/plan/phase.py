"""What the state of one Instance means to a plan."""

from __future__ import annotations

from cloudherd.api import Instance
from cloudherd.api.conditions import is_true


def is_ready(instance: Instance) -> bool:
    return is_true(instance.status.conditions, "Ready") and not instance.deleting


def is_up(instance: Instance) -> bool:
    """Ready, or Unknown after having been so: an account that cannot be reached says nothing against its VMs."""
    return instance.status.phase == "Ready" and not instance.deleting


def is_ending(instance: Instance) -> bool:
    """Whether its place will come back: it is being deleted, or it failed and will be."""
    return instance.deleting or instance.status.phase == "Failed"
