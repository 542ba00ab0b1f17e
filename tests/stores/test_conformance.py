"""What every store does alike, with the time in the test's hand."""

from __future__ import annotations

import pytest

from bsguard.stores.port import Ban, Change, Counter, Rate, Store
from tests.stores.support import KEYS, SECOND, SHARED, START_US, crowd, open_kind

RATE = Rate.of(10, 60)
ONE = RATE.emission_us
KEY = KEYS.counter("ip", "192.0.2.1")
OTHER = KEYS.counter("ip", "192.0.2.2")
MARK = KEYS.mark("known", "192.0.2.1")
BAN = KEYS.ban("192.0.2.1")


def used(store: Store, key: bytes = KEY, *, at: int = START_US, rate: Rate = RATE) -> float:
    """How many units a counter holds, without charging it."""
    return store.take(at, [Counter(key, rate, cost=0)]).loads_us[0] / rate.emission_us


def test_a_counter_holds_its_capacity_and_not_one_more(store: Store) -> None:
    for count in range(1, 11):
        taken = store.take(START_US, [Counter(KEY, RATE)])
        assert (taken.over, taken.loads_us, taken.now_us) == ((), (count * ONE,), START_US)
    for _ in range(3):
        assert store.take(START_US, [Counter(KEY, RATE)]).over == (0,)
    assert used(store) == 10


def test_a_counter_empties_evenly(store: Store) -> None:
    for _ in range(10):
        store.take(START_US, [Counter(KEY, RATE)])
    assert store.take(START_US + ONE - 1, [Counter(KEY, RATE)]).over == (0,)
    assert store.take(START_US + ONE, [Counter(KEY, RATE)]).over == ()
    assert used(store, at=START_US + 66 * SECOND) == 0


def test_all_are_charged_or_none(store: Store) -> None:
    for _ in range(10):
        store.take(START_US, [Counter(KEY, RATE)])
    taken = store.take(START_US, [Counter(OTHER, RATE), Counter(KEY, RATE)])
    assert taken.over == (1,)
    assert taken.loads_us == (0, 10 * ONE)
    assert used(store, OTHER) == 0


def test_a_soft_counter_says_so_and_holds_nobody_back(store: Store) -> None:
    for _ in range(10):
        store.take(START_US, [Counter(KEY, RATE)])
    taken = store.take(START_US, [Counter(KEY, RATE, soft=True), Counter(OTHER, RATE)])
    assert taken.over == (0,)
    assert (used(store), used(store, OTHER)) == (10, 1)


@pytest.mark.parametrize(("cost", "fits"), [(0, True), (1, True), (9, True), (10, True), (11, False), (10**12, False)])
def test_cost(store: Store, cost: int, fits: bool) -> None:
    assert (store.take(START_US, [Counter(KEY, RATE, cost)]).over == ()) is fits
    assert used(store) == (cost if fits else 0)


def test_a_cost_of_nothing_is_over_when_not_one_unit_fits(store: Store) -> None:
    store.take(START_US, [Counter(KEY, RATE, 9)])
    assert store.take(START_US, [Counter(KEY, RATE, 0)]).over == ()
    store.take(START_US, [Counter(KEY, RATE, 1)])
    assert store.take(START_US, [Counter(KEY, RATE, 0)]).over == (0,)


def test_a_mark_is_set_by_a_charge_and_leaves_counters_out(store: Store) -> None:
    first = Counter(KEY, RATE, unless=(0,), mark=0, mark_us=SECOND)
    taken = store.take(START_US, [first, Counter(OTHER, RATE)], [MARK])
    assert (taken.marks, taken.loads_us) == ((False,), (ONE, ONE))
    taken = store.take(START_US, [first, Counter(OTHER, RATE)], [MARK])
    assert (taken.marks, taken.loads_us) == ((True,), (-1, 2 * ONE))
    taken = store.take(START_US + SECOND, [first], [MARK])
    assert taken.marks == (False,)
    assert taken.loads_us == (2 * ONE - SECOND,)


def test_a_refused_step_sets_no_mark(store: Store) -> None:
    store.take(START_US, [Counter(KEY, RATE, 10)])
    store.take(START_US, [Counter(OTHER, RATE, mark=0, mark_us=SECOND), Counter(KEY, RATE)], [MARK])
    assert store.take(START_US, [], [MARK]).marks == (False,)


