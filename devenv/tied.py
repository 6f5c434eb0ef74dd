"""python -m devenv.tied MODULE [ARGUMENT...]: runs a module as `python -m MODULE` does, and ends with its caller.

The caller holds the other end of our standard input: once that is closed, however the caller ended, we are told to
end, and are ended if we do not.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

GRACE = 10.0


def end_with_stdin() -> None:
    """From now on the end of standard input is a SIGTERM to ourselves, and a SIGKILL `GRACE` seconds later."""
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    while os.read(0, 4096):
        pass
    killer = threading.Timer(GRACE, os.kill, (os.getpid(), signal.SIGKILL))
    killer.daemon = True
    killer.start()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    end_with_stdin()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
