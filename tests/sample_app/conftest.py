"""An app of its own for each test."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from sample_app import create_app
from tests.sample_app.fakes import fake_edges
from tests.sample_app.support import Clock, Service, service_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("CONTROL_PLANE_", "BSGUARD_")):
            monkeypatch.delenv(name)


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    made: list[Service] = []

    def make(**config: Any) -> Service:
        clock = Clock()
        edges = fake_edges()
        app = create_app(service_config(tmp_path) | config, clock=clock, edges=edges)
        made.append(Service(app, app.extensions["control_plane"], clock, edges, tmp_path))
        return made[-1]

    yield make
    for service in made:
        service.parts.database.dispose()


@pytest.fixture
def service(make_service: Callable[..., Service]) -> Service:
    return make_service()
