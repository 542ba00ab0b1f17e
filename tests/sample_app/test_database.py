"""The database: several processes and threads on one file."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateTable

from sample_app import database as module
from sample_app.api_keys import ApiKeyStore, Scope
from sample_app.database import Database, WrongVersion
from sample_app.generations import Filters, GenerationStore
from sample_app.tables import api_keys, attempts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sample_app.support import Service


def url(folder: Path) -> str:
    return f"sqlite:///{folder}/data.sqlite3"


def add_keys(address: str, count: int) -> None:
    database = Database(address)
    store = ApiKeyStore(database, lambda: 1)
    for _ in range(count):
        store.create("acme", [Scope.READ])
    database.dispose()


def test_processes_that_start_together_all_find_their_tables(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=add_keys, args=(url(tmp_path), 5)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    database = Database(url(tmp_path))

    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert len(ApiKeyStore(database, lambda: 1).list()) == 20
    database.dispose()


def test_a_forked_process_gets_connections_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(url(tmp_path))
    before = database._current()

    assert database._current() is before
    monkeypatch.setattr(os, "getpid", lambda: -1)
    after = database._current()
    assert after is not before
    assert after.engine.pool is not before.engine.pool
    before.engine.dispose()
    after.engine.dispose()


def test_threads_write_side_by_side(service: Service) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: service.parts.keys.create("acme", [Scope.READ]).key.key_id, range(40)))

    assert {key.key_id for key in service.parts.keys.list("acme")} == set(made)
    assert len(set(made)) == 40


def test_only_one_of_many_rotations_of_a_key_happens(service: Service) -> None:
    key_id = service.parts.keys.create("acme", [Scope.READ]).key.key_id
    with ThreadPoolExecutor(8) as pool:
        issued = [one for one in pool.map(lambda _: service.parts.keys.rotate(key_id), range(16)) if one]

    assert len(issued) == 1
    assert len(service.parts.keys.list("acme")) == 2


def test_a_reader_and_a_writer_do_not_wait_for_each_other(tmp_path: Path) -> None:
    database = Database(url(tmp_path))
    store = ApiKeyStore(database, lambda: 1)
    count = text("SELECT count(*) FROM api_keys")
    with database.reading() as reading:
        before = reading.execute(count).scalar_one()
        store.create("acme", [Scope.READ])
        after = reading.execute(count).scalar_one()

    assert (before, after) == (0, 0)
    assert len(store.list()) == 1
    database.dispose()


def test_a_writer_that_waits_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS_MAX", 0)
    database = Database(url(tmp_path))
    with database.writing(), pytest.raises(OperationalError, match="locked"), database.writing():
        pass
    database.dispose()


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    database = Database(url(tmp_path))
    store = ApiKeyStore(database, lambda: 1)
    key_id = store.create("acme", [Scope.READ]).key.key_id

    def delete_and_fail() -> None:
        with database.writing() as connection:
            connection.execute(text("DELETE FROM api_keys"))
            raise KeyError

    with pytest.raises(KeyError):
        delete_and_fail()
    assert store.find(key_id) is not None
    database.dispose()


def test_tables_of_the_first_release_are_taken_over_with_their_keys(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "data.sqlite3") as old:
        old.execute("CREATE TABLE generations (generation_id VARCHAR(36) PRIMARY KEY)")
        old.execute("INSERT INTO generations VALUES ('gen_1')")
        old.execute(str(CreateTable(api_keys)))
        old.execute("CREATE INDEX idx_api_keys_account ON api_keys (account_id)")
        old.execute("INSERT INTO api_keys VALUES ('0123', x'00', 'acme', '', 'read', 1, NULL, NULL)")
    old.close()
    database = Database(url(tmp_path))

    assert [key.key_id for key in ApiKeyStore(database, lambda: 1).list()] == ["0123"]
    assert GenerationStore(database).page("acme", Filters(), after=None, rows_max=1).generations == ()
    database.dispose()


def test_tables_of_another_version_are_left_alone(tmp_path: Path) -> None:
    database = Database(url(tmp_path))
    with database.writing() as connection:
        connection.execute(text("UPDATE control_plane_version SET version = 99"))
    database.dispose()

    with pytest.raises(WrongVersion, match="version 99 and this is version 3"):
        Database(url(tmp_path)).prepare()


def test_tables_of_the_version_before_are_brought_up_to_date(tmp_path: Path) -> None:
    database = Database(url(tmp_path))
    with database.writing() as connection:
        connection.execute(text("ALTER TABLE attempts DROP COLUMN quoted_micro_usd"))
        connection.execute(text("DROP INDEX idx_attempts_updated"))
        connection.execute(text("CREATE INDEX idx_attempts_provider_updated ON attempts (provider, updated_at)"))
        connection.execute(text("UPDATE control_plane_version SET version = 2"))
    database.dispose()
    again = Database(url(tmp_path))
    with again.reading() as connection:
        columns = {column["name"] for column in inspect(connection).get_columns("attempts")}
        indexes = {index["name"] for index in inspect(connection).get_indexes("attempts")}
        found = connection.execute(text("SELECT version FROM control_plane_version")).scalars().all()
    again.dispose()

    assert columns == {column.name for column in attempts.columns}
    assert indexes >= {index.name for index in attempts.indexes}
    assert "idx_attempts_provider_updated" not in indexes
    assert found == [3]
