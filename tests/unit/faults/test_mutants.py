"""Planted bugs are found, and leave nothing behind. All of them: make faults-selftest."""

from __future__ import annotations

import pytest

from tests.faults.cases import CASES
from tests.faults.mutants import MUTANTS
from tests.faults.run import run
from tests.faults.selftest import planted

NAMES = {case.name for case in CASES}


def test_every_planted_bug_names_cases_that_exist() -> None:
    assert {name for mutant in MUTANTS for name in mutant.cases} <= NAMES


@pytest.mark.parametrize("name", ["token per attempt", "record without finalizer"])
def test_a_planted_bug_is_found_within_a_few_seeds(name: str) -> None:
    mutant = next(one for one in MUTANTS if one.name == name)
    case = next(case for case in CASES if case.name == mutant.cases[0])
    found = next((seed for seed in range(20) if planted(mutant, case, seed)), None)
    assert found is not None
    assert run(case, found).violations == []
