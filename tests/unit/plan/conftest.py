"""`pytest tests/unit/plan --write-golden` writes the transcripts of tests/unit/plan/golden anew, to be read before they
are committed.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write the planner's transcripts anew")


@pytest.fixture
def write_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--write-golden", default=False))
