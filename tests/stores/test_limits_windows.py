"""The windows themselves, on a dict: what is exact, what is only careful, and that nothing grows."""

from __future__ import annotations

import random
from bisect import bisect_left

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bsguard.stores import windows
from bsguard.stores.windows import BUCKET_SLICES_MAX, COUNTS, MOVING, SLICES_MAX

NOW = 1_700_000_000_000_000
SECOND = 1_000_000
MINUTE = 60 * SECOND


class Buckets(dict[bytes, bytes]):
    """What a file is to the windows."""

    def put(self, place: bytes, bucket: bytes, /) -> None:
        self[place] = bucket

    def delete(self, place: bytes, /) -> None:
        self.pop(place, None)

    def letter(self, letter: bytes) -> list[bytes]:
        return [bucket for place, bucket in self.items() if place[:1] == letter and len(place) > 1]


class Log:
    """What a moving window should know: the moment of every single hit."""

    def __init__(self) -> None:
        self.times: list[int] = []

    def within(self, now_us: int, period_us: int) -> int:
        return len(self.times) - bisect_left(self.times, now_us - period_us)


@pytest.fixture
def one_bucket(monkeypatch: pytest.MonkeyPatch) -> Buckets:
    """Tables so small that all keys meet."""
    monkeypatch.setattr(windows, "COUNTS", COUNTS._replace(buckets=1))
    monkeypatch.setattr(windows, "MOVING", MOVING._replace(buckets=1))

    return Buckets()


STEPS = st.lists(st.tuples(st.integers(0, 2 * MINUTE), st.integers(1, 4)), min_size=1, max_size=60)


@given(steps=STEPS, limit=st.integers(1, 12))
def test_a_moving_window_knows_every_hit(steps: list[tuple[int, int]], limit: int) -> None:
    buckets, log, now = Buckets(), Log(), NOW
    for pause, amount in steps:
        now += pause
        fits = log.within(now, MINUTE) + amount <= limit

        assert windows.take_moving(buckets, now, "key", limit, MINUTE, amount) is fits
        if fits:
            log.times += [now] * amount
        count = log.within(now, MINUTE)
        oldest = log.times[-count] if count else now
        assert windows.moving(buckets, now, "key", MINUTE) == (oldest, count)


def test_both_ends_of_a_moving_window_count() -> None:
    buckets = Buckets()

    assert windows.take_moving(buckets, NOW, "key", 1, SECOND, 1)
    assert not windows.take_moving(buckets, NOW + SECOND, "key", 1, SECOND, 1)
    assert windows.take_moving(buckets, NOW + SECOND + 1, "key", 1, SECOND, 1)


