"""Windows in bounded tables: what the strategies of the `limits` library count, each step in one transaction.

As in :mod:`bsguard.stores.table`, a keyed hash of the key chooses one bucket of a fixed number, and a bucket has room
for a fixed number of entries. Where one more comes, an expired entry goes, else the one with the fewest hits: whoever
floods the table with keys makes it forget their own idle ones and never a busy one.

A moving window remembers when its hits were, in slices of (time, hits). It is exact up to :data:`SLICES_MAX` slices;
beyond, neighbouring slices are put together at the time of the later one, so that a hit may count for longer than the
window and never for less. The slices of all entries of a bucket together are bounded in the same way: lack of room
makes times coarser and forgets no hit.

Times are microseconds since the epoch.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Slices that one moving window has at most: a limit of so many hits is exact to the microsecond.
SLICES_MAX: Final = 1024
#: Slices of all moving windows in one bucket.
BUCKET_SLICES_MAX: Final = 1536
#: The largest count, and the longest window (36,000 years): sums of them fit into 64 bits.
COUNT_MAX: Final = 1 << 60

_TAG_BYTES: Final = 8
_PLACE_BYTES: Final = 3
_ENTRY: Final = struct.Struct("<QQQ")
_SLOT_BYTES: Final = _TAG_BYTES + _ENTRY.size
_SECRET: Final = b"\0secret"
_SECRET_BYTES: Final = 32
#: First byte of the place where the slices of a moving window lie.
_SLICES: Final = b"t"


class Buckets(Protocol):
    """The buckets within one transaction; LMDB's own transactions have these methods."""

    def get(self, place: bytes, default: bytes, /) -> bytes:
        """The bucket; *default* when there is none."""
        ...

    def put(self, place: bytes, bucket: bytes, /) -> object:
        """Replace the bucket."""
        ...

    def delete(self, place: bytes, /) -> object:
        """Take the bucket away."""
        ...


class Table(NamedTuple):
    """A table: the first byte of its places, and its size."""

    letter: bytes
    #: A power of two.
    buckets: int
    #: Entries in each.
    ways: int


#: Fixed windows and sliding counters: 8 MiB when full.
COUNTS: Final = Table(b"c", 32_768, 8)
#: Moving windows: 2 MiB when full, and their slices 12 MiB.
MOVING: Final = Table(b"m", 512, 120)


class Entry(NamedTuple):
    """What a table knows of one window; all zero when it knows nothing."""

    until_us: int
    hits: int
    #: Of a sliding counter the hits of the window before; of a moving window how many slices it has.
    other: int


_NOTHING: Final = Entry(0, 0, 0)


# Fixed window: so many hits until then.


def add(buckets: Buckets, now_us: int, key: str, period_us: int, amount: int, *, renew: bool = False) -> int:
    """Count *amount* in the fixed window of *key*, and begin one if there is none; the count after that.

    *renew* begins the period anew with every hit.
    """
    period_us = min(period_us, COUNT_MAX)
    slot = _Slot(buckets, COUNTS, f"fixed\0{key}")
    until, count, _ = slot.entry
    if until <= now_us:
        until, count = now_us + period_us, 0
    elif renew or until > now_us + period_us:  # the latter: the clock was set back
        until = now_us + period_us
    count = min(max(count + amount, 0), COUNT_MAX)
    if amount:
        slot.write(now_us, Entry(until, count, 0))
    return count


def fixed(buckets: Buckets, now_us: int, key: str) -> tuple[int, int]:
    """The count of the fixed window of *key*, and when it ends: now, if there is none."""
    until, count, _ = _Slot(buckets, COUNTS, f"fixed\0{key}").entry
    return (count, until) if until > now_us else (0, now_us)


# Sliding counter: this window of the calendar and the one before, weighted by how much of it is still in sight.


