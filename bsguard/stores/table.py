"""The bounded table of deadlines, and the steps on it: what all embedded stores share.

The table is set-associative: the first three bytes of a key choose one bucket of a fixed number, and a bucket holds
eight deadlines. Where a ninth comes, the one that passes first goes: of counters that is the least loaded, so that
whoever floods the table with keys makes it forget their own idle ones and never a busy one.

A store gives access to its buckets inside one transaction and calls :func:`take`, :func:`settle` or :func:`ban`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, Protocol

from bsguard.stores.port import PLACE_BYTES, TAG_BYTES, Taken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bsguard.stores.port import Ban, Change, Counter, Exchange

#: How long before its step a caller may have looked at the clock: longer than any request waits.
LATE_US_MAX: Final = 60_000_000

WAYS: Final = 8
_DEADLINE: Final = struct.Struct("<Q")
_SLOT_BYTES: Final = TAG_BYTES + _DEADLINE.size
BUCKET_BYTES: Final = WAYS * _SLOT_BYTES


#: Position and counter; place, bucket and slot where it is, or -1; its load with this charge.
_Charge = tuple[int, "Counter", bytes, bytes, int, int]


class Buckets(Protocol):
    """The buckets within one transaction; LMDB's own transactions have these two methods."""

    def get(self, place: bytes, default: bytes, /) -> bytes:
        """The bucket; *default* when it was never written."""
        ...

    def put(self, place: bytes, bucket: bytes, /) -> object:
        """Replace the bucket."""
        ...


def take(
    buckets: Buckets,
    now_us: int,
    counters: Sequence[Counter],
    marks: Sequence[bytes],
    bans: Sequence[Ban],
    exchanges: Sequence[Exchange],
) -> Taken:
    """Check bans, then all counters; charge all that are not over and exchange, or nothing if a hard one is."""
    held = tuple([find(buckets, key) > now_us for key in marks])
    for key, unless in bans:
        until = find(buckets, key)
        if until > now_us and not any(held[position] for position in unless):
            return Taken(until, (), (), held, now_us, ())
    get, unpack = buckets.get, _DEADLINE.unpack_from  # this loop is most of what a request costs
    loads: list[int] = []
    over: list[int] = []
    charges: list[_Charge] = []
    refused = False
    for counter in counters:
        key, (emission, capacity), cost, soft, unless, _, _ = counter
        if unless and any(held[mark] for mark in unless):
            loads.append(-1)
            continue
        place = key[:PLACE_BYTES]
        bucket = get(place, b"")
        at = bucket.find(key[PLACE_BYTES:])
        if at % _SLOT_BYTES:  # not found, or bytes across two slots
            at = _aligned(bucket, key, at) if at > 0 else -1
        full = emission * capacity
        load = unpack(bucket, at + TAG_BYTES)[0] - now_us if at >= 0 else 0
        if load < 0:
            load = 0
        elif load > full:
            load = _beyond(load, full)
        if load + emission * (cost or 1) > full:
            over.append(len(loads))
            refused = refused or not soft
        elif cost:
            charges.append((len(loads), counter, place, bucket, at, load + emission * cost))
        loads.append(load)
    if not refused and charges:
        _charge(buckets, now_us, charges, marks, loads)
    before = tuple([_exchange(buckets, one, refused) for one in exchanges]) if exchanges else ()
    return Taken(0, tuple(over), tuple(loads), held, now_us, before)


def _exchange(buckets: Buckets, exchange: Exchange, refused: bool) -> int:
    """The number under the key; the new one stands there from now on, unless the step is *refused*."""
    key, number = exchange
    place = key[:PLACE_BYTES]
    bucket = buckets.get(place, b"")
    at = _aligned(bucket, key, 0)
    before = _deadline(bucket, at) if at >= 0 else 0
    if not refused:
        packed = _DEADLINE.pack(number)
        if at >= 0:
            buckets.put(place, bucket[: at + TAG_BYTES] + packed + bucket[at + _SLOT_BYTES :])
        else:
            _place(buckets, key, packed)
    return before


