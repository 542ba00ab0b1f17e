"""Where the storage for `limits` keeps its counts, and what happens when it cannot."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask_limiter import Limiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import SlidingWindowCounterSupport, storage_from_string

from bsguard.core.errors import StateUnusable
from bsguard.stores import limits_storage
from bsguard.stores.limits_storage import SharedStorage
from tests.stores.limits_support import KINDS, opened, usable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return usable(request.param)


@pytest.fixture
def storage(kind: str, tmp_path: Path) -> Iterator[SharedStorage]:
    made = opened(kind, tmp_path / "state")
    yield made
    made._file.close()


# What is named, and what is refused.


def test_the_folder_is_named_once_and_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BSGUARD_STATE_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "a b"

    assert SharedStorage("bsguard+sqlite://").folder == tmp_path / ".bsguard"
    assert SharedStorage("bsguard+sqlite:///").folder == tmp_path / ".bsguard"
    assert SharedStorage(f"bsguard+sqlite://{tmp_path}/a%20b").folder == folder
    assert SharedStorage("bsguard+sqlite://", state_dir=folder).folder == folder
    monkeypatch.setenv("BSGUARD_STATE_DIR", str(folder))
    assert SharedStorage("bsguard+sqlite://").folder == folder
    assert SharedStorage(f"bsguard+sqlite://{tmp_path}/other").folder == tmp_path / "other"


WRONG = {
    "two strokes": ("bsguard+local://var/lib/app", {}),
    "a query": ("bsguard+local:///var/lib/app?state_dir=x", {}),
    "a fragment": ("bsguard+local:///var/lib/app#x", {}),
    "a relative option": ("bsguard+local://", {"state_dir": "state"}),
    "an unknown option": ("bsguard+local://", {"folder": "/var/lib/app"}),
    "two folders": ("bsguard+local:///var/lib/app", {"state_dir": "/var/lib/app"}),
    "an unknown scheme": ("bsguard+redis://127.0.0.1", {}),
}


@pytest.mark.parametrize(("uri", "options"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_meant_is_an_error_at_start(uri: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        storage_from_string(uri, **options)


def test_a_relative_variable_is_an_error_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BSGUARD_STATE_DIR", "state")
    with pytest.raises(ConfigurationError, match="absolute"):
        storage_from_string("bsguard+local://")


def test_without_lmdb_it_is_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_storage, "find_spec", lambda name: None)

    assert opened("local", tmp_path / "state").incr("key", 60) == 1
    assert (tmp_path / "state" / "limits.sqlite").exists()


# What happens when it cannot count.


def test_a_folder_that_cannot_be_used_is_said_at_once_and_is_a_storage_error(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("x")
    with caplog.at_level(logging.ERROR, "bsguard"):
        storage = opened(kind, tmp_path / "file")

    assert "RATELIMIT_STORAGE_URI" in caplog.text
    assert not storage.check()
    calls = {
        "incr": lambda: storage.incr("key", 60),
        "get": lambda: storage.get("key"),
        "get_expiry": lambda: storage.get_expiry("key"),
        "acquire_entry": lambda: storage.acquire_entry("key", 1, 60),
        "get_moving_window": lambda: storage.get_moving_window("key", 1, 60),
        "acquire_sliding_window_entry": lambda: storage.acquire_sliding_window_entry("key", 1, 60),
        "get_sliding_window": lambda: storage.get_sliding_window("key", 60),
        "clear": lambda: storage.clear("key"),
        "reset": storage.reset,
    }
    if hasattr(SlidingWindowCounterSupport, "clear_sliding_window"):  # older releases of limits do not know it
        calls["clear_sliding_window"] = lambda: storage.clear_sliding_window("key", 60)
    for name, call in calls.items():
        with pytest.raises(StorageError) as caught:
            call()
        assert isinstance(caught.value.storage_error, StateUnusable), name
    with pytest.raises(StateUnusable):
        opened(kind, tmp_path / "file", wrap_exceptions=False).incr("key", 60)

    (tmp_path / "file").unlink()
    assert storage.incr("key", 60) == 1  # cured without a restart


def test_a_folder_that_is_deleted_is_made_again(storage: SharedStorage) -> None:
    storage.incr("key", 60)
    for path in storage.folder.iterdir():
        path.unlink()
    storage.folder.rmdir()
    storage._file.close()  # as both do within a second of the deletion
    with suppress(StorageError):  # one use may notice that the folder is gone, and the next makes it
        storage.incr("other", 60)

    assert storage.incr("key", 60) == 1


@pytest.mark.parametrize("damage", [b"", b"nonsense" * 9000], ids=["cut", "nonsense"])
def test_a_damaged_file_is_replaced(tmp_path: Path, damage: bytes) -> None:
    pytest.importorskip("lmdb")
    storage = opened("local", tmp_path / "state")
    storage.incr("key", 60)
    storage._file.close()
    (tmp_path / "state/limits.lmdb").write_bytes(damage)

    assert storage.incr("key", 60) == 1
    assert (tmp_path / "state/limits.damaged").read_bytes() == damage


def test_a_file_from_before_the_machine_started_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lmdb")
    from bsguard.stores import lmdb_file

    (tmp_path / "boot").write_text("first")
    monkeypatch.setattr(lmdb_file, "_BOOT_ID", tmp_path / "boot")
    storage = opened("local", tmp_path / "state")
    assert storage.incr("key", 60) == 1
    storage._file.close()
    assert storage.incr("key", 60) == 2
    (tmp_path / "boot").write_text("second")
    storage._file.close()

    assert storage.incr("key", 60) == 1


def test_nobody_hangs_while_another_holds_the_database(tmp_path: Path) -> None:
    storage = opened("sqlite", tmp_path / "state")
    storage.incr("key", 60)
    held, done = threading.Event(), threading.Event()
    other = opened("sqlite", tmp_path / "state")

    def hold(*_: object) -> None:
        held.set()
        done.wait(30)

    holder = threading.Thread(target=other._file.step, args=(hold,))
    holder.start()
    held.wait(30)
    started = time.monotonic()
    try:
        with pytest.raises(StorageError):
            storage.incr("key", 60)
        waited = time.monotonic() - started
    finally:
        done.set()
        holder.join()

    assert waited < 20
    assert storage.incr("key", 60) == 2


POLICIES = {
    "none": ({}, [500] * 4, [200, 200, 429]),
    "swallow": ({"RATELIMIT_SWALLOW_ERRORS": True}, [200] * 4, [200, 200, 429]),
    "fall back": ({"RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": True}, [200, 200, 429, 429], [200, 200, 429]),
}


@pytest.mark.parametrize(("settings", "down", "again"), POLICIES.values(), ids=POLICIES)
def test_flask_limiter_decides_what_a_request_gets(
    kind: str, tmp_path: Path, settings: dict[str, Any], down: list[int], again: list[int]
) -> None:
    (tmp_path / "state").write_text("in the way")
    app = Flask("demo")
    app.config.from_mapping(RATELIMIT_STORAGE_URI=f"bsguard+{kind}://{tmp_path}/state", **settings)
    limiter = Limiter(lambda: "everybody", app=app, default_limits=["2 per day"])
    app.add_url_rule("/", view_func=lambda: "served")
    client = app.test_client()

    assert [client.get("/").status_code for _ in range(4)] == down
    (tmp_path / "state").unlink()
    limiter._Limiter__last_check_backend = 0.0  # Flask-Limiter looks again after a pause that it chooses
    assert [client.get("/").status_code for _ in range(3)] == again
