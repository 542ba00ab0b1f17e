"""What a session does, what is said of it, and what follows."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from bsguard.core.errors import StateUnusable
from bsguard.session.recorder import BATCH_MAX, BATCH_SECONDS
from bsguard.session.viewing import forget, newest
from bsguard.stores.memory import MemoryStore
from tests.session.support import DAY, KEYS, START, Bench, code_of, table

if TYPE_CHECKING:
    from collections.abc import Callable


def letters(number: int) -> str:
    return "".join(chr(97 + number // 26**place % 26) for place in range(4))


def probing(bench: Bench) -> None:
    for number in range(30):
        bench.ask(f"/none/{letters(number)}")


def id_run(bench: Bench) -> None:
    for number in range(300):
        bench.ask(f"/v1/files/{5_000 + number}", after=5)


def many_networks(bench: Bench) -> None:
    for number in range(12):
        bench.ask(by=f"{20 + number}.7.0.1", agent="curl/8.0", after=20)


def three_networks(bench: Bench) -> None:
    for number in range(9):
        bench.ask(by=f"{20 + number // 3}.7.0.1", agent="curl/8.0", after=20)


def volume(bench: Bench) -> None:
    for _ in range(100):
        bench.work()


def wrong_order(bench: Bench) -> None:
    for path in ("/v1/generate", "/v1/models", "/v1/files/123", "/v1/estimate") * 3:
        bench.ask(path, method="POST" if path in ("/v1/generate", "/v1/estimate") else "GET", after=3)


def sync(bench: Bench, first: int, count: int) -> None:
    """Objects by number, in runs of a few."""
    for number in range(count):
        bench.ask(f"/v1/files/{first + number + number // 5 * 3}", after=1)


def test_a_walk_without_a_gap_stands_out_from_a_sync_of_many_runs() -> None:
    bench = Bench()
    for number in range(30):
        bench.live(2, key=f"good other {number}", by=f"192.0.2.{number}")
    for day in range(8):
        sync(bench, 10**6 + day * 400, 200)
        bench.next_day()
    sync(bench, 10**6 + 8 * 400, 200)
    assert bench.scored() == []
    for number in range(200):
        bench.ask(f"/v1/files/{5_000 + number}", after=1)
    assert bench.signals().get("enumeration", 0) >= 100


def test_a_call_that_is_refused_is_not_out_of_order() -> None:
    bench = Bench({"SCORE_MIN": 1})

    def days(count: int, key: str) -> None:
        for _ in range(count):
            for _ in range(6):
                bench.ask("/v1/estimate", key=key, method="POST", after=2000)
                bench.ask("/status/200", key=key)
            bench.next_day()

    for number in range(20):
        days(2, f"good other {number}")
    days(10, "good")
    for status, unusual in ((422, False), (200, True)):
        for _ in range(5):
            bench.ask("/v1/models", after=2000)
            bench.ask(f"/status/{status}")
        assert ("order" in bench.signals()) == unusual, status


def test_a_few_guesses_a_day_add_up() -> None:
    bench = Bench({"SCORE_MIN": 1})
    for number in range(30):
        bench.live(2, key=f"good other {number}", by=f"192.0.2.{number}")
    for _ in range(12):
        bench.ask("/status/200/7")
        bench.live(1)
    points = []
    for _ in range(6):
        before = len(bench.scored())
        for _ in range(2):
            bench.ask(f"/status/404/{bench.random.randint(1, 10**6)}")
        bench.live(1)
        points.append(max((event.score for event in bench.scored()[before:]), default=0.0))
    assert points[-1] > 1.4 * points[0]
    assert points[-1] >= 50


ABUSE: dict[str, tuple[Callable[[Bench], None], str]] = {
    "probing": (probing, "probing"),
    "a run of ids": (id_run, "enumeration"),
    "many networks": (many_networks, "leak"),
    "three networks": (three_networks, "leak"),
    "eight times as much": (volume, "volume"),
    "the wrong order": (wrong_order, "order"),
}


@pytest.mark.parametrize(("act", "signal"), table(6, ABUSE))
def test_abuse_is_an_anomaly(act: Callable[[Bench], None], signal: str) -> None:
    bench = Bench()
    for number in range(30):
        bench.live(2, key=f"good other {number}", by=f"192.0.2.{number}")
    bench.live(10)
    assert bench.scored() == []
    act(bench)
    assert bench.signals().get(signal, 0) >= 100, bench.signals()
    event = bench.scored()[-1]
    assert (event.action, event.score >= 100, bool(event.facts)) == ("logged", True, True)


def office(bench: Bench) -> None:
    """A hundred people behind one address, each with a key of their own."""
    for number in range(100):
        bench.ask(key=f"good person {number}", after=2)


def telephone(bench: Bench) -> None:
    """The carrier gives another address again and again, out of its networks."""
    for number in range(40):
        bench.ask(by=f"176.11.{number}.{number + 1}", after=200)


def long_poll(bench: Bench) -> None:
    """Asks for one thing again and again, until it is there."""
    for number in range(200):
        bench.ask("/none/yet" if number < 190 else "/v1/models", after=30)


def storm(bench: Bench) -> None:
    """Everything fails for an hour, and is tried again."""
    for _ in range(500):
        bench.ask("/status/503", after=5)


def deploy(bench: Bench) -> None:
    """A release of the client calls three operations that it never called."""
    for _ in range(8):
        bench.work()
        for path in ("/v2/plans", "/v2/plans/17", "/v2/export"):
            bench.ask(path, after=20)


def refused(bench: Bench) -> None:
    """What we refuse ourselves, or a limit, is nobody's conduct."""
    for _ in range(500):
        bench.ask("/status/429", after=1)


