"""Importing is cheap: what is not used is not loaded. Counted in modules, because time depends on the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.meta.support import PACKAGE

if TYPE_CHECKING:
    from pathlib import Path

_HEAVY = {"flask", "werkzeug", "click", "sqlalchemy", "openapi_core", "sqlite3", "gunicorn", "tempfile", "asyncio"}
_SECONDS_MAX = 60.0
_TELL = "import sys; before = set(sys.modules); {}; print('\\n'.join(sorted(set(sys.modules) - before)))"

# What a statement may load: modules of ours, and modules in all, each with some room to grow.
BUDGETS = {
    "the package": ("import bsguard", 2, 20),
    "an error": ("from bsguard import ConfigError", 6, 45),
    "stack": ("from bsguard import stack", 6, 25),
    "identify": ("from bsguard import identify", 30, 95),
    "one layer": ("from bsguard import Protocol", 45, 110),
    "another layer": ("from bsguard import Tenant", 40, 105),
    "the standard stack": ("from bsguard import guard", 30, 90),
    "the Flask extension": ("from bsguard import BSGuard", 40, 100),
    "test helpers": ("from bsguard import testing", 8, 60),
}


def loaded(statement: str, folder: Path) -> list[str]:
    """The modules that *statement* loads in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _TELL.format(statement)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(("statement", "ours_max", "all_max"), BUDGETS.values(), ids=BUDGETS)
def test_an_import_loads_no_more_than_its_budget(statement: str, ours_max: int, all_max: int, tmp_path: Path) -> None:
    modules = loaded(statement, tmp_path)
    ours = [name for name in modules if name.partition(".")[0] == "bsguard"]

    assert len(ours) >= 2
    assert len(ours) <= ours_max, ours
    assert len(modules) <= all_max, modules
    assert {name.partition(".")[0] for name in modules} & _HEAVY == set()


def test_a_layer_does_not_load_its_neighbours(tmp_path: Path) -> None:
    assert not any(name.startswith("bsguard.tenant") for name in loaded("from bsguard import Protocol", tmp_path))
    assert not any(name.startswith("bsguard.protocol") for name in loaded("from bsguard import Tenant", tmp_path))


def test_heavy_modules_would_be_seen(tmp_path: Path) -> None:
    assert {"flask", "werkzeug", "click"} <= set(loaded("import bsguard.cli", tmp_path))