@pytest.mark.parametrize(("held", "counted"), [((), True), ((0,), False), ((1,), False), ((0, 1), False)])
def test_any_mark_that_holds_leaves_a_counter_out(store: Store, held: tuple[int, ...], counted: bool) -> None:
    marks = [KEYS.mark("a", "x"), KEYS.mark("b", "x")]
    store.settle(START_US, [], [(marks[position], SECOND) for position in held])
    taken = store.take(START_US, [Counter(KEY, RATE, unless=(0, 1))], marks)
    assert taken.loads_us == ((ONE,) if counted else (-1,))
    assert taken.marks == (0 in held, 1 in held)


def test_a_ban_stops_everything_until_it_ends(store: Store) -> None:
    store.ban(START_US, BAN, START_US + SECOND)
    taken = store.take(START_US, [Counter(KEY, RATE)], [MARK], [Ban(BAN)])
    assert taken == (START_US + SECOND, (), (), (False,), START_US, ())
    assert used(store) == 0
    assert store.take(START_US + SECOND, [Counter(KEY, RATE)], [], [Ban(BAN)]).banned_until_us == 0


def test_a_ban_does_not_hold_beside_its_mark(store: Store) -> None:
    store.ban(START_US, BAN, START_US + SECOND)
    store.settle(START_US, [], [(MARK, SECOND)])
    taken = store.take(START_US, [Counter(KEY, RATE)], [MARK], [Ban(BAN, (0,))])
    assert (taken.banned_until_us, taken.loads_us) == (0, (ONE,))
    assert store.take(START_US, [], [MARK], [Ban(KEYS.ban("z")), Ban(BAN)]).banned_until_us == START_US + SECOND


def test_the_longer_ban_holds_and_a_past_moment_lifts_it(store: Store) -> None:
    def banned() -> int:
        return store.take(START_US, [], [], [Ban(BAN)]).banned_until_us

    store.ban(START_US, BAN, START_US + 2 * SECOND)
    store.ban(START_US, BAN, START_US + SECOND)
    assert banned() == START_US + 2 * SECOND
    store.ban(START_US, BAN, START_US + 3 * SECOND)
    assert banned() == START_US + 3 * SECOND
    store.ban(START_US, BAN, 0)
    assert banned() == 0


def test_settling_gives_back_and_charges_within_the_bounds(store: Store) -> None:
    store.take(START_US, [Counter(KEY, RATE, 3)])
    assert store.settle(START_US, [Change(KEY, RATE, -1), Change(OTHER, RATE, 4)]) == [2 * ONE, 4 * ONE]
    assert store.settle(START_US, [Change(KEY, RATE, -9), Change(OTHER, RATE, 99)]) == [0, 10 * ONE]
    assert (used(store), used(store, OTHER)) == (0, 10)


def test_settling_a_mark(store: Store) -> None:
    store.settle(START_US, [], [(MARK, SECOND)])
    assert store.take(START_US, [], [MARK]).marks == (True,)
    store.settle(START_US, [], [(MARK, 0)])
    assert store.take(START_US, [], [MARK]).marks == (False,)


def test_the_same_counter_twice_in_one_settling(store: Store) -> None:
    assert store.settle(START_US, [Change(KEY, RATE, 2), Change(KEY, RATE, 3)]) == [2 * ONE, 5 * ONE]
    assert used(store) == 5


def test_many_counters_of_one_bucket_in_one_step(store: Store) -> None:
    keys = crowd("counter", "ip", 8)
    for count in range(1, 4):
        taken = store.take(START_US, [Counter(key, RATE) for key in keys])
        assert taken.loads_us == (count * ONE,) * 8
    assert [used(store, key) for key in keys] == [3] * 8


def test_a_caller_that_looked_at_the_clock_too_early_finds_a_full_counter_full(store: Store) -> None:
    for _ in range(10):
        store.take(START_US, [Counter(KEY, RATE)])
    before = START_US - SECOND
    assert store.take(before, [Counter(KEY, RATE)]).over == (0,)
    assert used(store, at=before) == 10
    store.settle(before, [Change(KEY, RATE, -1)])
    assert store.take(before, [Counter(KEY, RATE)]).over == ()
    assert store.take(before, [Counter(KEY, RATE)]).over == (0,)


def test_a_clock_that_is_set_back_shuts_nobody_out(store: Store) -> None:
    for _ in range(10):
        store.take(START_US, [Counter(KEY, RATE)])
    before = START_US - 3600 * SECOND
    assert store.take(before, [Counter(KEY, RATE)]).over == ()
    assert used(store, at=before) == 1
    assert store.settle(before - 3600 * SECOND, [Change(KEY, RATE, 2)]) == [2 * ONE]