HONEST: dict[str, Callable[[Bench], None]] = {
    "an office": office,
    "a telephone": telephone,
    "a long poll": long_poll,
    "a storm of retries": storm,
    "a deploy": deploy,
    "what is over a limit": refused,
    "a day as any": lambda bench: bench.live(1),
}


@pytest.mark.parametrize("act", table(7, HONEST))
def test_honest_use_is_no_anomaly(act: Callable[[Bench], None]) -> None:
    bench = Bench()
    for number in range(30):
        bench.live(2, key=f"good other {number}", by=f"192.0.2.{number}")
    bench.live(10)
    act(bench)
    bench.layer.flush()
    assert bench.scored() == []


def test_somebody_who_reads_ten_thousand_objects_every_night_may_go_on() -> None:
    bench = Bench()
    for _ in range(8):
        for number in range(1_000):
            bench.ask(f"/v1/files/{number * 10}", after=0.3)
        bench.next_day()
    assert bench.scored() == []


def test_a_score_is_told_again_when_it_has_grown() -> None:
    bench = Bench({"SCORE_MIN": 10})
    bench.live(5)
    bench.events.clear()
    probing(bench)
    scores = [event.score for event in bench.scored()]
    assert len(scores) > 3
    assert all(later > before * 1.04 for before, later in pairwise(scores))


def acted(action: str, mode: str = "enforce", **config: object) -> Bench:
    bench = Bench({"ACTIONS": {"probing": action}, **config}, mode=mode)
    bench.live(5)
    probing(bench)
    bench.clock.advance(3)
    return bench


def test_a_session_is_denied_for_a_while() -> None:
    bench = acted("deny", ACTION_SECONDS=600)
    answer = bench.ask()
    assert (answer.status, code_of(answer), bench.rules()[-1]) == (403, "BSE1602", "session.denied")
    assert bench.ask(key="good of others").status == 200
    assert bench.scored()[-1].action == "denied"
    assert bench.ask(after=600).status == 200


def test_a_session_is_slowed_down_for_a_while() -> None:
    bench = acted("throttle", ACTION_SECONDS=600, THROTTLE_SECONDS=10)
    statuses = [bench.ask(after=1).status for _ in range(21)]
    assert 2 <= statuses.count(200) <= 3
    answer = next(answer for answer in (bench.ask(after=1) for _ in range(3)) if answer.status != 200)
    assert (answer.status, code_of(answer), bench.rules()[-1]) == (429, "BSE1601", "session.throttled")
    assert 1 <= int(answer.header("Retry-After")) <= 10
    assert bench.ask(after=600).status == 200


def test_the_application_revokes_a_session() -> None:
    revoked: list[tuple[str, str]] = []
    bench = acted("revoke", REVOKE=lambda session, account: revoked.append((session, account)))
    event = next(event for event in bench.scored() if event.action == "revoked")
    assert set(revoked) == {(event.session, event.account)}
    assert event.account.startswith("account of")
    assert bench.ask().status == 403


def test_a_session_is_denied_even_if_it_cannot_be_revoked() -> None:
    def fail(_session: str, _account: str) -> None:
        raise ZeroDivisionError

    bench = acted("revoke", REVOKE=fail)
    assert bench.ask().status == 403
    assert [event for event in bench.events if event.name == "layer.failed"] == []


@pytest.mark.parametrize(
    ("action", "word"), [("throttle", "would_throttle"), ("deny", "would_deny"), ("log", "logged")]
)
def test_monitoring_refuses_nothing_and_leaves_nothing_behind(action: str, word: str) -> None:
    bench = acted(action, mode="monitor")
    assert bench.scored()[-1].action == word
    assert bench.ask().status == 200
    strict = Bench({"ACTIONS": {"probing": action}}, store=bench.store, clock=bench.clock)
    assert [strict.ask().status for _ in range(3)] == [200] * 3