def take_sliding(buckets: Buckets, now_us: int, key: str, limit: int, period_us: int, amount: int) -> bool:
    """Count *amount* in the sliding counter of *key* if *limit* allows it."""
    period_us = min(period_us, COUNT_MAX)
    slot = _Slot(buckets, COUNTS, f"sliding\0{key}")
    previous, current = _both(slot.entry, now_us, period_us)
    seen_us = period_us - now_us % period_us
    if previous * seen_us // period_us + current + amount > min(limit, COUNT_MAX):
        return False
    if amount > 0:
        until = (now_us // period_us + 2) * period_us
        slot.write(now_us, Entry(until, current + amount, previous))
    return True


def sliding(buckets: Buckets, now_us: int, key: str, period_us: int) -> tuple[int, int, int]:
    """The counts of the window before and of this one, and how long this one lasts yet."""
    period_us = min(period_us, COUNT_MAX)
    entry = _Slot(buckets, COUNTS, f"sliding\0{key}").entry
    return *_both(entry, now_us, period_us), period_us - now_us % period_us


def _both(entry: Entry, now_us: int, period_us: int) -> tuple[int, int]:
    windows_ago = now_us // period_us - (entry.until_us // period_us - 2)
    if windows_ago > 1:
        return 0, 0
    if windows_ago == 1:
        return entry.hits, 0
    return entry.other, entry.hits  # less than 0: the clock was set back


# Moving window: every hit counts for one period from its own moment on, both ends included.


def take_moving(buckets: Buckets, now_us: int, key: str, limit: int, period_us: int, amount: int) -> bool:
    """Count *amount* in the moving window of *key* if *limit* allows it."""
    slot = _Slot(buckets, MOVING, key)
    times, hits = _slices(buckets, slot)
    expired = bisect_left(times, now_us - period_us)
    count = slot.entry.hits - sum(hits[:expired])
    if count + amount > min(limit, COUNT_MAX):
        return False
    if amount <= 0:
        return True
    del times[:expired], hits[:expired]
    if times and times[-1] > now_us:  # the clock was set back
        times = array("Q", [min(time, now_us) for time in times])
    if times and times[-1] == now_us:
        hits[-1] += amount
    else:
        times.append(now_us)
        hits.append(amount)
    if len(times) > SLICES_MAX:
        times, hits = _coarser(times, hits)
    buckets.put(slot.slices_place, times.tobytes() + hits.tobytes())
    slot.write(now_us, Entry(now_us + min(period_us, COUNT_MAX), count + amount, len(times)))
    _make_room(buckets, slot.place)
    return True


def moving(buckets: Buckets, now_us: int, key: str, period_us: int) -> tuple[int, int]:
    """When the oldest hit in the moving window of *key* was (now, if there is none), and how many there are."""
    times, hits = _slices(buckets, _Slot(buckets, MOVING, key))
    expired = bisect_left(times, now_us - period_us)
    return (min(times[expired], now_us), sum(hits[expired:])) if expired < len(times) else (now_us, 0)


def _slices(buckets: Buckets, slot: _Slot) -> tuple[array[int], array[int]]:
    """Times and hits of the slices, oldest first."""
    stored = array("Q", buckets.get(slot.slices_place, b"")) if slot.entry.other else array("Q")
    half = len(stored) // 2
    return stored[:half], stored[half:]


def _coarser(times: Sequence[int], hits: Sequence[int]) -> tuple[array[int], array[int]]:
    """At most half as many slices, and one.

    Slices in one cell of a grid become one at the time of the last. The cells are a power of two wide, so that those
    of a finer grid lie within them, and no hit leaves its cell however often this is done.
    """
    width_bits = ((times[-1] - times[0]) // (len(times) // 2)).bit_length()
    coarse_times, coarse_hits = array("Q"), array("Q")
    cell = -1
    for time, hit in zip(times, hits, strict=True):
        if time >> width_bits == cell:
            coarse_times[-1] = time
            coarse_hits[-1] += hit
        else:
            coarse_times.append(time)
            coarse_hits.append(hit)
            cell = time >> width_bits
    return coarse_times, coarse_hits


def _make_room(buckets: Buckets, place: bytes) -> None:
    """Halve the largest moving window of a bucket until all have room together."""
    bucket = buckets.get(place, b"")
    starts = range(0, len(bucket), _SLOT_BYTES)
    sizes = {start: _entry(bucket, start).other for start in starts}
    while sum(sizes.values()) > BUCKET_SLICES_MAX:
        largest = max(starts, key=sizes.__getitem__)
        tag = bucket[largest : largest + _TAG_BYTES]
        slices_place = _SLICES + place[1:] + tag
        stored = array("Q", buckets.get(slices_place, b""))
        half = len(stored) // 2
        times, hits = _coarser(stored[:half], stored[half:])
        buckets.put(slices_place, times.tobytes() + hits.tobytes())
        entry = _entry(bucket, largest)._replace(other=len(times))
        bucket = bucket[:largest] + tag + _ENTRY.pack(*entry) + bucket[largest + _SLOT_BYTES :]
        buckets.put(place, bucket)
        sizes[largest] = len(times)


# All of them.


def forget(buckets: Buckets, _now_us: int, key: str) -> None:
    """Forget all windows of *key*."""
    _Slot(buckets, COUNTS, f"fixed\0{key}").remove()
    _Slot(buckets, COUNTS, f"sliding\0{key}").remove()
    _Slot(buckets, MOVING, key).remove()


def forget_sliding(buckets: Buckets, _now_us: int, key: str) -> None:
    """Forget the sliding counter of *key*."""
    _Slot(buckets, COUNTS, f"sliding\0{key}").remove()


class _Slot:
    """Where the entry of a key is or will be."""

    __slots__ = ("_at", "_bucket", "_buckets", "_tag", "_ways", "entry", "place")

    def __init__(self, buckets: Buckets, table: Table, key: str) -> None:
        digest = hashlib.blake2b(
            key.encode("utf-8", "surrogatepass"), digest_size=2 + _TAG_BYTES, key=_secret(buckets)
        ).digest()
        number = int.from_bytes(digest[:2], "big") % table.buckets
        self.place = table.letter + number.to_bytes(2, "big")
        self._tag = digest[2:]
        self._ways = table.ways
        self._buckets = buckets
        self._bucket = buckets.get(self.place, b"")
        self._at = _position(self._bucket, self._tag)
        self.entry = _entry(self._bucket, self._at) if self._at >= 0 else _NOTHING

    @property
    def slices_place(self) -> bytes:
        """Where the slices of a moving window lie."""
        return _SLICES + self.place[1:] + self._tag

    def write(self, now_us: int, entry: Entry) -> None:
        """Write *entry*, in place of the idlest if the bucket is full."""
        at, bucket = self._at, self._bucket
        if at < 0:
            at = len(bucket)
            if at >= self._ways * _SLOT_BYTES:
                at = _idlest(bucket, now_us)
                if _entry(bucket, at).other and self.place[:1] == MOVING.letter:
                    self._buckets.delete(_SLICES + self.place[1:] + bucket[at : at + _TAG_BYTES])
        self._buckets.put(self.place, bucket[:at] + self._tag + _ENTRY.pack(*entry) + bucket[at + _SLOT_BYTES :])

    def remove(self) -> None:
        """Take the entry away."""
        if self._at >= 0:
            self._buckets.put(self.place, self._bucket[: self._at] + self._bucket[self._at + _SLOT_BYTES :])
            if self.place[:1] == MOVING.letter:
                self._buckets.delete(self.slices_place)


def _position(bucket: bytes, tag: bytes) -> int:
    """Where the slot with *tag* begins; -1 when there is none. Bytes across two slots may look like the tag."""
    at = bucket.find(tag)
    while at > 0 and at % _SLOT_BYTES:
        at = bucket.find(tag, at + 1)
    return at


def _entry(bucket: bytes, start: int) -> Entry:
    return Entry._make(_ENTRY.unpack_from(bucket, start + _TAG_BYTES))


def _idlest(bucket: bytes, now_us: int) -> int:
    """The slot whose window has ended, or has the fewest hits, or of those ends first."""

    def load(start: int) -> tuple[int, int]:
        until, count, other = _entry(bucket, start)
        return (count + other if until > now_us else 0, until)

    return min(range(0, len(bucket), _SLOT_BYTES), key=load)


def _secret(buckets: Buckets) -> bytes:
    """The key of the hash. It lies in the file itself, so that whoever has the same file finds the same entries."""
    secret = buckets.get(_SECRET, b"")
    if len(secret) != _SECRET_BYTES:
        secret = secrets.token_bytes(_SECRET_BYTES)
        buckets.put(_SECRET, secret)
    return secret