@pytest.mark.parametrize("limit", [SLICES_MAX, SLICES_MAX + 1, 5_000])
@pytest.mark.parametrize("pace", [0.5, 1.0, 3.0])
def test_a_large_moving_window_is_never_too_generous_and_hardly_too_strict(limit: int, pace: float) -> None:
    chance = random.Random(f"{limit} {pace}")
    buckets, log, now = Buckets(), Log(), NOW
    allowed = refused = late = 0
    for _ in range(6 * limit):
        now += int(chance.expovariate(limit / MINUTE * pace))
        if windows.take_moving(buckets, now, "key", limit, MINUTE, 1):
            log.times.append(now)
            allowed += 1
            assert log.within(now, MINUTE) <= limit
        else:
            refused += 1
            late += log.within(now, MINUTE) < limit
            assert log.within(now, MINUTE + MINUTE // 256) >= limit

    assert allowed > limit
    assert refused > limit if pace > 1 else True
    assert late == 0 or limit > SLICES_MAX
    assert max(len(bucket) for bucket in buckets.letter(b"t")) <= SLICES_MAX * 16


def test_costs_fill_a_moving_window_to_the_last_unit() -> None:
    buckets = Buckets()

    assert windows.take_moving(buckets, NOW, "key", 1_000_000, MINUTE, 999_999)
    assert not windows.take_moving(buckets, NOW, "key", 1_000_000, MINUTE, 2)
    assert windows.take_moving(buckets, NOW, "key", 1_000_000, MINUTE, 1)
    assert not windows.take_moving(buckets, NOW, "key", 1_000_000, MINUTE, 1)
    assert windows.moving(buckets, NOW, "key", MINUTE) == (NOW, 1_000_000)


def test_lack_of_room_makes_moving_windows_coarser_and_forgets_no_hit(one_bucket: Buckets) -> None:
    counts = dict.fromkeys([f"key {number}" for number in range(30)], 0)
    now = NOW
    for turn in range(200):
        for key in counts:
            now += 7
            counts[key] += windows.take_moving(one_bucket, now, key, 190, MINUTE, 1)
            slices = [len(bucket) // 16 for bucket in one_bucket.letter(b"t")]
            assert sum(slices) <= BUCKET_SLICES_MAX, turn

    assert set(counts.values()) == {190}
    # The last of them is gone when the last hit is: no time was moved past another hit.
    assert {windows.moving(one_bucket, now + MINUTE + 1, key, MINUTE)[1] for key in counts} == {0}
    (bucket,) = one_bucket.letter(MOVING.letter)
    assert len(bucket) == 30 * 32


def test_a_flood_of_keys_never_pushes_out_the_busy(one_bucket: Buckets) -> None:
    busy = [f"busy {number}" for number in range(COUNTS.ways - 1)]
    for key in busy:
        windows.add(one_bucket, NOW, key, MINUTE, 3)
        windows.take_moving(one_bucket, NOW, key, 3, MINUTE, 3)
    for number in range(500):
        windows.add(one_bucket, NOW + number, f"flood {number}", 1000 * MINUTE, 1)
        windows.take_moving(one_bucket, NOW + number, f"flood {number}", 3, 1000 * MINUTE, 1)

    assert [windows.fixed(one_bucket, NOW, key)[0] for key in busy] == [3] * len(busy)
    assert [windows.take_moving(one_bucket, NOW + 500, key, 3, MINUTE, 1) for key in busy] == [False] * len(busy)
    assert len(one_bucket.letter(b"t")) == MOVING.ways  # the slices of those that went are gone too
    assert {len(bucket) for bucket in one_bucket.letter(COUNTS.letter)} == {COUNTS.ways * 32}
    assert {len(bucket) for bucket in one_bucket.letter(MOVING.letter)} == {MOVING.ways * 32}


def test_bytes_that_look_like_a_tag_are_none() -> None:
    tag = b"tag of 8"
    other = b"the tag of 8 is in this slot, no"
    assert len(other) == 32

    assert windows._position(other, tag) == -1
    assert windows._position(other + tag + bytes(24), tag) == 32
    assert windows._position(tag + bytes(24) + other, tag) == 0


def test_what_has_expired_goes_first(one_bucket: Buckets) -> None:
    windows.add(one_bucket, NOW, "expired", SECOND, 1_000)
    for number in range(COUNTS.ways):
        windows.add(one_bucket, NOW + 2 * SECOND, f"key {number}", MINUTE, 1)

    assert [windows.fixed(one_bucket, NOW, f"key {number}")[0] for number in range(COUNTS.ways)] == [1] * COUNTS.ways


def test_the_window_before_keeps_a_sliding_counter_in_the_table(one_bucket: Buckets) -> None:
    start = NOW - NOW % MINUTE
    assert windows.take_sliding(one_bucket, start, "busy", 20, MINUTE, 10)
    assert windows.take_sliding(one_bucket, start + MINUTE, "busy", 20, MINUTE, 1)
    for number in range(500):
        windows.take_sliding(one_bucket, start + MINUTE, f"flood {number}", 20, MINUTE, 2)

    assert windows.sliding(one_bucket, start + MINUTE, "busy", MINUTE)[:2] == (10, 1)


@given(back=st.integers(1, 10 * MINUTE))
@example(back=1)
def test_a_clock_that_is_set_back_holds_nobody_longer_than_a_window(back: int) -> None:
    buckets = Buckets()
    windows.add(buckets, NOW, "key", MINUTE, 5)
    windows.take_moving(buckets, NOW - 1, "key", 2, MINUTE, 1)
    windows.take_moving(buckets, NOW, "key", 2, MINUTE, 1)
    windows.take_sliding(buckets, NOW, "key", 2, MINUTE, 2)
    now = NOW - back

    assert windows.add(buckets, now, "key", MINUTE, 1) == 6
    assert windows.fixed(buckets, now, "key")[1] <= now + MINUTE
    assert not windows.take_moving(buckets, now, "key", 2, MINUTE, 1)
    assert not windows.take_sliding(buckets, now, "key", 2, MINUTE, 1)
    assert windows.moving(buckets, now, "key", MINUTE)[0] <= now
    assert windows.take_moving(buckets, now, "key", 3, MINUTE, 1)
    assert windows.moving(buckets, now + MINUTE, "key", MINUTE)[1] == 3
    assert windows.moving(buckets, now + MINUTE + 1, "key", MINUTE)[1] == 0


HUGE = st.sampled_from([0, 1, 1 << 40, 1 << 62, 1 << 64, 1 << 80])


@settings(max_examples=200)
@given(limit=HUGE, period=HUGE.filter(bool), amount=HUGE, key=st.text())
def test_no_number_and_no_key_is_too_large(limit: int, period: int, amount: int, key: str) -> None:
    buckets = Buckets()
    for now in (NOW, NOW + 1):
        windows.add(buckets, now, key, period, amount)
        windows.take_moving(buckets, now, key, limit, period, amount)
        windows.take_sliding(buckets, now, key, limit, period, amount)

        assert windows.fixed(buckets, now, key)[0] <= 1 << 60
        assert windows.moving(buckets, now, key, period)[1] <= limit
        assert sum(windows.sliding(buckets, now, key, period)[:2]) <= limit
