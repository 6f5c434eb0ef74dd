"""Runs that once found a bug, each by its case and seed."""

from __future__ import annotations

import pytest

from tests.faults.cases import CASES
from tests.faults.run import run


@pytest.mark.parametrize(
    ("case", "seed"),
    [
        # A creation timed out and its agent was killed with it; the next one waited a minute for the VM, not ten.
        ("deleted-during-create", 7),
        # A restored account had no flavors yet, and refused the Instances whose VMs a listing hid: all were replaced.
        ("restored", 121),
        # A VM that a second agent had launched was too young for listings and looks, and was taken for gone.
        ("mix", 122),
        # Lists of Instances and accounts were cut short at the start: what was hidden was made anew at another site.
        ("bad-list-at-start", 504),
        ("bad-list-at-start", 512),
        # An empty listing, and half of the looks by ID failed: the others were too few for the brake on mass losses.
        ("partition", 560),
        # Two agents: one let a record go while the other's launch, of which nothing was written, was under way.
        ("mix", 619),
        # A cluster was restored under an operator whose watch of Instances had stalled: it made them anew.
        ("restored", 20018),
        # Two agents: the first one's launch was refused, and it took that for the end of the second one's claim too.
        ("mix", 41005),
        # Two agents had asked for an account's limits at different times, and wrote them over each other without end.
        ("mix", 42037),
    ],
)
def test_it_stays_mended(case: str, seed: int) -> None:
    assert run(next(one for one in CASES if one.name == case), seed).violations == []
