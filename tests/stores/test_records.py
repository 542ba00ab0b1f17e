"""What every store does alike with trails and records."""

from __future__ import annotations

import threading

import pytest

from bsguard.stores.port import NO_RECORD, TRAIL_MAX, Ban, Counter, Exchange, Rate, Record, Store, Write
from tests.stores.support import KEYS, SECOND, SHARED, START_US, crowd, open_kind

RATE = Rate.of(10, 60)
KEY = KEYS.counter("ip", "192.0.2.1")
BAN = KEYS.ban("192.0.2.1")
TRAIL, OTHER = KEYS.trail("last", "a"), KEYS.trail("last", "b")
RECORD, SECOND_RECORD, THIRD = b"rone", b"rtwo", b"rthree"
MANY = 1000


def put(store: Store, key: bytes, number: int, *, at: int = START_US) -> int:
    """Exchange one number."""
    return store.take(at, [], [], [], [Exchange(key, number)]).before[0]


def test_an_exchange_gives_what_stood_there_before(store: Store) -> None:
    assert [put(store, TRAIL, number) for number in (5, 7, TRAIL_MAX, 1)] == [0, 5, 7, TRAIL_MAX]
    assert put(store, OTHER, 3) == 0


def test_several_exchanges_in_one_step(store: Store) -> None:
    store.take(START_US, [], [], [], [Exchange(TRAIL, 1), Exchange(OTHER, 2)])
    taken = store.take(START_US, [Counter(KEY, RATE)], [], [Ban(BAN)], [Exchange(OTHER, 4), Exchange(TRAIL, 3)])
    assert (taken.before, taken.over, taken.loads_us) == ((2, 1), (), (RATE.emission_us,))


def test_what_is_refused_exchanges_nothing(store: Store) -> None:
    put(store, TRAIL, 1)
    store.take(START_US, [Counter(KEY, RATE, 10)])
    assert store.take(START_US, [Counter(KEY, RATE)], [], [], [Exchange(TRAIL, 2)]).before == (1,)
    assert store.take(START_US, [Counter(KEY, RATE, soft=True)], [], [], [Exchange(TRAIL, 3)]).before == (1,)
    assert put(store, TRAIL, 4) == 3


def test_who_is_banned_exchanges_nothing(store: Store) -> None:
    put(store, TRAIL, 1)
    store.ban(START_US, BAN, START_US + SECOND)
    assert store.take(START_US, [], [], [Ban(BAN)], [Exchange(TRAIL, 2)]).before == ()
    assert put(store, TRAIL, 3) == 1


def test_the_smallest_number_goes_where_there_is_no_room(store: Store, kind: str) -> None:
    if kind == "redis":
        pytest.skip("a server has room, and forgets by time")
    keys = crowd("trail", "last", 9)
    for number, key in enumerate(keys, start=1):
        put(store, key, number)
    assert put(store, keys[8], 20) == 9
    assert put(store, keys[0], 21) == 0


def test_a_record_is_kept_under_its_version(store: Store) -> None:
    assert store.records([RECORD]) == [NO_RECORD]
    assert store.keep(START_US, [Write(RECORD, 0, b"one")], MANY) == [True]
    assert store.records([RECORD, SECOND_RECORD]) == [Record(1, b"one"), NO_RECORD]
    assert store.keep(START_US, [Write(RECORD, 1, b"two\n\0three")], MANY) == [True]
    assert store.records([RECORD]) == [Record(2, b"two\n\0three")]


def test_who_has_read_an_older_record_replaces_nothing(store: Store) -> None:
    store.keep(START_US, [Write(RECORD, 0, b"one")], MANY)
    writes = [Write(RECORD, 0, b"late"), Write(SECOND_RECORD, 1, b"none there"), Write(RECORD, 1, b"two")]
    assert store.keep(START_US, writes, MANY) == [False, False, True]
    assert store.records([RECORD, SECOND_RECORD]) == [Record(2, b"two"), NO_RECORD]


def test_empty_data_takes_a_record_away(store: Store) -> None:
    store.keep(START_US, [Write(RECORD, 0, b"one")], MANY)
    assert store.keep(START_US, [Write(RECORD, 7, b"")], MANY) == [False]
    assert store.keep(START_US, [Write(RECORD, 1, b"")], MANY) == [True]
    assert (store.records([RECORD]), store.newest(MANY)) == ([NO_RECORD], [])


def test_the_newest_come_first(store: Store) -> None:
    for second, key in enumerate((RECORD, SECOND_RECORD, THIRD)):
        store.keep(START_US + second * SECOND, [Write(key, 0, b"data")], MANY)
    store.keep(START_US + 9 * SECOND, [Write(RECORD, 1, b"again")], MANY)
    assert [key for key, _ in store.newest(2)] == [RECORD, THIRD]
    assert store.newest(1) == [(RECORD, Record(2, b"again"))]
    assert store.newest(0) == []


def test_those_that_were_not_written_for_longest_go(store: Store) -> None:
    keys = [b"r%d" % number for number in range(8)]
    for second, key in enumerate(keys[:5]):
        store.keep(START_US + second * SECOND, [Write(key, 0, b"data")], 5)
    store.keep(START_US + 5 * SECOND, [Write(keys[0], 1, b"again")], 5)
    store.keep(START_US + 6 * SECOND, [Write(key, 0, b"data") for key in keys[5:7]], 5)
    assert {key for key, _ in store.newest(MANY)} == {keys[0], *keys[3:7]}
    assert store.records([keys[1], keys[2]]) == [NO_RECORD, NO_RECORD]


def test_no_records(store: Store) -> None:
    assert store.records([]) == []
    assert store.keep(START_US, [], MANY) == []


def test_reset_forgets_records_and_trails(store: Store) -> None:
    store.keep(START_US, [Write(RECORD, 0, b"one")], MANY)
    put(store, TRAIL, 1)
    store.reset()
    assert (store.records([RECORD]), store.newest(MANY), put(store, TRAIL, 2)) == ([NO_RECORD], [], 0)
    assert store.keep(START_US, [Write(RECORD, 0, b"one")], MANY) == [True]


def test_of_writers_at_the_same_time_one_wins(store: Store) -> None:
    won: list[bool] = []

    def write(number: int) -> None:
        won.extend(store.keep(START_US, [Write(RECORD, 0, b"%d" % number)], MANY))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]


class TestShared:
    """What several processes share is one store to all who name its place."""

    @pytest.fixture(params=SHARED)
    def kind(self, request: pytest.FixtureRequest) -> str:
        found: str = request.param
        return found

    def test_records_are_those_of_the_place(self, store: Store, kind: str, place: str) -> None:
        second = open_kind(kind, place, **({"caller_time": True} if kind == "redis" else {}))
        store.keep(START_US, [Write(RECORD, 0, b"one")], MANY)
        put(store, TRAIL, 3)
        assert second.records([RECORD]) == [Record(1, b"one")]
        assert put(second, TRAIL, 4) == 3
        second.close()

    def test_records_outlive_the_store_that_wrote_them(self, store: Store, kind: str, place: str) -> None:
        store.keep(START_US, [Write(RECORD, 0, b"one")], MANY)
        store.close()
        second = open_kind(kind, place)
        assert second.records([RECORD]) == [Record(1, b"one")]
        second.close()
