"""``./run bench session``: plays worlds, prints what the session layer finds in them, and writes it to ``.run``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from typing import TYPE_CHECKING, Any

from benchmarks.run import OUTPUT, machine, print_table
from benchmarks.session.api import APIS
from benchmarks.session.drive import play
from benchmarks.session.outcome import outcome
from benchmarks.session.report import alarms_table, as_json, highest_table, kinds_table, rates_table
from benchmarks.session.scorers import SessionScores, Static

if TYPE_CHECKING:
    from benchmarks.session.drive import Played
    from benchmarks.session.scorers import Reasons

#: The layer as a user would have it, watching; every score is told.
CONFIG = {"LAYERS": ["protocol", "session"], "MODE": "monitor", "STORE": "memory", "SESSION_SCORE_MIN": 1}
#: The score that is an alarm without a setting.
SHIPPED_SCORE = 100


def main() -> int:
    """Play, measure, print; the exit status."""
    parser = argparse.ArgumentParser(prog="./run bench session", description=__doc__)
    parser.add_argument("--seeds", default="1,2,3,4", help="one world each; even ones have the other API (1,2,3,4)")
    parser.add_argument("--keys", type=int, default=200, help="customers of a world (200)")
    parser.add_argument("--days", type=int, default=21, help="days of a world (21)")
    parser.add_argument("--jobs", type=int, default=1, help="worlds at the same time (1)")
    parser.add_argument("--rate", type=float, default=0.001, help="false alarms a key-day (0.001)")
    asked = parser.parse_args()
    about = machine()
    print(", ".join(f"{key}: {value}" for key, value in about.items()))
    seeds = [int(seed) for seed in asked.seeds.split(",")]
    with ProcessPoolExecutor(asked.jobs) as pool:
        made = list(pool.map(_world, seeds, repeat(asked.keys), repeat(asked.days)))
    worlds, reasons = [played for played, _ in made], [reasons for _, reasons in made]
    session, static = (outcome(worlds, scorer, asked.rate) for scorer in ("session", "static"))
    shipped = outcome(worlds, "session", asked.rate, limit=SHIPPED_SCORE - 1)
    outcomes = {"session": session, "session as shipped": shipped, "static": static}
    for title, rows in (
        ("thresholds are set on validation keys; the figures are of test keys", rates_table(outcomes, asked.rate)),
        ("attacks; requests and objects are medians until an alarm", kinds_table(session, static, shipped)),
        ("alarms on honest key-days", alarms_table(session)),
        ("the highest honest key-days", highest_table(session, reasons)),
    ):
        print(f"\n{title}")
        print_table(rows)
    written = OUTPUT.with_name("session.json")
    written.parent.mkdir(exist_ok=True)
    figures: dict[str, Any] = {"machine": about, **as_json(outcomes, worlds, asked.rate)}
    written.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(f"\nwritten to {written.relative_to(written.parent.parent)}")
    return 0


def _world(seed: int, keys: int, days: int) -> tuple[Played, Reasons]:
    began = time.process_time()
    scores = SessionScores()
    api = APIS[(seed + 1) % len(APIS)]
    played = play(seed, keys, days, api, [scores, Static()], sink=scores, config=CONFIG)
    seconds = time.process_time() - began
    what = f"{played.requests:,} requests of {len(played.archetypes)} keys in {days} days"
    each = seconds / played.requests * 1e6
    print(
        f"\rworld {seed} ({api.name}): {what}, {seconds:.0f} s, {each:.0f} us each; events {scores.events}", flush=True
    )
    return played, scores.reasons


if __name__ == "__main__":
    sys.exit(main())
