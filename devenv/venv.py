"""Makes the checkout's .venv from the lock, or brings it to it. Run by the machine's own Python, before all else.

Does nothing while the stamp in .venv names the lock that is there. Standard library only, and no syntax newer than
Python 3.7, so that an old Python still says what is missing.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "cloudherd-lock"
OLDEST = (3, 11)


def wanted() -> str:
    """What the stamp says of a .venv that is right. Its programs hold its path: a checkout that moved needs another."""
    digest = hashlib.sha256()
    for name in ("requirements-dev.lock", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return f"{digest.hexdigest()} {ROOT}\n"


def right() -> bool:
    return STAMP.is_file() and STAMP.read_text() == wanted() and PYTHON.exists()


@contextmanager
def locked() -> Iterator[None]:
    import fcntl

    path = ROOT / ".local" / "venv.lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def missing() -> str | None:
    """What this machine's Python lacks, in one line; None if nothing."""
    if sys.version_info < OLDEST:
        return "Cloudherd needs Python {}.{} or newer and this is {}: name another with `make PYTHON=...`".format(
            *OLDEST, sys.version.split()[0]
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        return f"Python's module {error.name} is missing: install it (on Debian and Ubuntu: apt install python3-venv)"
    return None


def run(what: str, *command: str) -> None:
    """Runs a command; ends us with one line where it fails."""
    result = subprocess.run(
        command, check=False, cwd=str(ROOT), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if result.returncode != 0:
        lines = result.stdout.decode(errors="replace").strip().splitlines()
        errors = [line for line in lines if line.startswith("ERROR")] or lines or ["no reason given"]
        sys.exit(f"{what} failed: {errors[-1]}")


def make() -> None:
    print("installing the Python packages of requirements-dev.lock into .venv: this takes a minute or two", flush=True)
    moved = STAMP.exists() and not STAMP.read_text().endswith(f" {ROOT}\n")
    if STAMP.exists():
        STAMP.unlink()
    if moved or not PYTHON.exists():
        run("python -m venv", sys.executable, "-m", "venv", "--clear", str(VENV))
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run("pip install", *pip, "--require-hashes", "-r", "requirements-dev.lock")
    # In the way of old, a path to the checkout: packages that come later are found without installing again.
    editable = ["--no-deps", "--no-build-isolation", "--config-settings", "editable_mode=compat", "-e", "."]
    run("pip install -e .", *pip, *editable)
    STAMP.write_text(wanted())


def main() -> None:
    if right():
        return
    problem = missing()
    if problem:
        sys.exit(problem)
    with locked():
        if not right():
            make()


if __name__ == "__main__":
    main()
