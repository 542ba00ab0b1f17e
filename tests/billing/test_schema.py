"""Making the tables, with and without Alembic; and what happens where they are missing or of another version."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from bsguard.billing import Ledger, SchemaMissing, SchemaOutdated, create_schema, install
from bsguard.billing.install import VERSION_TABLE, WANTED
from bsguard.billing.migrations import upgrade
from bsguard.billing.testing import assert_invariants

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

VERBS: dict[str, Callable[[Ledger], object]] = {
    "open": lambda ledger: ledger.open("a"),
    "topup": lambda ledger: ledger.topup("a", 1),
    "reserve": lambda ledger: ledger.reserve("a", 1, "g"),
    "charge": lambda ledger: ledger.charge("g", 1),
    "expire": lambda ledger: ledger.expire(),
    "balance": lambda ledger: ledger.balance("a"),
    "history": lambda ledger: ledger.history("a"),
    "audit": lambda ledger: ledger.audit(),
}


def described(engine: Engine) -> list[str]:
    """Everything that the database knows about the ledger's tables."""
    if engine.dialect.name == "sqlite":
        queries = ["SELECT sql FROM sqlite_master WHERE name LIKE 'bsguard%'"]
    else:
        ours = "relname LIKE 'bsguard%'"
        queries = [
            f"SELECT c.relname, c.reloptions, c.relkind FROM pg_class c WHERE {ours}",
            f"SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_attribute a"
            f" JOIN pg_class c ON c.oid = a.attrelid WHERE a.attnum > 0 AND {ours}",
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conname LIKE 'bsguard%'",
            "SELECT indexdef FROM pg_indexes WHERE indexname LIKE 'bsguard%'",
            "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname LIKE 'bsguard%'",
            "SELECT viewname, definition FROM pg_views WHERE viewname LIKE 'bsguard%'",
        ]
    with engine.connect() as connection:
        found = [repr(tuple(row)) for query in queries for row in connection.execute(text(query))]
    return sorted(re.sub(r"(\\[nt]|\s)+", " ", one).replace(" ,", ",") for one in found)


@pytest.fixture
def empty_ledger(bare_engine: Engine) -> Ledger:
    return Ledger(bare_engine)


def test_both_ways_make_the_same_tables(
    bare_engine: Engine, url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    upgrade(bare_engine)
    migrated = described(bare_engine)
    assert len(migrated) > 20
    Ledger(bare_engine).topup("a", 5)
    assert_invariants(Ledger(bare_engine))

    if bare_engine.dialect.name == "sqlite":
        other = create_engine(f"sqlite:///{tmp_path_factory.mktemp('other')}/x.sqlite")
    else:
        with bare_engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        other = create_engine(url)
    create_schema(other)
    created = described(other)
    other.dispose()

    assert created == migrated


def test_making_them_again_changes_nothing(bare_engine: Engine) -> None:
    assert create_schema(bare_engine)
    Ledger(bare_engine).topup("a", 5)
    assert not create_schema(bare_engine)
    upgrade(bare_engine)

    assert Ledger(bare_engine).balance("a").available == 5


def test_workers_may_start_together(bare_engine: Engine) -> None:
    made: list[bool] = []
    threads = [threading.Thread(target=lambda: made.append(create_schema(bare_engine))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(made) == [False, False, False, True]


def test_workers_may_migrate_together(bare_engine: Engine, url: str) -> None:
    script = "import sys, sqlalchemy, bsguard.billing.migrations as m; m.upgrade(sqlalchemy.create_engine(sys.argv[1]))"
    workers = [
        subprocess.Popen([sys.executable, "-c", script, url], stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    told = [worker.communicate(timeout=60)[1] for worker in workers]

    assert [worker.returncode for worker in workers] == [0, 0], told
    assert_invariants(Ledger(bare_engine))


def test_sqlite_is_put_into_wal_mode(bare_engine: Engine) -> None:
    create_schema(bare_engine)
    with bare_engine.connect() as connection:
        if bare_engine.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"


@pytest.mark.parametrize("verb", VERBS)
def test_without_tables_every_verb_says_what_to_do(empty_ledger: Ledger, verb: str) -> None:
    with pytest.raises(SchemaMissing, match="flask bsguard billing init") as caught:
        VERBS[verb](empty_ledger)

    assert (caught.value.found, caught.value.wanted) == (None, WANTED)


@pytest.mark.parametrize("found", ["0000", "0002", None], ids=["older", "newer", "no version"])
def test_tables_of_another_version_are_not_touched(bare_engine: Engine, found: str | None) -> None:
    create_schema(bare_engine)
    with bare_engine.begin() as connection:
        connection.execute(text(f"DELETE FROM {VERSION_TABLE}"))
        if found is not None:
            connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES ('{found}')"))

    with pytest.raises(SchemaOutdated) as caught:
        Ledger(bare_engine).topup("a", 1)

    assert caught.value.found == (found or "unknown")
    # `init` could not help: no migration begins there.
    assert "install the version of bsguard that made them" in str(caught.value)
    for make in (create_schema, upgrade):
        with pytest.raises(SchemaOutdated):
            make(bare_engine)
    with bare_engine.connect() as connection:
        assert connection.execute(text(f"SELECT * FROM {VERSION_TABLE}")).scalars().all() == ([found] if found else [])


def test_tables_that_a_migration_can_bring_up_to_date_say_so(
    bare_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_schema(bare_engine)
    monkeypatch.setattr(install, "VERSIONS", ("0001", "0002"))
    monkeypatch.setattr(install, "WANTED", "0002")

    with pytest.raises(SchemaOutdated, match="version 0001, version 0002 is needed; run `flask bsguard billing init`"):
        Ledger(bare_engine).topup("a", 1)


def test_the_known_versions_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", "bsguard.billing:migrations")
    scripts = ScriptDirectory.from_config(config)

    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == install.VERSIONS
    assert scripts.get_current_head() == WANTED == install.VERSIONS[-1]


def test_tables_that_vanish_are_told(bare_engine: Engine) -> None:
    create_schema(bare_engine)
    ledger = Ledger(bare_engine)
    ledger.topup("a", 1)
    with bare_engine.begin() as connection:
        for kind, name in (("VIEW", "bsguard_system_account"), ("VIEW", "bsguard_posting"), ("TABLE", "bsguard_entry")):
            connection.execute(text(f"DROP {kind} {name}"))

    with pytest.raises(SchemaMissing):
        ledger.reserve("a", 1, "g")


def test_inside_a_transaction_the_missing_tables_leave_it_usable(bare_engine: Engine) -> None:
    with bare_engine.begin() as connection:
        connection.execute(text("CREATE TABLE mine (x INTEGER)"))
        with pytest.raises(SchemaMissing):
            Ledger(bare_engine).using(connection).topup("a", 1)
        connection.execute(text("INSERT INTO mine VALUES (1)"))
        assert connection.execute(text("SELECT COUNT(*) FROM mine")).scalar_one() == 1


def test_importing_the_ledger_imports_nothing_that_is_optional() -> None:
    script = (
        "import sys; import bsguard.billing; from bsguard.billing import Ledger;"
        "print([name for name in ('flask', 'alembic', 'psycopg', 'hypothesis', 'click') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)

    assert run.stdout.strip() == "[]"
