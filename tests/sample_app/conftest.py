"""An app of its own for each test."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from sample_app import create_app, database
from tests.billing.support import Postgres
from tests.sample_app.fakes import fake_edges
from tests.sample_app.story import Story
from tests.sample_app.support import Clock, Service, service_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("CONTROL_PLANE_", "BSGUARD_")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here outlives the test."""
    prepare = database._prepare

    def quick(connection: Any, record: object) -> None:
        prepare(connection, record)
        connection.execute("PRAGMA synchronous = OFF")

    monkeypatch.setattr(database, "_prepare", quick)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """An empty database of its own."""
    admin = create_engine(postgres.url, isolation_level="AUTOCOMMIT")
    name = f"cp_{secrets.token_hex(6)}"
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield make_url(postgres.url).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    admin.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/control-plane.sqlite3"
    found: str = request.getfixturevalue("postgres_url")
    return found


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


@pytest.fixture
def story(make_service: Callable[..., Service], database_url: str) -> Iterator[Story]:
    """Every test ends with an audit: whatever it did, the books must be right."""
    service = make_service(CONTROL_PLANE_DATABASE_URL=database_url, CONTROL_PLANE_RECONCILE_SECONDS=3_600)
    service.parts.database.prepare()
    service.parts.database.ledger.topup("acme", 100, key="test")
    yield Story(service, service.headers())
    assert service.parts.database.ledger.audit() == ()
