"""All cases: the fifteen incidents, and the free mix."""

from __future__ import annotations

from tests.faults.mix import mix
from tests.faults.run import Case

CASES = (Case(0, "mix", mix),)
