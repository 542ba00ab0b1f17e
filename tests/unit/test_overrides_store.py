"""The overrides table: durable, bounded, expiring, and felt by every process within the poll interval."""

from __future__ import annotations

import fcntl
import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from bsguard.core.errors import StateUnusable
from bsguard.core.overrides import NO_OVERRIDES, Override
from bsguard.stores import overrides
from bsguard.stores.overrides import POLL_SECONDS, SQLiteOverrides
from bsguard.stores.sqlite import BUSY_MS_MAX, SQLiteFile
from bsguard.testing import FakeClock, environ, run
from tests.unit.support import App

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bsguard.standard import Guard


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "overrides.sqlite"


@pytest.fixture
def opened(path: Path, clock: FakeClock) -> Iterator[Any]:
    """Views of one table, each with a connection of its own as another worker has."""
    made: list[SQLiteOverrides] = []

    def make() -> SQLiteOverrides:
        made.append(SQLiteOverrides(path, clock))
        return made[-1]

    yield make
    for one in made:
        one.close()


def entry(comment: str = "why", **more: Any) -> Override:
    values = {"kind": "exception", "value": {"rule": "protocol.method"}, "author": "ops", "created": 1.0, **more}
    return Override(comment=comment, **values)


def comments(view: SQLiteOverrides, clock: FakeClock, kind: Any = "exception") -> list[str]:
    return [one.comment for one in view.active(kind, clock.now())]


def test_entries_are_kept_oldest_first_and_by_kind(opened: Any, clock: FakeClock) -> None:
    view = opened()
    ids = [view.add(entry("one")), view.add(entry("two", kind="ban")), view.add(entry("three"))]

    assert ids == [1, 2, 3]
    assert comments(view, clock) == ["one", "three"]
    assert comments(view, clock, "ban") == ["two"]
    assert comments(view, clock, "rule_action") == []
    assert view.active("exception", clock.now())[0] == entry("one", id=1)
    assert comments(opened(), clock) == ["one", "three"]


def test_what_was_deleted_is_gone_and_its_id_is_not_given_again(opened: Any, clock: FakeClock) -> None:
    view = opened()
    assert view.add(entry("one")) == 1

    assert view.delete(1)
    assert not view.delete(1)
    assert comments(view, clock) == []
    assert view.add(entry("two")) == 2


def test_one_s_own_change_is_felt_at_once(opened: Any, clock: FakeClock) -> None:
    view = opened()
    for number in range(3):
        view.add(entry(str(number)))
        assert len(comments(view, clock)) == number + 1
    view.delete(2)

    assert comments(view, clock) == ["0", "2"]


def test_another_s_change_is_felt_within_the_poll_interval(opened: Any, clock: FakeClock) -> None:
    worker, operator = opened(), opened()
    assert comments(worker, clock) == []
    operator.add(entry())
    clock.advance(POLL_SECONDS * 0.9)
    assert comments(worker, clock) == []
    clock.advance(POLL_SECONDS * 0.2)
    assert comments(worker, clock) == ["why"]
    operator.delete(1)
    clock.advance(POLL_SECONDS)

    assert comments(worker, clock) == []


def test_the_same_object_is_given_while_nothing_changes(opened: Any, clock: FakeClock) -> None:
    worker, operator = opened(), opened()
    operator.add(entry())
    first = worker.active("exception", clock.now())
    clock.advance(10)
    assert worker.active("exception", clock.now()) is first
    operator.add(entry("two"))
    clock.advance(10)

    assert worker.active("exception", clock.now()) is not first


def test_an_entry_ends_to_the_second_without_a_poll(opened: Any, clock: FakeClock) -> None:
    view = opened()
    now = clock.now()
    view.add(entry("short", expires=now + 0.5))
    view.add(entry("longer", expires=now + 0.7))
    view.add(entry("never"))

    assert comments(view, clock) == ["short", "longer", "never"]
    clock.advance(0.4)
    assert comments(view, clock) == ["short", "longer", "never"]
    clock.advance(0.1)
    assert comments(view, clock) == ["longer", "never"]
    clock.advance(0.2)
    assert comments(view, clock) == ["never"]


def test_an_entry_that_has_ended_when_it_is_read_is_not_active(opened: Any, clock: FakeClock) -> None:
    view = opened()
    view.add(entry(expires=clock.now()))

    assert comments(view, clock) == []


def test_a_clock_that_is_set_back_asks_again(opened: Any, clock: FakeClock) -> None:
    worker, operator = opened(), opened()
    assert comments(worker, clock) == []
    operator.add(entry())
    clock.advance(-3600)

    assert comments(worker, clock) == ["why"]


def test_the_table_is_bounded(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overrides, "ENTRIES_MAX", 3)
    view = opened()
    for _ in range(3):
        view.add(entry())
    with pytest.raises(StateUnusable, match="holds 3 of this kind; delete some first"):
        view.add(entry())
    assert view.add(entry(kind="ban")) == 4  # has room of its own
    view.delete(1)

    assert view.add(entry()) == 5


