"""`python -m tests.kills`: kills operators at random moments on a real control plane and EC2's protocol; `make kills`.

KILLS (100 where left out) and SEED (0) come from the environment. The seed decides every draw; when the operator does
what between two kills is decided by the machine. Ends non-zero on a violation, with a short story of it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from devenv.asked import number
from devenv.failure import Failure
from devenv.stage import Stage
from tests.faults.story import ending
from tests.kills.run import Outcome, run

LAST_WORDS = 40


def main() -> int:
    kills, seed = number("KILLS", 100, least=1), number("SEED", 0)
    directory, keep = Path(tempfile.mkdtemp(prefix="cloudherd-kills-")), False
    try:
        with Stage(directory) as stage:
            outcome = run(stage, kills, seed, say)
            words = stage.said().splitlines()[-LAST_WORDS:]
        keep = bool(outcome.violations)
    except Failure as failure:
        keep = True
        say(f"seed {seed}: {failure}", f"all logs are kept in {directory}")
        return 1
    finally:
        if not keep:
            shutil.rmtree(directory)
    if outcome.violations:
        say(*told(outcome), "the operators' last words:", *(f"    {line}" for line in words))
        say(f"all logs are kept in {directory}")
    say("", *table(outcome), "", f"{outcome.kills} kills, {len(outcome.violations)} violations")
    return 1 if outcome.violations or outcome.kills < kills else 0


def told(outcome: Outcome) -> list[str]:
    """A violation's short story, and how to try again."""
    again = f"make kills KILLS={outcome.kills} SEED={outcome.seed}"
    return [f"seed {outcome.seed}: {outcome.violations[0]}", *(f"    {line}" for line in ending(outcome.story)), again]


def table(outcome: Outcome) -> list[str]:
    """One line for each phase of each setup, over all rounds."""
    head = f"{'':36} {'kills':>6} {'under way':>10} {'outages':>8} {'highest/ceiling':>16} {'end/expected':>13}"
    lines = [
        f"{f'{setup}, {phase}':36} {row.kills:6} {row.under_way:10} {row.outages:8} "
        f"{f'{row.highest}/{row.ceiling}':>16} {f'{row.end}/{row.phase.total}':>13}"
        for (setup, phase), row in outcome.rows.items()
    ]
    outages = sum(row.outages for row in outcome.rows.values())
    looks = f"EC2 was listed {outcome.looks} times; the control plane was stopped and started {outages} times"
    return [head, *lines, looks]


def say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
