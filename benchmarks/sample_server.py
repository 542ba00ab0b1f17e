"""The sample app with a provider that takes every order and never ends it: the app is measured, not providers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sample_app import create_app
from sample_app.catalogue import Provider
from sample_app.edges import Edges
from sample_app.providers.port import Accepted, Spend

if TYPE_CHECKING:
    from flask import Flask


@dataclass(frozen=True)
class Taking:
    """Takes orders."""

    provider: Provider = Provider.REPLICATE

    def quote(self, _order: object) -> Spend:
        return Spend(1, reported=False)

    def submit(self, _order: object, token: str, _webhook_url: str) -> Accepted:
        return Accepted(token)


def app() -> Flask:
    """For gunicorn."""
    edges: Any = Edges({Provider.REPLICATE: Taking()}, None, None)  # type: ignore[arg-type, dict-item]
    config: dict[str, object] = {
        "CONTROL_PLANE_SWEEP_SECONDS": 0,
        # In the request: what one turn leaves to threads would slow down the next.
        "CONTROL_PLANE_RUNNER_THREADS": 0,
        "CONTROL_PLANE_UNFINISHED_MAX": 100_000,
        # What a client and an account may do is not what is measured.
        "BSGUARD_LIMITER_GLOBAL_RATE": "1000000/second",
        "RATELIMIT_ENABLED": False,
        "BSGUARD_ENABLED": os.environ["BENCH_GUARDED"] == "yes",
    }
    return create_app(config, edges=edges)
