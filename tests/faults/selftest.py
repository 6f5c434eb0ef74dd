"""`python -m tests.faults.selftest`: plants known bugs one by one; the harness must find each, and non-zero if not.

SEEDS is how many seeds of each case a bug may take (100 where left out), MUTANTS which bugs, by words of their names.
"""

from __future__ import annotations

import logging
import os
import sys
from concurrent.futures import ProcessPoolExecutor

from devenv.asked import number
from tests.faults.cases import CASES
from tests.faults.mutants import MUTANTS, Mutant
from tests.faults.run import Case, run


def main() -> int:
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(
            sys.executable, [sys.executable, "-m", "tests.faults.selftest"], {**os.environ, "PYTHONHASHSEED": "0"}
        )
    words = [word.strip() for word in os.environ.get("MUTANTS", "").split(",") if word.strip()]
    chosen = [one for one in MUTANTS if not words or any(word in one.name for word in words)]
    if not chosen:
        raise SystemExit(f"MUTANTS names no bug, but there are {', '.join(one.name for one in MUTANTS)}")
    caught = 0
    with ProcessPoolExecutor() as pool:
        for found, line in pool.map(hunt, (one.name for one in chosen)):
            caught += found
            sys.stdout.write(f"{'caught  ' if found else 'SURVIVED'} {line}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{caught} of {len(chosen)} planted bugs caught\n")
    return 0 if caught == len(chosen) else 1


def hunt(name: str) -> tuple[bool, str]:
    """Whether this bug was found, and how. A seed counts only if it is clean without the bug."""
    logging.disable(logging.WARNING)
    mutant = next(one for one in MUTANTS if one.name == name)
    cases = [next(case for case in CASES if case.name == wanted) for wanted in mutant.cases]
    seeds = number("SEEDS", 100, least=1)
    for seed in range(seeds):
        for case in cases:
            violations = planted(mutant, case, seed)
            if violations and not run(case, seed).violations:
                return True, f"{name}: {case.name}, seed {seed}: {violations[0][:150]}"
    return False, f"{name}: {seeds} seeds of {', '.join(mutant.cases)}"


def planted(mutant: Mutant, case: Case, seed: int) -> list[str]:
    with mutant.plant():
        return run(case, seed).violations


if __name__ == "__main__":
    sys.exit(main())
