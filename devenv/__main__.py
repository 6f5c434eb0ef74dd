"""python -m devenv up | down | tools | kind: what the Makefile's targets run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from devenv import helm, kind, toolchain, up
from devenv.failure import Failure

ROOT = Path(__file__).resolve().parents[1]


def _tools(root: Path) -> None:
    """Builds what the tests need, if need be, ahead of a command that would show nothing while it waits."""
    for name in toolchain.PACKAGES:
        toolchain.program(name)
    helm.program()
    up.link(toolchain.program("kubectl"), root / ".local" / "bin" / "kubectl")


_COMMANDS: dict[str, Callable[[Path], None]] = {"up": up.up, "down": up.down, "tools": _tools, "kind": kind.run}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m devenv", description=__doc__)
    parser.add_argument("command", choices=_COMMANDS)
    try:
        _COMMANDS[parser.parse_args().command](ROOT)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