def test_a_session_that_is_forgotten_may_go_on() -> None:
    bench = acted("deny")
    session = bench.scored()[-1].session
    assert bench.ask().status == 403
    assert forget(bench.store, KEYS, session, bench.clock.now())
    assert bench.ask().status == 200
    assert not forget(bench.store, KEYS, "0" * 16, bench.clock.now())


def test_nothing_is_done_about_a_score_below_a_hundred() -> None:
    bench = Bench({"SCORE_MIN": 1, "ACTIONS": {"probing": "deny"}})
    bench.live(5)
    for number in range(2):
        bench.ask(f"/none/{letters(number)}")
    bench.ask(after=3)
    assert {event.action for event in bench.scored()} == {"logged"}
    assert bench.ask().status == 200


def test_an_unusual_day_teaches_nothing() -> None:
    bench = Bench()
    bench.live(6)
    bench.layer.flush()
    before = newest(bench.store, 1)[0][1]
    probing(bench)
    bench.next_day()
    bench.ask()
    bench.layer.flush()
    after = newest(bench.store, 1)[0][1]
    assert (after.days, after.frozen) == (before.days + 1, 1)


def test_slow_poisoning_is_bounded() -> None:
    bench = Bench({"SCORE_MIN": 1})
    bench.live(6)
    bench.layer.flush()
    most = max(newest(bench.store, 1)[0][1].ring("requests"))
    for _ in range(100 * 48):
        bench.ask(after=10)
    bench.next_day()
    bench.ask()
    bench.layer.flush()
    assert max(newest(bench.store, 1)[0][1].ring("requests")) <= most + 1.4


def test_what_was_not_written_yet_is_written_in_time() -> None:
    bench = Bench()
    bench.ask(after=0.001)
    assert newest(bench.store, 1) == []
    for _ in range(BATCH_MAX - 1):
        bench.ask(after=0.001)
    assert newest(bench.store, 1)[0][1].total == BATCH_MAX
    bench.ask(after=0.001)
    bench.ask(after=BATCH_SECONDS)
    assert newest(bench.store, 1)[0][1].total == BATCH_MAX + 2


def test_two_workers_undo_nothing_of_one_another() -> None:
    one = Bench()
    other = Bench(store=one.store, clock=one.clock)
    for _ in range(100):
        one.ask(after=0.01)
        other.ask(after=0.01)
    one.layer.flush()
    other.layer.flush()
    assert newest(one.store, 1)[0][1].total == 200


class Down(MemoryStore):
    """A store that cannot keep records."""

    down = True

    def records(self, *arguments: Any) -> Any:
        if self.down:
            raise StateUnusable("gone")
        return super().records(*arguments)


def test_a_store_that_is_down_is_said_once_and_costs_no_request() -> None:
    store = Down()
    bench = Bench(store=store)
    assert [bench.ask().status for _ in range(20)] == [200] * 20
    assert [event.part for event in bench.events if event.name == "state.degraded"] == ["store"]
    store.down = False
    bench.ask()
    bench.ask()
    assert newest(store, 1)[0][1].total >= 1


@pytest.mark.parametrize("step", [-10 * DAY, -3600, 400 * DAY, 2.0**33, -START - DAY])
def test_a_clock_that_jumps_does_no_harm(step: float) -> None:
    bench = Bench({"ACTIONS": {"volume": "deny", "leak": "deny", "order": "deny"}})
    bench.live(5)
    bench.clock.advance(step)
    assert {bench.ask(after=60).status for _ in range(50)} == {200}
    bench.live(2)
    assert bench.scored() == []
    assert [event for event in bench.events if event.name == "layer.failed"] == []


HOSTILE = table(
    8,
    {
        "no path": "/",
        "many segments": "/" + "1/" * 2_000,
        "a long segment": "/" + "a" * 20_000,
        "digits": "/x/" + "9" * 20_000,
        "bytes that are no text": "/%ff%fe%00",
        "braces": "/{}/{id}",
        "a query of ids": "/?" + "id=1&" * 2_000,
        "line ends": "/a%0d%0ab",
    },
)


@pytest.mark.parametrize("target", HOSTILE)
def test_hostile_paths(target: str) -> None:
    bench = Bench({"SCORE_MIN": 1})
    for number in range(20):
        assert bench.ask(f"{target}{number}", agent="x" * 5_000 + "\xff").status == 200
    bench.layer.flush()
    assert [event for event in bench.events if event.name == "layer.failed"] == []
