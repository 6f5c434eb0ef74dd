"""The planner in stories: golden transcripts in the default order and in one of chance, and a hundred orders more.

In every step of every run the rules of `rules.py` are checked, and in every quiet moment that nobody was forgotten.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.plan.cases import CASES, Case
from tests.unit.plan.simulation import Simulation
from tests.unit.plan.users import User

GOLDEN = Path(__file__).parent / "golden"
ORDERS = 100


def run(case: Case, seed: int | None = None, *, trouble: bool = False) -> Simulation:
    simulation = Simulation(*case.accounts, seed=seed, trouble=trouble)
    case.play(simulation, User(simulation))
    simulation.finish()
    return simulation


@pytest.mark.parametrize("seed", [None, 0], ids=["default-order", "seed-0"])
@pytest.mark.parametrize("name", CASES)
def test_the_story_is_the_one_that_was_agreed_on(name: str, seed: int | None, write_golden: bool) -> None:
    simulation = run(CASES[name], seed)
    order = "" if seed is None else f", in an order of chance ({seed})"
    text = "\n".join([f"{CASES[name].title}{order}", *simulation.story, ""])
    file = GOLDEN / f"{name}{'' if seed is None else f'.seed-{seed}'}.txt"
    if write_golden:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text(), f"write it anew with --write-golden and read the difference: {file.name}"


@pytest.mark.parametrize("name", CASES)
def test_it_ends_alike_in_any_order(name: str) -> None:
    case = CASES[name]
    expected = run(case).outcomes
    for seed in range(1, ORDERS, 2):
        outcomes = run(case, seed).outcomes
        assert case.differs or outcomes == expected, f"seed {seed}"


@pytest.mark.parametrize("name", CASES)
def test_it_holds_when_writes_fail_and_users_do_not_wait(name: str) -> None:
    for seed in range(0, ORDERS, 2):
        run(CASES[name], seed, trouble=True)
