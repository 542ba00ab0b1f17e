"""The port to shared state: counters, marks, bans, trails and records, changed in atomic steps.

A counter is GCRA: its deadline is the moment at which it will be empty again (the theoretical arrival time of ITU-T
I.371), so one number holds count and time, and a counter that nobody asks about again is gone by itself. A mark and a
ban are deadlines too: they hold until then. So every store is the same small thing, a bounded table of deadlines. A
trail is one number under a key, which a step exchanges for another; where there is no room, the smallest goes.

A record is some hundred bytes that outlive restarts; who has read one replaces it only if nobody else did meanwhile.

Times are whole microseconds since the epoch. Keys are made by :class:`Keys` and tell nobody anything.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bsguard.core.secrets import Secrets

#: A key is the letter of its table, two bytes that choose a bucket, and eight that tell it from others there.
PLACE_BYTES: Final = 3
TAG_BYTES: Final = 8
#: Buckets of each table, a power of two: counters, marks, bans and trails never push out one another.
TABLES: Final = {"counter": (b"c", 65_536), "mark": (b"m", 16_384), "ban": (b"b", 4_096), "trail": (b"s", 8_192)}

#: Largest number that a trail holds: what a double holds exactly, and so a script on a server.
TRAIL_MAX: Final = (1 << 53) - 1

#: How far a store reaches: threads of one process, processes of one machine, or several machines.
Reach = Literal["process", "machine", "machines"]


class Rate(NamedTuple):
    """How fast a counter empties, and how much it holds."""

    #: Microseconds in which one unit drains away.
    emission_us: int
    #: Units that fit into an empty counter at once.
    capacity: int

    @classmethod
    def of(cls, amount: int, seconds: int) -> Rate:
        """*amount* at once, and again as many evenly over *seconds*."""
        return cls(max(1, seconds * 1_000_000 // amount), amount)


class Counter(NamedTuple):
    """One counter that a request is charged to."""

    key: bytes
    rate: Rate
    #: Units; 0 charges nothing and is over its limit when not one unit would fit.
    cost: int = 1
    #: Over the limit, a soft counter only says so and keeps nothing else from being charged.
    soft: bool = False
    #: Positions of marks: while one of them holds, the counter is left out.
    unless: tuple[int, ...] = ()
    #: Position of the mark that is set when the counter is charged, and for how many microseconds; -1 sets none.
    mark: int = -1
    mark_us: int = 0


class Ban(NamedTuple):
    """A ban that a request is asked about."""

    key: bytes
    #: Positions of marks: while one of them holds, the ban does not.
    unless: tuple[int, ...] = ()


class Exchange(NamedTuple):
    """A number to put in place of the one under a key."""

    key: bytes
    #: From 1 to :data:`TRAIL_MAX`; one that grows with time is forgotten when it is oldest.
    number: int


class Taken(NamedTuple):
    """What became of one step. Nothing was charged if ``banned_until_us`` or a hard counter of ``over`` says no."""

    #: 0 when no ban holds.
    banned_until_us: int
    #: Positions of the counters that are over their limit.
    over: tuple[int, ...]
    #: For each counter the microseconds until it is empty; -1 for one that was left out.
    loads_us: tuple[int, ...]
    #: For each mark whether it held before this step.
    marks: tuple[bool, ...]
    #: The store's time, which may be a server's.
    now_us: int
    #: For each exchange the number that stood there before; 0 when there was none.
    before: tuple[int, ...] = ()


class Record(NamedTuple):
    """What is kept under a key: version 0 and nothing when there is none."""

    version: int
    data: bytes


NO_RECORD: Final = Record(0, b"")


class Write(NamedTuple):
    """A record to put in place of the one whose version was read; empty data takes it away."""

    key: bytes
    version: int
    data: bytes


class Change(NamedTuple):
    """Units to add to a counter whatever its limit, or to give back when negative."""

    key: bytes
    rate: Rate
    units: int


class Store(Protocol):
    """Shared state. Every method is one atomic step; *now_us* is the caller's time, which a server may overrule.

    Raises :class:`~bsguard.core.errors.StateUnusable` when it cannot answer.
    """

    @property
    def name(self) -> str:
        """What the store is called in settings and messages; may change while another stands in for it."""
        ...

    @property
    def reach(self) -> Reach:
        """How far it reaches."""
        ...

    def take(
        self,
        now_us: int,
        counters: Sequence[Counter],
        marks: Sequence[bytes] = (),
        bans: Sequence[Ban] = (),
        exchanges: Sequence[Exchange] = (),
        /,
    ) -> Taken:
        """Check bans, then all counters; charge all that are not over and exchange, or nothing if a hard one is."""
        ...

    def settle(self, now_us: int, changes: Sequence[Change], marks: Sequence[tuple[bytes, int]] = (), /) -> list[int]:
        """Apply *changes* and set *marks* to hold for so many microseconds (0 ends one); the loads after that."""
        ...

    def ban(self, now_us: int, key: bytes, until_us: int, /) -> None:
        """Ban *key* until then, unless a longer ban holds; a moment that has passed lifts the ban."""
        ...

    def records(self, keys: Sequence[bytes], /) -> list[Record]:
        """The records under *keys*."""
        ...

    def keep(self, now_us: int, writes: Sequence[Write], records_max: int, /) -> list[bool]:
        """Replace records, each only if its version is still the one that was read; whether it was.

        Of more than *records_max*, those go that were not written for longest.
        """
        ...

    def newest(self, count: int, /) -> list[tuple[bytes, Record]]:
        """Keys and records, those written last first."""
        ...

    def reset(self) -> None:
        """Forget everything."""
        ...

    def close(self) -> None:
        """Free what this process holds; the next use opens it again."""
        ...


class Keys:
    """Makes keys: a keyed hash, so that who can read or fill the store learns and aims at nothing."""

    __slots__ = ("_secret",)

    def __init__(self, secrets: Secrets) -> None:
        self._secret = secrets.derive("store")[0]

    def counter(self, name: str, subject: str) -> bytes:
        """The key of the counter *name* for *subject*."""
        return self._key("counter", name, subject)

    def mark(self, name: str, subject: str) -> bytes:
        """The key of the mark *name* on *subject*."""
        return self._key("mark", name, subject)

    def ban(self, subject: str) -> bytes:
        """The key of a ban on *subject*."""
        return self._key("ban", "", subject)

    def trail(self, name: str, subject: str) -> bytes:
        """The key of the trail *name* of *subject*."""
        return self._key("trail", name, subject)

    def _key(self, table: str, name: str, subject: str) -> bytes:
        letter, buckets = TABLES[table]
        text = f"{table}\0{name}\0{subject}".encode("utf-8", "surrogateescape")
        digest = hashlib.blake2b(text, digest_size=2 + TAG_BYTES, key=self._secret).digest()
        bucket = int.from_bytes(digest[:2], "big") % buckets
        return letter + bucket.to_bytes(2, "big") + digest[2:]
