"""The application of the server under test: guarded as the file ``SERVED_PLAN`` says, and it sends bodies back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from bsguard import guard


def create() -> Any:
    """The guarded application."""
    return guard(echo, json.loads(Path(os.environ["SERVED_PLAN"]).read_text()))


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Send the body back."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))])
    return [body]
