"""A guard starts and serves whatever has become of its state, and says what is lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bsguard.core.events import StateDegraded
from bsguard.testing import environ, run
from tests.unit.support import App, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from bsguard.standard import Guard
    from bsguard.testing import FakeClock


def linked(state: Path) -> None:
    (state.parent / "elsewhere").mkdir(mode=0o700)
    state.symlink_to(state.parent / "elsewhere")


def foreign(state: Path) -> None:
    state.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(state, 65534, 65534)
    else:
        state.rmdir()
        state.symlink_to("/")


def a_file(state: Path) -> None:
    state.write_text("x")


def below_a_file(state: Path) -> None:
    state.parent.rmdir()
    state.parent.write_text("x")


LOST: dict[str, tuple[Callable[[Path], None], str]] = {
    "a link": (linked, "is a link or a file"),
    "a foreign folder": (foreign, "another user" if os.geteuid() == 0 else "is a link"),
    "a file": (a_file, "cannot be made"),
    "below a file": (below_a_file, "cannot be made"),
}


@pytest.mark.parametrize(("spoil", "reason"), table(4, LOST))
def test_a_guard_without_its_folder_works_and_says_what_is_lost(
    tmp_path: Path, make_guard: Callable[..., Guard], spoil: Callable[[Path], None], reason: str
) -> None:
    state = tmp_path / "parent" / "state"
    state.parent.mkdir()
    spoil(state)
    events: list[Any] = []
    app = App()
    made = make_guard(app, {"STATE_DIR": state}, emit=events.append)
    answers = [run(made, environ(method)).status for method in ("GET", "TRACE", "GET")]

    assert answers == [200, 405, 200]
    assert app.called == 2
    assert made.store is None
    assert [event for event in events if isinstance(event, StateDegraded)] == list(made.degraded)
    (degraded,) = made.degraded
    assert degraded.part == "state_dir"
    assert reason in degraded.reason
    assert degraded.lost.startswith("stored events")
    assert events[-1].identity == ""


def test_without_a_kept_secret_identities_are_still_hashed_but_by_a_key_of_this_process(
    state: Path, make_guard: Callable[..., Guard]
) -> None:
    state.mkdir()
    (state / "secret.key").write_bytes(b"short")
    identities = []
    for _ in range(2):
        events: list[Any] = []
        made = make_guard(App(), emit=events.append)
        run(made, environ(headers={"Authorization": "Bearer a"}))
        identities.append(events[-1].identity)
        assert [one.part for one in made.degraded] == ["secret"]

    assert len(set(identities)) == 2
    assert all(len(identity) == 16 for identity in identities)
    assert (state / "secret.key").read_bytes() == b"short"


def garbage(path: Path) -> None:
    path.write_bytes(b"\x00\xff garbage" * 1000)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1500] if path.exists() else b"SQLite format 3\0" + b"\xff" * 1500)


def a_folder(path: Path) -> None:
    path.mkdir()


def another_schema(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (x)")
        connection.execute("CREATE TABLE overrides (x)")
    connection.close()


SPOILT = {"garbage": garbage, "a cut file": cut, "a folder": a_folder, "another schema": another_schema}


@pytest.mark.parametrize("spoil", table(4, SPOILT))
@pytest.mark.parametrize("name", ["overrides.sqlite", "events.sqlite"])
def test_a_spoilt_database_holds_up_neither_start_nor_request(
    state: Path,
    clock: FakeClock,
    make_guard: Callable[..., Guard],
    caplog: pytest.LogCaptureFixture,
    name: str,
    spoil: Callable[[Path], None],
) -> None:
    state.mkdir()
    spoil(state / name)
    app = App()
    made = make_guard(app, emit=lambda event: None)
    for _ in range(3):
        assert run(made, environ()).status == 200
        assert run(made, environ("TRACE")).status == 405
        clock.advance(2)

    assert app.called == 3
    assert made.overrides.active("exception", clock.now()) == ()
    assert made.store is not None
    made.store.flush()
    assert made.store.dropped == (4 if name == "events.sqlite" else 0)


@pytest.mark.parametrize("name", ["overrides.sqlite", "events.sqlite"])
def test_a_database_that_cannot_be_read_is_said_once(
    state: Path, clock: FakeClock, make_guard: Callable[..., Guard], caplog: pytest.LogCaptureFixture, name: str
) -> None:
    state.mkdir()
    garbage(state / name)
    events: list[Any] = []
    made = make_guard(App(), emit=events.append)
    for _ in range(3):
        run(made, environ("TRACE"))
        clock.advance(2)
        made.store.flush()  # type: ignore[union-attr]

    said = [record.getMessage() for record in caplog.records if name in record.getMessage()]
    said += [event.reason for event in events if isinstance(event, StateDegraded)]
    assert len(said) == 1


#: A row that somebody wrote by hand, and what a guard must make of it.
ROWS: dict[str, str] = {
    "a list for a value": "'exception', '[]', 'a', 'b', 1, NULL",
    "text for a value": "'exception', '\"x\"', 'a', 'b', 1, NULL",
    "nothing for a value": "'exception', 'null', 'a', 'b', 1, NULL",
    "an unknown key": "'exception', '{\"x\": 1}', 'a', 'b', 1, NULL",
    "a date for the end": "'exception', '{\"rule\": \"protocol.method\"}', 'a', 'b', 1, '2020-01-01'",
    "bytes for a comment": "'exception', '{\"rule\": \"a.b\"}', 'a', x'ff', 1, NULL",
    "a moment of making that is none": "'exception', '{\"rule\": \"a.b\"}', 'a', 'b', 'yesterday', NULL",
}


@pytest.mark.parametrize("row", table(7, ROWS))
def test_an_entry_written_by_hand_never_breaks_a_request(
    state: Path, clock: FakeClock, make_guard: Callable[..., Guard], row: str
) -> None:
    made = make_guard(App())
    run(made, environ("TRACE"))
    connection = sqlite3.connect(state / "overrides.sqlite")
    with connection:
        connection.execute(f"INSERT INTO overrides (kind, value, author, comment, created, expires) VALUES ({row})")
    connection.close()
    clock.advance(2)

    assert run(made, environ("TRACE")).status == 405


FULL_DISK = """
import io, resource, sys
from pathlib import Path

