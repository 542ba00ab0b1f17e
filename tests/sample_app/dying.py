"""One cell of the crash matrix: a process that works on one generation and is killed at a named place, once.

It has no server of its own. What a provider reports is kept by the test's letter box and delivered from there, so that
the place of the kill is the cell's and nobody else's.
"""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sample_app import crash_points, create_app, lifecycle
from sample_app.clock import system_clock
from sample_app.jobs import Job

# What a process that comes later adds to the time: beyond the leases of the one that died, within webhooks' tolerance.
LATER_MS = 30_000
FINAL = ("succeeded", "failed", "cancelled", "expired")


@dataclass(frozen=True)
class Cell:
    """What happens to one generation. ``point`` is empty where nobody dies."""

    config: dict[str, object]
    letters: str
    key: str
    prompt: str
    order: tuple[str, ...]
    cancels: bool
    point: str


def work(cell: Cell, result: str, later_ms: int, point: str) -> None:
    """Ask for the generation, deliver what comes, sweep, until it has ended; in a process of its own."""
    if point:
        crash_points.hook = lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == point else None
    # What other cells did to a provider must not move this one's fault out of its way.
    lifecycle.health = lambda _connection, _now: {}
    shift = [later_ms]
    app = create_app(cell.config, clock=lambda: system_clock() + shift[0])
    client, parts = app.test_client(), app.extensions["control_plane"]
    seen = _ask(client, cell)
    delivered: set[str] = set()
    for turn in range(120):
        _deliver(client, cell.letters, delivered, _tokens(parts, seen["generation_id"]))
        parts.jobs.run(Job.SWEEP)
        seen = _see(client, cell, seen["generation_id"])
        if cell.cancels and seen["status"] == "running":
            path = f"/v1/generations/{seen['generation_id']}/cancel"
            client.post(path, headers=_headers(cell))
        made = _attempts(parts, seen["generation_id"])
        if seen["status"] in FINAL and not any(each["open"] for each in made):
            break
        if turn % 10 == 9:
            # Nothing more comes by itself: let the time pass in which it could.
            shift[0] += 100_000
        time.sleep(0.02)
    Path(result).write_text(json.dumps({"generation": seen, "attempts": made}), encoding="utf-8")
    parts.database.dispose()


def _headers(cell: Cell) -> dict[str, str]:
    return {"Authorization": f"Bearer {cell.key}"}


def _ask(client: Any, cell: Cell) -> dict[str, Any]:
    """Repeated by whoever comes later, as a client whose connection broke does."""
    body = {"generation_prompt": cell.prompt, "generation_provider_order": list(cell.order)}
    headers = _headers(cell) | {"Idempotency-Key": cell.prompt.replace(" ", "-")}
    answer = client.post("/v1/generate/image/reef-1", headers=headers, json=body)
    found: dict[str, Any] = answer.get_json()["data"]
    return found


def _see(client: Any, cell: Cell, generation_id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v1/generations/{generation_id}", headers=_headers(cell)).get_json()["data"]
    return found


def _attempts(parts: Any, generation_id: str) -> list[dict[str, Any]]:
    from sample_app import attempts

    with parts.database.reading() as connection:
        made = attempts.of(connection, generation_id)
    return [
        {
            "token": each.token,
            "state": each.state,
            "open": each.state.open or each.state is attempts.AttemptState.FINISHED,
            "spend": each.spend_micro_usd,
        }
        for each in made
    ]


def _tokens(parts: Any, generation_id: str) -> set[str]:
    return {each["token"] for each in _attempts(parts, generation_id)}


def _deliver(client: Any, letters: str, delivered: set[str], tokens: set[str]) -> None:
    """Deliver the reports about these attempts that this process has not delivered; providers repeat themselves."""
    with urllib.request.urlopen(letters, timeout=10) as answer:
        kept = json.load(answer)
    for letter in kept:
        if letter["id"] in delivered or not any(token in letter["path"] for token in tokens):
            continue
        delivered.add(letter["id"])
        client.post(letter["path"], headers=letter["headers"], data=letter["body"].encode())
