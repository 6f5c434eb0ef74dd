"""Numbers for commands: what is no number is one sentence, not a traceback."""

from __future__ import annotations

import pytest

from devenv.asked import number


@pytest.mark.parametrize(("given", "is_"), [("7", 7), ("", 100)])
def test_the_environment_says_a_number_or_nothing(given: str, is_: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEDS", given)
    assert number("SEEDS", 100) == is_


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "0"])
def test_anything_else_ends_with_a_sentence(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEDS", given)
    with pytest.raises(SystemExit, match=f"SEEDS is '{given}': make it a whole number from 1 on"):
        number("SEEDS", 100, least=1)
