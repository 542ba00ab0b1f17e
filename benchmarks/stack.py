"""Protocol and tenant, alone and fused, over the bare application."""

from __future__ import annotations

import logging
import tempfile
from functools import partial
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix

from benchmarks.frozen import Frozen
from benchmarks.measure import app, time_apps
from bsguard import Protocol, Tenant, guard, stack

#: Microseconds over the bare application, on the two-core machine of the design; for orientation.
BARS = {"get": 30.0, "post_1k": 40.0}

_API = {"name": "api", "kind": "api", "hosts": ["api.us.babysea.ai"], "prefixes": ["/v1"]}


def run() -> list[dict[str, Any]]:
    """One row for each request and arrangement."""
    logging.disable(logging.WARNING)
    settings = {"SURFACES": [_API]}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        apps = {
            "bare": app,
            "werkzeug ProxyFix": ProxyFix(app),
            "protocol": Protocol(app, settings=settings),
            "tenant": Tenant(app, settings=settings),
            "protocol + tenant fused": stack(
                app, partial(Protocol, settings=settings), partial(Tenant, settings=settings)
            ),
            "guard(), all there is": guard(app, {"MODE": "enforce", "STATE_DIR": folder, **settings}),
        }
        for name in BARS:
            timings = time_apps(apps, Frozen.load(name).factory())
            bare = timings["bare"].median
            for label, timing in timings.items():
                rows.append(
                    {
                        "request": name,
                        "arrangement": label,
                        "median_us": round(timing.median, 2),
                        "spread_us": f"{timing.low:.1f}-{timing.high:.1f}",
                        "added_us": round(timing.median - bare, 2),
                        "bar_us": BARS[name] if "fused" in label else None,
                    }
                )
    return rows
