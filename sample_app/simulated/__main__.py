"""Serve one simulated provider until told to stop: ``python -m sample_app.simulated fal --port 9001``."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading

from werkzeug.serving import make_server

from sample_app.simulated.engine import Pace
from sample_app.simulated.server import SimulatedProvider
from sample_app.webhooks.signatures import read_secret


def main() -> int:
    """Serve; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sample_app.simulated", description=__doc__)
    parser.add_argument("provider", choices=("replicate", "fal", "openrouter"))
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port; the address is printed")
    parser.add_argument("--run-seconds", type=float, default=Pace().run)
    parser.add_argument("--slow-seconds", type=float, default=Pace().slow)
    parser.add_argument("--late-seconds", type=float, default=Pace().webhook_late)
    parser.add_argument("--hold-seconds", type=float, default=Pace().hold)
    given = parser.parse_args()
    # Credentials are not for command lines, which everybody on the machine can read.
    token, text = os.environ["SIMULATED_TOKEN"], os.environ["SIMULATED_WEBHOOK_SECRET"]
    # OpenRouter's key is the text itself, a standard one is written in base64.
    secret = text.encode() if given.provider == "openrouter" else read_secret(text)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    pace = Pace(given.run_seconds, given.slow_seconds, given.late_seconds, given.hold_seconds)
    app = SimulatedProvider(given.provider, token, secret, pace)
    server = make_server("127.0.0.1", given.port, app, threaded=True)
    app.engine.base = f"http://127.0.0.1:{server.server_port}"
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    sys.stdout.write(json.dumps({"url": app.engine.base}) + "\n")
    sys.stdout.flush()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return 0
    finally:
        app.engine.stop()
    return 0


if __name__ == "__main__":
    # Threads that hold a connection for a fault must not hold the process.
    os._exit(main())
