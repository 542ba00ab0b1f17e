"""``./run bench [name …]``: run benchmarks, print a table, and write the figures as JSON to ``.run/bench.json``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

BENCHMARKS = {
    "stack": "benchmarks.stack",
    "limiter": "benchmarks.limiter",
    "contract": "benchmarks.contract",
    "crs": "benchmarks.crs",
    "waf": "benchmarks.waf",
    "session-cost": "benchmarks.session_cost",
    "sample": "benchmarks.sample",
}
_PACKAGES = ("bsguard", "werkzeug", "flask", "gunicorn", "lmdb", "redis", "openapi-core", "jsonschema-rs")
OUTPUT = Path(__file__).resolve().parent.parent / ".run" / "bench.json"


def main() -> int:
    """Run what was asked for; the exit status."""
    parser = argparse.ArgumentParser(prog="./run bench")
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(BENCHMARKS)}; all by default")
    names = parser.parse_args().names or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}")
    about = machine()
    print(", ".join(f"{key}: {value}" for key, value in about.items()))
    results: dict[str, list[dict[str, Any]]] = {}
    for name in names:
        print(f"\n{name}")
        results[name] = import_module(BENCHMARKS[name]).run()
        print_table(results[name])
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps({"machine": about, "results": results}, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {OUTPUT.relative_to(OUTPUT.parent.parent)}")
    return 0


def machine() -> dict[str, Any]:
    """What the figures were taken on and with."""
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "load": round(os.getloadavg()[0], 2),
        "versions": {name: metadata.version(name) for name in _PACKAGES},
    }


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print *rows*, which all have the same columns."""
    columns = list(rows[0])
    cells = [columns, *[["" if row[column] is None else str(row[column]) for column in columns] for row in rows]]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