def test_keys_of_tables_do_not_meet(store: Store) -> None:
    body = KEY[1:]
    store.take(START_US, [Counter(b"c" + body, RATE)])
    taken = store.take(START_US, [], [b"m" + body], [Ban(b"b" + body)])
    assert (taken.marks, taken.banned_until_us) == ((False,), 0)


def test_an_empty_step(store: Store) -> None:
    assert store.take(START_US, []) == (0, (), (), (), START_US, ())
    assert store.settle(START_US, []) == []


def test_reset_forgets_everything(store: Store) -> None:
    store.take(START_US, [Counter(KEY, RATE, mark=0, mark_us=SECOND)], [MARK])
    store.ban(START_US, BAN, START_US + SECOND)
    store.reset()
    assert store.take(START_US, [Counter(KEY, RATE)], [MARK], [Ban(BAN)]) == (0, (), (ONE,), (False,), START_US, ())


def test_what_is_closed_opens_again(store: Store, kind: str) -> None:
    store.take(START_US, [Counter(KEY, RATE)])
    store.close()
    store.close()
    assert used(store) == 1


class TestShared:
    """What several processes share is one store to all who name its place."""

    @pytest.fixture(params=SHARED)
    def kind(self, request: pytest.FixtureRequest) -> str:
        found: str = request.param
        return found

    def test_two_stores_of_one_place_are_one(self, store: Store, kind: str, place: str) -> None:
        second = open_kind(kind, place, **({"caller_time": True} if kind == "redis" else {}))
        store.take(START_US, [Counter(KEY, RATE)])
        assert used(second) == 1
        second.close()
        assert used(store) == 1


def test_what_the_store_says_of_itself(store: Store, kind: str) -> None:
    reaches = {"memory": "process", "sqlite": "machine", "local": "machine", "redis": "machines"}
    assert (store.name, store.reach) == (kind, reaches[kind])


class TestEviction:
    """Embedded stores are bounded: where a ninth key comes to a bucket, the one that ends first goes."""

    @pytest.fixture(params=["memory", "sqlite", "local"])
    def kind(self, request: pytest.FixtureRequest) -> str:
        found: str = request.param
        return found

    def test_the_least_loaded_goes_and_never_the_busiest(self, store: Store) -> None:
        keys = crowd("counter", "ip", 9)
        for units, key in enumerate(keys[:8], start=1):
            store.take(START_US, [Counter(key, RATE, units)])
        store.take(START_US, [Counter(keys[8], RATE, 5)])
        assert [used(store, key) for key in keys] == [0, 2, 3, 4, 5, 6, 7, 8, 5]

    def test_the_busiest_outlives_a_flood_of_its_bucket(self, store: Store) -> None:
        busy, *others = crowd("counter", "ip", 200)
        store.take(START_US, [Counter(busy, RATE, 10)])
        for key in others:
            store.take(START_US, [Counter(key, RATE)])
        assert used(store, busy) == 10

    def test_nothing_that_has_passed_pushes_out_what_holds(self, store: Store) -> None:
        keys = crowd("counter", "ip", 9)
        for key in keys[:8]:
            store.take(START_US, [Counter(key, RATE)])
        store.settle(START_US, [Change(keys[8], RATE, -1)])
        assert [used(store, key) for key in keys] == [1] * 8 + [0]
        bans = [b"b\0\0" + bytes([n]) * 8 for n in range(9)]
        for key in bans[:8]:
            store.ban(START_US, key, START_US + SECOND)
        store.ban(START_US, bans[8], 0)
        held = [store.take(START_US, [], [], [Ban(key)]).banned_until_us > 0 for key in bans]
        assert held == [True] * 8 + [False]

    def test_a_flood_of_counters_pushes_out_no_ban_and_no_mark(self, store: Store) -> None:
        store.ban(START_US, b"b\0\0" + b"8" * 8, START_US + SECOND)
        store.settle(START_US, [], [(b"m\0\0" + b"8" * 8, SECOND)])
        for number in range(100):
            store.take(START_US, [Counter(b"c\0\0" + number.to_bytes(8, "big"), RATE, 10)])
        taken = store.take(START_US, [], [b"m\0\0" + b"8" * 8], [Ban(b"b\0\0" + b"8" * 8)])
        assert (taken.marks, taken.banned_until_us) == ((True,), START_US + SECOND)