@pytest.mark.parametrize("wrong", [{"kind": "wish"}, {"author": ""}, {"comment": ""}, {"author": None}])
def test_an_entry_without_kind_author_or_comment_is_refused(opened: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(StateUnusable, match="constraint failed"):
        opened().add(entry(**{"comment": "why", **wrong}))


def test_writing_to_a_spoilt_file_is_said_and_reading_is_empty(opened: Any, path: Path, clock: FakeClock) -> None:
    path.write_bytes(b"garbage" * 100)
    view = opened()

    assert comments(view, clock) == []
    with pytest.raises(StateUnusable, match="not a database"):
        view.add(entry())
    with pytest.raises(StateUnusable, match="not a database"):
        view.delete(1)


def test_an_entry_that_somebody_wrote_wrongly_by_hand_does_not_hide_the_others(
    opened: Any, clock: FakeClock, path: Path
) -> None:
    view = opened()
    view.add(entry("one"))
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE overrides SET comment = 'wrong', expires = '2030-01-01'")
    connection.close()
    view.add(entry("two"))

    assert comments(view, clock) in (["two"], ["wrong", "two"])


def test_a_worker_that_can_no_longer_read_keeps_what_it_knew(opened: Any, clock: FakeClock, path: Path) -> None:
    worker, operator = opened(), opened()
    operator.add(entry())
    operator.add(entry("short", expires=clock.now() + 5))
    assert comments(worker, clock) == ["why", "short"]
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE overrides RENAME TO gone")
    connection.commit()
    connection.close()
    clock.advance(2)
    assert comments(worker, clock) == ["why", "short"]
    clock.advance(5)

    assert comments(worker, clock) == ["why"]


def test_a_table_that_is_opened_again_misses_nothing(opened: Any, clock: FakeClock) -> None:
    worker, operator = opened(), opened()
    operator.add(entry("one"))
    assert comments(worker, clock) == ["one"]
    operator.add(entry("two"))
    worker.close()
    clock.advance(2)

    assert comments(worker, clock) == ["one", "two"]


def test_a_process_that_never_lets_go_of_the_lock_does_not_hang_the_others(
    opened: Any, clock: FakeClock, path: Path
) -> None:
    opened().add(entry())
    view = opened()
    seen: list[list[str]] = []
    held = [file.open("r+") for file in path.parent.glob("*.lock")]
    for file in held:
        fcntl.flock(file, fcntl.LOCK_EX)
    reader = threading.Thread(target=lambda: seen.append(comments(view, clock)), daemon=True)
    reader.start()
    reader.join(BUSY_MS_MAX / 1000 * 2)
    waiting = reader.is_alive()
    for file in held:
        file.close()
    reader.join()

    assert not waiting
    assert seen in ([["why"]], [[]])


def test_without_a_table_there_are_no_overrides() -> None:
    assert NO_OVERRIDES.active("exception", 0.0) == ()


OPERATOR = """
import sys
from pathlib import Path

from bsguard.core.overrides import Override
from bsguard.stores.overrides import SQLiteOverrides
from bsguard.testing import FakeClock

table = SQLiteOverrides(Path(sys.argv[1]), FakeClock())
value = {"rule": "protocol.method", "path": "/old/**"}
print(table.add(Override(kind="exception", value=value, author="ops", comment="why", created=1.0)))
table.close()
"""


def test_what_another_process_writes_changes_what_a_running_guard_does(
    make_guard: Callable[..., Guard], state: Path, clock: FakeClock
) -> None:
    events: list[Any] = []
    made = make_guard(App(), emit=events.append)
    assert run(made, environ("TRACE", "/old/1")).status == 405
    command = [sys.executable, "-c", OPERATOR, str(state / "overrides.sqlite")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout == "1\n"
    assert run(made, environ("TRACE", "/old/1")).status == 405
    clock.advance(POLL_SECONDS)

    assert run(made, environ("TRACE", "/old/1")).status == 200
    assert run(made, environ("TRACE", "/new")).status == 405
    (excepted,) = [event for event in events if event.name == "rule.excepted"]
    assert excepted.comment == "why"


def test_a_database_file_gives_one_connection_and_another_after_it_was_closed(tmp_path: Path) -> None:
    file = SQLiteFile(tmp_path / "a.sqlite", "CREATE TABLE IF NOT EXISTS t (x);")
    first = file.connection()

    assert file.connection() is first
    assert first.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    file.close()
    file.close()
    assert file.connection() is not first
    assert file.connection().execute("SELECT * FROM t").fetchall() == []
    file.close()


def test_a_database_file_whose_schema_is_wrong_leaves_no_connection_open(tmp_path: Path) -> None:
    file = SQLiteFile(tmp_path / "a.sqlite", "CREATE NONSENSE;")

    for _ in range(2):
        with pytest.raises(sqlite3.Error, match="syntax error"):
            file.connection()
    file.close()


_OF_VERSION_0_1 = """
CREATE TABLE overrides (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('exception', 'ban', 'rule_action')),
    value TEXT NOT NULL CHECK (json_valid(value)),
    author TEXT NOT NULL CHECK (author <> ''),
    comment TEXT NOT NULL CHECK (comment <> ''),
    created REAL NOT NULL,
    expires REAL
);
INSERT INTO overrides (kind, value, author, comment, created) VALUES ('ban', '{}', 'ops', 'one', 1), ('ban', '{}', 'ops', 'two', 1);
DELETE FROM overrides WHERE comment = 'two';
"""  # noqa: E501


def test_a_table_of_the_former_version_takes_sequences_and_keeps_its_ids(
    path: Path, opened: Any, clock: FakeClock
) -> None:
    before = sqlite3.connect(path)
    before.executescript(_OF_VERSION_0_1)
    before.close()
    view = opened()

    assert view.add(entry("three", kind="sequence")) == 3
    assert comments(view, clock, "ban") == ["one"]
    assert comments(opened(), clock, "sequence") == ["three"]
