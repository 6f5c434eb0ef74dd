"""Writes the CustomResourceDefinitions of crds/ from the models; `--check` only says whether they drift."""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

import yaml

from cloudherd.api.crds import definitions

DIRECTORY = Path(__file__).resolve().parents[1] / "crds"
_HEADER = "# Made of the models in cloudherd/api by `make crds`; edit those.\n"


@functools.cache
def files() -> dict[str, str]:
    """What crds/ must hold, by file name."""
    return {
        f"{plural}.yaml": _HEADER + yaml.safe_dump(crd, sort_keys=False, width=120, allow_unicode=True)
        for plural, crd in definitions().items()
    }


def drift(directory: Path) -> list[str]:
    """The names of files in `directory` that are missing, differ from the models, or belong to none."""
    expected = files()
    found = {path.name: path.read_text() for path in directory.glob("*.yaml")}
    return sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m devenv.crds", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where crds/ and the models differ")
    stale = drift(DIRECTORY)
    if parser.parse_args(arguments).check:
        if stale:
            print(f"crds/ differs from the models in {', '.join(stale)}: run `make crds` and commit what it writes")
        return 1 if stale else 0
    DIRECTORY.mkdir(exist_ok=True)
    for name in stale:
        (DIRECTORY / name).unlink(missing_ok=True)
        if name in files():
            (DIRECTORY / name).write_text(files()[name])
    print(f"crds/: {', '.join(stale) or 'nothing'} changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
