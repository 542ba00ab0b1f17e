"""The application of the servers under test: guarded as ``SERVED_PLAN`` says, and open about who serves."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from bsguard import guard
from bsguard.stores.redis import RedisStore


def create() -> Any:
    """The guarded application."""
    if os.environ["SERVED_PATIENT"] == "yes":
        # Some tests are about counting, on machines where a Redis server may be late; its time-outs have their own.
        RedisStore.__init__.__kwdefaults__.update(connect_ms=10_000, answer_ms=10_000)
    settings = json.loads(Path(os.environ["SERVED_PLAN"]).read_text())
    made = guard(serve, {key.removeprefix("BSGUARD_"): value for key, value in settings.items()})

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        environ["served.store"] = made.counters
        return made(environ, start_response)

    return app


def serve(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """``/private`` wants the credential ``Bearer good``; everything else tells the worker and its store."""
    refused = environ["PATH_INFO"] == "/private" and environ.get("HTTP_AUTHORIZATION") != "Bearer good"
    body = f"{os.getpid()} {environ['served.store'].name}".encode()
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response("401 Unauthorized" if refused else "200 OK", headers)
    return [body]
