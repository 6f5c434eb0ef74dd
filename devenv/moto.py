"""An EC2 on loopback, for development and tests: moto's server behind `moto_wrapper`. Never listens elsewhere.

python -m devenv.moto [--port 5000]     port 0 takes a free one; the first line printed tells it
Ends cleanly on SIGTERM and Ctrl-C; its state ends with it.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Sequence

HOST = "127.0.0.1"
LISTENING = "EC2 (moto) listens on "


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m devenv.moto", description="moto's EC2 on loopback, with knobs")
    parser.add_argument("--port", type=int, default=5000, help="0 for a free one, which the first line printed tells")
    port = parser.parse_args(arguments).port

    # Read by moto when it is imported. Without them it launches images and types that do not exist.
    os.environ.setdefault("MOTO_ENABLE_AMI_VALIDATION", "true")
    os.environ.setdefault("MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION", "true")
    from werkzeug.serving import WSGIRequestHandler, make_server

    from devenv.moto_wrapper import MotoWrapper

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # keep-alive: several times faster for clients that keep their connection

        def log_request(self, *_: object) -> None: ...

    server = make_server(HOST, port, MotoWrapper(), threaded=True, request_handler=Handler)
    for number in (signal.SIGTERM, signal.SIGINT):
        # shutdown() waits for the loop to end, which runs in this thread
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"{LISTENING}http://{HOST}:{server.port}", flush=True)
    server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
