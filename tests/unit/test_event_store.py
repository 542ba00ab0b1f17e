"""The event store: bounded, in batches, off the request path, and never in the way."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest

from bsguard.core import events
from bsguard.core.events import Event, StateDegraded
from bsguard.observe import store as store_module
from bsguard.observe.store import EventStore
from bsguard.testing import environ, run
from tests.unit.support import App

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bsguard.standard import Guard


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.sqlite"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[..., EventStore]]:
    made: list[EventStore] = []

    def make(rows_max: int = 1000, **more: Any) -> EventStore:
        made.append(EventStore(path, rows_max=rows_max, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def event(number: int, part: str = "events") -> StateDegraded:
    return StateDegraded(time=float(number), part=part, lost=str(number), reason="why")


def lost(found: list[dict[str, object]]) -> list[object]:
    return [one["lost"] for one in found]


def test_events_come_back_newest_first_with_their_ids(opened: Callable[..., EventStore]) -> None:
    store = opened()
    for number in range(5):
        store(event(number))
    store.flush()

    assert lost(store.recent()) == ["4", "3", "2", "1", "0"]
    assert lost(store.recent(2)) == ["4", "3"]
    assert lost(store.recent(after_id=3)) == ["4", "3"]
    assert store.recent(1) == [
        {"id": 5, "event": "state.degraded", "time": 4.0, "part": "events", "lost": "4", "reason": "why"}
    ]
    assert lost(store.named("state.degraded", 1)) == ["4"]
    assert store.named("request.denied") == []
    assert store.dropped == 0


def test_events_of_a_request_are_found_by_the_id_that_its_answer_carried(make_guard: Callable[..., Guard]) -> None:
    made = make_guard(App())
    answers = [run(made, environ("TRACE", headers={"Expect": "tea"})) for _ in range(3)]
    assert made.store is not None
    made.store.flush()

    found = made.store.of_request(answers[1].header("X-Request-Id"))
    assert [one["rule"] for one in found] == ["protocol.method", "protocol.expect"]
    assert made.store.of_request("nobody") == []


def test_only_the_newest_rows_are_kept(opened: Callable[..., EventStore]) -> None:
    store = opened(rows_max=5)
    for number in range(12):
        store(event(number))
        if number % 4 == 3:
            store.flush()

    assert lost(store.recent()) == ["11", "10", "9", "8", "7"]


def test_a_full_queue_drops_and_counts_what_comes_after(
    opened: Callable[..., EventStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "QUEUE_EVENTS_MAX", 10)
    store = opened()
    with store._changed:  # the writer is held up
        for number in range(25):
            store(event(number))
        assert store.dropped == 15
    store.flush()

    assert lost(store.recent()) == [str(number) for number in range(9, -1, -1)]
    store(event(99))
    store.flush()
    assert lost(store.recent(1)) == ["99"]
    assert store.dropped == 15


def test_more_than_a_batch_is_written_in_several(opened: Callable[..., EventStore]) -> None:
    store = opened(rows_max=10_000)
    for number in range(2500):
        store(event(number))
    store.flush()

    assert len(store.recent(10_000)) == 2500
    assert store.dropped == 0


def test_events_of_every_request_are_kept_only_when_asked_for(opened: Callable[..., EventStore]) -> None:
    finished = events.RequestFinished(
        time=1.0,
        request_id="r",
        method="GET",
        path="/",
        client="c",
        identity="",
        account="",
        surface="",
        region="",
        status=200,
        refused_by="",
        total_us=1,
        cost_us=1,
    )
    plain, asked = opened(), opened(finished=True)
    for store in (plain, asked):
        store(finished)
        store.flush()

    assert not plain.wants(events.RequestFinished)
    assert asked.wants(events.RequestFinished)
    assert plain.wants(events.RequestDenied)
    assert len(asked.recent()) == 1


def test_a_file_that_cannot_be_written_is_said_once_and_again_only_after_it_had_worked(
    opened: Callable[..., EventStore], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(b"garbage" * 100)
    store = opened()
    for number in range(3):
        store(event(number))
        store.flush()
    assert len(caplog.records) == 1
    assert caplog.records[0].getMessage().startswith(f"events cannot be stored in {path}, they are lost")
    assert store.dropped == 3
    path.unlink()
    store(event(3))
    store.flush()

    assert lost(store.recent()) == ["3"]
    assert store.dropped == 3
    assert len(caplog.records) == 1


def test_reading_a_spoilt_file_is_an_error_of_the_database(opened: Callable[..., EventStore], path: Path) -> None:
    path.write_bytes(b"garbage" * 100)

    with pytest.raises(sqlite3.DatabaseError):
        opened().recent()


def test_an_event_that_cannot_be_stored_costs_no_other_event(opened: Callable[..., EventStore]) -> None:
    store = opened()
    store(event(0, part={"a", "set"}))  # type: ignore[arg-type]
    store(event(1))
    store.flush()

    assert lost(store.recent()) == ["1"]
    assert store.dropped == 1


def test_text_that_is_no_unicode_is_kept(opened: Callable[..., EventStore]) -> None:
    store = opened()
    store(event(0, part="\udcff\ud800\0"))
    store.flush()

    assert store.recent()[0]["part"] == "\udcff\ud800\0"


def test_nothing_waits_for_a_database_that_another_process_holds(opened: Callable[..., EventStore], path: Path) -> None:
    store = opened()
    store(event(0))
    store.flush()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    for number in range(1, 2001):
        store(event(number))
    holder.execute("ROLLBACK")
    holder.close()
    store.flush()

    assert len(store.recent(5000)) == 1000
    assert store.dropped == 0


def test_what_was_queued_is_written_when_the_store_is_closed(opened: Callable[..., EventStore]) -> None:
    store = opened()
    store(event(0))
    store.close()

    assert lost(opened().recent()) == ["0"]


def test_many_threads_lose_nothing(opened: Callable[..., EventStore]) -> None:
    store = opened(rows_max=100_000)

    def send(start: int) -> None:
        for number in range(start, start + 200):
            store(event(number))

    threads = [threading.Thread(target=send, args=(start,)) for start in range(0, 1600, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.flush()

    assert {int(str(one)) for one in lost(store.recent(10_000))} == set(range(1600))


def test_a_thread_that_cannot_be_started_costs_nothing_but_time(
    opened: Callable[..., EventStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    def impossible(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    store = opened()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", impossible)
        store(event(0))
    store(event(1))
    store.flush()

    assert lost(store.recent()) == ["1", "0"]


def test_a_store_that_nobody_uses_starts_no_thread(opened: Callable[..., EventStore], path: Path) -> None:
    before = threading.active_count()
    opened().flush()

    assert threading.active_count() == before
    assert not path.exists()


def test_flushing_what_is_not_an_event_of_ours_is_not_needed(opened: Callable[..., EventStore]) -> None:
    class Strange(Event):
        name = "strange"

    store = opened()
    store(Strange(time=1.0))
    store.flush()

    assert store.recent() == [{"id": 1, "event": "strange", "time": 1.0}]