from bsguard import guard
from bsguard.testing import environ, run


def app(environ, start_response):
    body = environ["wsgi.input"].read()
    assert set(body) <= set(b"x") and len(body) in (0, 1000, 100_000)
    start_response("200 OK", [])
    return []


config = {"MODE": sys.argv[2], "EVENTS_LOGGED": False}
early = guard(app, {**config, "STATE_DIR": Path(sys.argv[1]) / "early"})
assert run(early, environ("GET")).status == 200
early.store.flush()

resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # from here on no file can grow

late = guard(app, {**config, "STATE_DIR": Path(sys.argv[1]) / "late"})
for made in (early, late):
    for request in (
        environ("GET"),
        environ("POST", "/", body=b"x" * 1000, chunked=True),
        environ("TRACE"),
        environ("POST", "/", body=b"x" * 100_000, chunked=True),
    ):
        print(run(made, request).status, end=" ")
    if made.store is not None:
        made.store.flush()
        print("dropped", made.store.dropped, end=" ")
    print([event.part for event in made.degraded])
"""


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("enforce", ["200 200 405 503 dropped 3 []", "200 200 405 503 ['state_dir']"]),
        ("monitor", ["200 200 200 200 dropped 3 []", "200 200 200 200 ['state_dir']"]),
    ],
)
def test_a_disk_that_is_full_costs_events_and_large_bodies_but_no_request(
    tmp_path: Path, mode: str, said: list[str]
) -> None:
    command = [sys.executable, "-W", "error", "-c", FULL_DISK, str(tmp_path), mode]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, cwd=Path.cwd(), check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == said