def _charge(
    buckets: Buckets, now_us: int, charges: Sequence[_Charge], marks: Sequence[bytes], loads: list[int]
) -> None:
    put, pack = buckets.put, _DEADLINE.pack
    written: set[bytes] = set()
    for position, counter, place, bucket, at, load in charges:
        loads[position] = load
        if at >= 0 and place not in written:
            put(place, bucket[: at + TAG_BYTES] + pack(now_us + load) + bucket[at + _SLOT_BYTES :])
        else:  # a new key, or a bucket that this very step has changed
            _place(buckets, counter.key, pack(now_us + load))
        written.add(place)
        if counter.mark >= 0:
            set_deadline(buckets, now_us, marks[counter.mark], now_us + counter.mark_us)


def _beyond(load: int, full: int) -> int:
    """The load of a counter that holds more than fits.

    A caller that is late by a moment sees what was counted after it had looked at the clock: full. More than that comes
    from a clock that was set back, and then nobody knows; empty, because full would shut out everybody who was there
    for as long as the clock was set back.
    """
    return full if load <= full + LATE_US_MAX else 0


def settle(buckets: Buckets, now_us: int, changes: Sequence[Change], marks: Sequence[tuple[bytes, int]]) -> list[int]:
    """Apply *changes*, set *marks*; the loads after that."""
    loads: list[int] = []
    for key, (emission, capacity), units in changes:
        full = emission * capacity
        load = max(find(buckets, key) - now_us, 0)
        load = _beyond(load, full) if load > full else load
        load = min(max(load + emission * units, 0), full)
        set_deadline(buckets, now_us, key, now_us + load)
        loads.append(load)
    for key, lasting_us in marks:
        set_deadline(buckets, now_us, key, now_us + lasting_us)
    return loads


def ban(buckets: Buckets, now_us: int, key: bytes, until_us: int) -> None:
    """Set a ban, unless a longer one holds; lift it when *until_us* has passed."""
    if until_us <= now_us or until_us > find(buckets, key):
        set_deadline(buckets, now_us, key, until_us)


def find(buckets: Buckets, key: bytes) -> int:
    """The deadline under *key*; 0 when there is none."""
    bucket = buckets.get(key[:PLACE_BYTES], b"")
    at = _aligned(bucket, key, 0)
    return _deadline(bucket, at) if at >= 0 else 0


def set_deadline(buckets: Buckets, now_us: int, key: bytes, deadline: int) -> None:
    """Put the deadline under *key*, in place of the one that passes first if the bucket is full.

    One that has passed only ends its own: it pushes out nothing that holds, and a clock that is set back later does
    not bring it to life.
    """
    if deadline > now_us:
        _place(buckets, key, deadline.to_bytes(8, "little"))
    elif find(buckets, key):
        _place(buckets, key, bytes(8))


def _place(buckets: Buckets, key: bytes, deadline: bytes) -> None:
    place, tag = key[:PLACE_BYTES], key[PLACE_BYTES:]
    bucket = buckets.get(place, b"")
    at = _aligned(bucket, key, 0)
    if at < 0:
        at = len(bucket)
        if at >= BUCKET_BYTES:
            at = min(range(0, BUCKET_BYTES, _SLOT_BYTES), key=lambda start: _deadline(bucket, start))
    buckets.put(place, bucket[:at] + tag + deadline + bucket[at + _SLOT_BYTES :])


def _aligned(bucket: bytes, key: bytes, start: int) -> int:
    """Where the slot of *key* begins; -1 when there is none. Bytes across two slots may look like its tag."""
    tag = key[PLACE_BYTES:]
    at = bucket.find(tag, start)
    while at > 0 and at % _SLOT_BYTES:
        at = bucket.find(tag, at + 1)
    return at


def _deadline(bucket: bytes, start: int) -> int:
    return int.from_bytes(bucket[start + TAG_BYTES : start + _SLOT_BYTES], "little")
