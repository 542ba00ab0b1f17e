"""The control plane with a trap: a worker that passes an armed place in a generation's life is killed there."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from sample_app import crash_points, create_app, lifecycle

if TYPE_CHECKING:
    from flask import Flask


def app() -> Flask:
    """The application, trapped."""
    armed = Path(os.environ["TESTS_ARMED"])

    def passing(name: str) -> None:
        try:
            # Whoever removes it is the one.
            (armed / name).unlink()
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    crash_points.hook = passing
    if os.environ.get("TESTS_HEALTHY"):
        # Then every provider keeps its place, and every fault comes where the test wants it.
        lifecycle.health = lambda _connection, _now: {}
    return create_app()
