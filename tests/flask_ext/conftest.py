"""A clean environment and quiet applications for every test."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

from tests.flask_ext.support import add_views, close

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("FLASK_", "BSGUARD_")):
            monkeypatch.delenv(name)


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """Makes applications with some views, not guarded yet; each has an instance folder of its own."""
    made: list[Flask] = []

    def make(**config: Any) -> Flask:
        app = Flask(f"shop{len(made)}", instance_path=str(tmp_path / f"instance{len(made)}"), root_path=str(tmp_path))
        app.config.update(config)
        add_views(app)
        made.append(app)
        return app

    yield make
    for app in made:
        close(app)
