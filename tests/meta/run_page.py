"""Runs the Python samples of one page, in their order and in one namespace, as a reader would who types them in.

A program of its own, so that no sample can disturb the tests or another page. Reads the samples as JSON from standard
input and writes what became of them, as JSON, to the file that is its argument. Before each sample, ``app`` is a new
Flask application and ``wsgi_app`` some WSGI application; after it, the guard must take the settings that the sample
made, and the application must answer. Functions named ``test_…`` are run as pytest would.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from flask import Flask

from bsguard import BSGuard, testing


def wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
    """Some WSGI application."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.input"].read()]


def run(sample: dict[str, Any], names: dict[str, Any], number: int) -> dict[str, Any]:
    """Run one sample; what it printed, which settings it made, how many tests it had, and what it answered."""
    app = names["app"] = Flask("demo", root_path=".", instance_path=str(Path("instance", str(number)).resolve()))
    names["wsgi_app"] = wsgi_app
    tests_before = {name: value for name, value in names.items() if name.startswith("test_")}
    # Lines of an error are then lines of the page.
    code = compile("\n" * sample["line"] + sample["text"], sample["page"], "exec", dont_inherit=True)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, names)
        app = names["app"]
        if isinstance(app, Flask) and "bsguard" not in app.extensions:
            BSGuard(app)
        tests = {name: value for name, value in names.items() if name.startswith("test_")}
        fresh = [value for name, value in tests.items() if tests_before.get(name) is not value]
        for test in fresh:
            wanted = inspect.signature(test).parameters
            test(**({"tmp_path": Path(tempfile.mkdtemp())} if "tmp_path" in wanted else {}))
    answer = testing.run(app, testing.environ())
    if answer.status >= 500:
        raise AssertionError(f"{sample['page']}:{sample['line']}: the application answers {answer.status}")
    made = app.config.get_namespace("BSGUARD_", lowercase=False) if isinstance(app, Flask) else {}
    return {"printed": printed.getvalue(), "settings": sorted(made), "tests": len(fresh), "status": answer.status}


def main() -> None:
    """Run all samples that standard input lists."""
    page = sys.modules["page"] = ModuleType("page")
    results = [run(sample, vars(page), number) for number, sample in enumerate(json.load(sys.stdin))]
    Path(sys.argv[1]).write_text(json.dumps(results), encoding="utf-8")


if __name__ == "__main__":
    main()
