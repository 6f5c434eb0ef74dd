"""`python -m tests.faults`: runs every case with many seeds on all cores, one line per case, non-zero on a violation.

SEEDS (per case), SEED_START, CASES (names or numbers, by commas) and MINUTES (no new run after so many) come from the
environment. A single seed of a single case tells its whole story with STORY=1.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field

from devenv.asked import number
from tests.faults.cases import CASES
from tests.faults.run import Case, Outcome, run
from tests.faults.story import ending

CHUNK = 5
SHOWN = 3


@dataclass(slots=True)
class Total:
    """What all runs of a case came to."""

    runs: int = 0
    steps: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    bad: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.runs += 1
        self.steps += outcome.steps
        self.faults += outcome.faults
        if outcome.violations:
            self.bad.append(outcome)


def main() -> int:
    # Sets of names are walked in an order that Python draws anew for every process, unless it is told not to.
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(sys.executable, [sys.executable, "-m", "tests.faults"], {**os.environ, "PYTHONHASHSEED": "0"})
    seeds, start = number("SEEDS", 1000, least=1), number("SEED_START", 0)
    cases = chosen(os.environ.get("CASES", ""))
    minutes = number("MINUTES", 0)
    until = time.monotonic() + 60 * minutes if minutes else float("inf")
    totals = {case.name: Total() for case in cases}
    for outcome in outcomes(cases, range(start, start + seeds), until):
        totals[outcome.case].add(outcome)
        if outcome.violations and len(totals[outcome.case].bad) <= SHOWN:
            say(*told(outcome))
    return summary(cases, totals, start)


def chosen(text: str) -> list[Case]:
    wanted = {word.strip() for word in text.split(",") if word.strip()}
    found = [case for case in CASES if not wanted or {case.name, str(case.number)} & wanted]
    unknown = wanted - {word for case in found for word in (case.name, str(case.number))}
    if unknown:
        raise SystemExit(f"CASES names {', '.join(sorted(unknown))}, but there are {', '.join(c.name for c in CASES)}")
    return found


def outcomes(cases: list[Case], seeds: range, until: float) -> Iterator[Outcome]:
    """In turns, so that every case has had its share when time is up."""
    work = [(case.name, seeds[at : at + CHUNK]) for at in range(0, len(seeds), CHUNK) for case in cases]
    with ProcessPoolExecutor() as pool:
        waiting = [pool.submit(chunk, name, some, until) for name, some in work]
        for done in as_completed(waiting):
            yield from done.result()


def chunk(name: str, seeds: range, until: float) -> list[Outcome]:
    """Some runs, in a process of their own. Stories are kept of violations only."""
    logging.disable(logging.WARNING)
    gc.set_threshold(200_000)
    case = next(case for case in CASES if case.name == name)
    done = []
    for seed in seeds:
        if time.monotonic() >= until:
            break
        outcome = run(case, seed)
        if not (outcome.violations or os.environ.get("STORY")):
            outcome.story = []
        done.append(outcome)
    return done


def told(outcome: Outcome) -> list[str]:
    """A violation's short story, and how to see it again."""
    story = outcome.story if os.environ.get("STORY") else ending(outcome.story)
    again = f"make faults CASES={outcome.case} SEEDS=1 SEED_START={outcome.seed} STORY=1"
    return [f"{outcome.case}, seed {outcome.seed}: {outcome.violations[0]}", *(f"    {line}" for line in story), again]


def summary(cases: list[Case], totals: dict[str, Total], start: int) -> int:
    everything: Counter[str] = Counter()
    for case in cases:
        total = totals[case.name]
        everything += total.faults
        seeds = ", ".join(str(one.seed) for one in sorted(total.bad, key=lambda one: one.seed)[:10])
        say(
            f"{case.number:2} {case.name:24} seeds {start}-{start + total.runs - 1}: {total.steps} steps, "
            f"{total.faults.total()} faults, {len(total.bad)} violations" + (f" (seeds {seeds})" if seeds else "")
        )
    say("", *(f"{count:8} x {fault}" for fault, count in sorted(everything.items())), "")
    runs, bad = (sum(numbers) for numbers in zip(*((t.runs, len(t.bad)) for t in totals.values()), strict=True))
    say(f"{runs} runs, {everything.total()} faults, {bad} violations")
    return 1 if bad or not runs else 0


def say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
