"""Importing one layer loads that layer: each check runs in an interpreter of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import bsguard
from tests.flask_ext.support import cases

HEAVY = ("flask", "werkzeug", "jinja2", "click", "sqlalchemy", "openapi_core", "openapi_spec_validator", "jsonschema")

PUBLIC = (
    "BSGuard", "BsguardError", "ConfigError", "Protocol", "Tenant", "__version__", "guard", "identify", "stack",
)  # fmt: skip

SERVE = """
from bsguard.testing import environ, run
def hello(environ, start_response):
    start_response("200 OK", [])
    return [b""]
"""
QUIET = '{"MODE": "enforce", "STATE_DIR": "state", "EVENTS_STORED": False}'

# (id, code, modules of ours that must not be loaded either)
IMPORTS = [
    ("the package", "import bsguard", ["bsguard.core", "bsguard.protocol", "bsguard.tenant", "bsguard.extension"]),
    ("the protocol layer", "import bsguard.protocol", ["bsguard.tenant", "bsguard.extension", "bsguard.observe"]),
    ("the tenant layer", "import bsguard.tenant", ["bsguard.protocol", "bsguard.extension", "bsguard.observe"]),
    ("Protocol by its public name", "from bsguard import Protocol", ["bsguard.tenant", "bsguard.standard"]),
    ("Tenant by its public name", "from bsguard import Tenant", ["bsguard.protocol", "bsguard.standard"]),
    ("stack", "from bsguard import stack", ["bsguard.protocol", "bsguard.tenant", "bsguard.standard"]),
    ("identify", "from bsguard import identify", ["bsguard.protocol", "bsguard.tenant", "bsguard.standard"]),
    ("ConfigError", "from bsguard import ConfigError", ["bsguard.protocol", "bsguard.tenant", "bsguard.standard"]),
    ("guard", "from bsguard import guard", ["bsguard.extension", "bsguard.cli"]),
    ("BSGuard", "from bsguard import BSGuard", ["bsguard.cli"]),
    ("the helpers for tests", "from bsguard import testing", ["bsguard.protocol", "bsguard.tenant"]),
    (
        "a layer that serves",
        f"{SERVE}\nfrom bsguard import Protocol\nassert run(Protocol(hello), environ()).status == 200",
        ["bsguard.tenant", "bsguard.observe", "bsguard.stores", "sqlite3"],
    ),
    (
        "a guard that serves and refuses",
        f"{SERVE}\nfrom bsguard import guard\napp = guard(hello, {QUIET})\n"
        'assert [run(app, environ(method)).status for method in ("GET", "BREW")] == [200, 405]',
        ["bsguard.extension", "bsguard.cli"],
    ),
]


def python(code: str, folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(Path(bsguard.__file__).parents[1])}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("row", cases(IMPORTS, 13))
def test_nothing_is_loaded_that_is_not_needed(row: Any, tmp_path: Path) -> None:
    _, code, ours = row
    loaded = json.loads(python(f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))", tmp_path))

    assert "bsguard" in loaded
    assert sorted({*HEAVY, *ours} & set(loaded)) == []


def test_the_public_names_can_be_seen_without_loading_them(tmp_path: Path) -> None:
    seen = json.loads(python("import bsguard, json; print(json.dumps(dir(bsguard)))", tmp_path))

    assert set(PUBLIC) <= set(seen)
    assert seen == sorted(seen)


def test_every_name_that_can_be_seen_can_be_had() -> None:
    for name in dir(bsguard):
        getattr(bsguard, name)

    assert set(PUBLIC) <= set(dir(bsguard))
    assert len(set(dir(bsguard))) == len(dir(bsguard))


def test_a_name_is_the_same_object_each_time() -> None:
    assert all(getattr(bsguard, name) is getattr(bsguard, name) for name in PUBLIC)


@pytest.mark.parametrize("name", ["Firewall", "bsguard", "protocols", "__wrapped__", "_HOME"])
def test_an_unknown_name_is_an_ordinary_error(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'bsguard' has no attribute '{name}'"):
        getattr(bsguard, name)
    assert not hasattr(bsguard, name)


def test_an_unknown_name_cannot_be_imported() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Firewall'"):
        from bsguard import Firewall  # type: ignore[attr-defined]  # noqa: F401
