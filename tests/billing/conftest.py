"""One PostgreSQL server for the whole run; an empty ledger for each test, on both engines."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from bsguard.billing import Ledger, create_schema
from bsguard.testing import FakeClock
from tests.billing.support import ENGINES, Postgres, drop_all, open_test_engine, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """A database with empty tables of the current version."""
    postgres.empty()
    return postgres.url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the tables, to be copied: making them takes longer than most tests."""
    folder = tmp_path_factory.mktemp("template")
    engine = open_test_engine(sqlite_url(folder))
    create_schema(engine)
    engine.dispose()
    return folder / "ledger.sqlite"


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        if "bare_engine" not in request.fixturenames:
            shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path)
        return sqlite_url(tmp_path)
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    made = open_test_engine(url)
    yield made
    made.dispose()


@pytest.fixture
def bare_engine(url: str) -> Iterator[Engine]:
    """A database without the ledger's tables; on PostgreSQL they are made again for the next test."""
    made = open_test_engine(url)
    if made.dialect.name == "postgresql":
        drop_all(made)
    yield made
    if made.dialect.name == "postgresql":
        drop_all(made)
        create_schema(made)
    made.dispose()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(engine: Engine, clock: FakeClock) -> Iterator[Ledger]:
    """Every test ends with an audit: whatever it did, the books must be right."""
    made = Ledger(engine, clock=clock)
    yield made
    assert made.audit() == ()
