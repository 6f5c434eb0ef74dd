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
    ],
)
def test_it_stays_mended(case: str, seed: int) -> None:
    assert run(next(one for one in CASES if one.name == case), seed).violations == []
