"""Takes what requests add to their sessions, and writes it in batches: reads profiles, adds, scores, replaces them.

A worker keeps at most :data:`BATCH_MAX` requests, for :data:`BATCH_SECONDS` at most while others come; a worker that
is killed loses those. Two workers that write the same profile do not undo one another: who comes second reads it
again.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from bsguard.core.errors import StateUnusable
from bsguard.core.fork import in_each_child
from bsguard.session.learning import DAY_SECONDS, begin_day, succeeded, take_in
from bsguard.session.population import Everybody, Population
from bsguard.session.profile import Profile
from bsguard.session.scoring import Score, facts_of, score
from bsguard.stores.port import NO_RECORD, Write

if TYPE_CHECKING:
    from collections.abc import Callable

    from bsguard.session.seen import Seen
    from bsguard.stores.port import Record, Store

T = TypeVar("T")

BATCH_MAX: Final = 64
BATCH_SECONDS: Final = 0.25
#: How often a profile is tried that others write at the same time.
TRIES_MAX: Final = 3
#: Profiles that a worker keeps as it read them.
_KEPT_MAX: Final = 256
#: How often a worker adds what it learned about everybody.
POPULATION_SECONDS: Final = 60.0
#: How much a score grows before it is reported again.
_GROWTH: Final = 1.05

#: First byte of the key of a profile.
PROFILE: Final = b"p"
#: First byte of the key of an account, whose record is the id of the session that it used last.
ACCOUNT: Final = b"a"
#: Where what is usual for everybody is kept.
POPULATION_KEY: Final = b"q"
#: Records besides profiles.
_OTHER_RECORDS: Final = 1


class Scored(NamedTuple):
    """A session whose score is to be reported, and the request that made it so."""

    score: Score
    profile: Profile
    last: Seen
    #: Whether it has grown since it was reported, and if so, what is to be said of the day.
    grown: bool
    facts: tuple[str, ...]


def profile_key(session: str) -> bytes:
    """The key of a session's profile."""
    return PROFILE + bytes.fromhex(session)


class Recorder(Generic[T]):
    """The batch of one worker; *read* makes of what it was given what profiles take in."""

    def __init__(
        self,
        store: Store,
        profiles_max: int,
        score_min: float,
        read: Callable[[T], Seen],
        report: Callable[[Scored], None],
    ) -> None:
        self._store = store
        self._records_max = profiles_max + _OTHER_RECORDS
        self._score_min = score_min
        self._read = read
        self._report = report
        self._lock = threading.Lock()
        self._batch: list[T] = []
        self._began = 0.0
        #: Profiles by key, as they were read or written last, with the version.
        self._kept: dict[bytes, tuple[int, Profile]] = {}
        self._everybody = Everybody()
        self._merged = float("-inf")
        #: Requests that could not be added because others wrote the same profile again and again.
        self.lost = 0
        in_each_child(self._renew)
        _flush_at_exit(self)

    def add(self, request: T, now: float) -> None:
        """Keep one request for the next batch, and write the batch if it is time."""
        with self._lock:
            if not self._batch:
                self._began = now
            self._batch.append(request)
            if len(self._batch) < BATCH_MAX and 0 <= now - self._began < BATCH_SECONDS:
                return
            scored = self._write(self._taken(), now)
        for one in scored:
            self._report(one)

    def flush(self) -> None:
        """Write what there is."""
        with self._lock:
            batch = self._taken()
            now = batch[-1].time if batch else 0.0
            scored = self._write(batch, now) if batch else []
            self._merged = float("-inf")
            if batch:
                self._refresh(now)
        for one in scored:
            self._report(one)

    def _taken(self) -> list[Seen]:
        """The batch, which begins anew."""
        batch, self._batch = self._batch, []
        return [self._read(one) for one in batch]

    def _write(self, batch: list[Seen], now: float) -> list[Scored]:
        """Add a batch to its profiles; raises StateUnusable."""
        if not 0 <= now - self._merged < POPULATION_SECONDS:
            self._refresh(now)
        by_key: dict[bytes, list[Seen]] = {}
        for seen in batch:
            by_key.setdefault(profile_key(seen.sessions[0]), []).append(seen)
        scored: list[Scored] = []
        now_us = int(now * 1_000_000)
        for _ in range(TRIES_MAX):
            self._beside: list[Write] = []
            made = self._made(by_key)
            writes = [*self._beside, *(write for write, _ in made)]
            kept = self._store.keep(now_us, writes, self._records_max)[len(self._beside) :]
            for (write, one), replaced in zip(made, kept, strict=True):
                if replaced:
                    del by_key[write.key]
                    self._remember(write.key, write.version + 1, one.profile)
                    scored.append(one)
                else:
                    self._kept.pop(write.key, None)
            if not by_key:
                break
        self.lost += sum(map(len, by_key.values()))
        return [one for one in scored if one.grown]

    def _made(self, by_key: dict[bytes, list[Seen]]) -> list[tuple[Write, Scored]]:
        """The profiles with what is new in them."""
        records = self._store.records(list(by_key))
        made = []
        for (key, several), record in zip(by_key.items(), records, strict=True):
            one = self._add(self._profile(key, record, several[0]), several)
            made.append((Write(key, record.version, one.profile.pack()), one))
        return made

    def _add(self, profile: Profile, several: list[Seen]) -> Scored:
        for seen in several:
            day = int(seen.time // DAY_SECONDS)
            if day > profile.day or day < profile.day - 1:  # the latter: the clock was set back
                begin_day(profile, day, self._everybody, unusual=self._unusual(profile))
                if profile.days and seen.owner:
                    self._own(seen)
            take_in(profile, seen, self._everybody, frozen=self._unusual(profile))
        result = score(profile, self._everybody.known)
        profile.scores = [max(one, two) for one, two in zip(profile.scores, result.points, strict=True)]
        grown = result.total >= max(self._score_min, profile.reported * _GROWTH)
        if grown:
            profile.reported = result.total
        facts = facts_of(profile, self._everybody.known) if grown else ()
        return Scored(result, profile, several[-1], grown, facts)

    def _unusual(self, profile: Profile) -> bool:
        return max(profile.scores) >= 100.0

    def _profile(self, key: bytes, record: Record, seen: Seen) -> Profile:
        kept = self._kept.pop(key, None)
        if kept is not None and kept[0] == record.version:
            return kept[1]
        if record.version == 0 and len(seen.sessions) > 1:
            record = self._of_older_secret(seen)
        if record.version == 0 and seen.owner:
            return self._of_older_key(seen)
        return Profile.unpack(record.data)

    def _of_older_secret(self, seen: Seen) -> Record:
        """The profile that was written under an older secret; the one under the newest takes its place."""
        keys = [profile_key(session) for session in seen.sessions[1:]]
        found = [(key, record) for key, record in zip(keys, self._store.records(keys), strict=True) if record.version]
        self._beside += [Write(key, record.version, b"") for key, record in found]
        return found[0][1] if found else NO_RECORD

    def _of_older_key(self, seen: Seen) -> Profile:
        """What the account's last key was used to, for its next one: who changes keys goes on as before."""
        (last,) = self._store.records([ACCOUNT + bytes.fromhex(seen.owner)])
        (record,) = self._store.records([PROFILE + last.data]) if last.data else (NO_RECORD,)
        return succeeded(Profile.unpack(record.data))

    def _own(self, seen: Seen) -> None:
        """Note once a day which key an account uses; one without a past is none to begin from."""
        owner = ACCOUNT + bytes.fromhex(seen.owner)
        (last,) = self._store.records([owner])
        self._beside.append(Write(owner, last.version, bytes.fromhex(seen.sessions[0])))

    def _remember(self, key: bytes, version: int, profile: Profile) -> None:
        if len(self._kept) >= _KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (version, profile)

    def _refresh(self, now: float) -> None:
        """Add what was learned about everybody, and take over what others have."""
        for _ in range(TRIES_MAX):
            (record,) = self._store.records([POPULATION_KEY])
            population = Population.unpack(record.data)
            population.merge(self._everybody.learned)
            write = Write(POPULATION_KEY, record.version, population.pack())
            if self._store.keep(int(now * 1_000_000), [write], self._records_max)[0]:
                self._everybody = Everybody(population)
                break
        self._merged = now

    def _renew(self) -> None:
        """What the parent has not written yet, it writes itself."""
        self._lock = threading.Lock()
        self._batch = []
        self._kept = {}
        self._everybody = Everybody(self._everybody.known)
        self._merged = float("-inf")


def _flush_at_exit(recorder: Recorder[T]) -> None:
    """Write what there is when the process ends in order."""
    reference = weakref.ref(recorder)

    def flush() -> None:
        found = reference()
        if found is not None:
            with suppress(StateUnusable):
                found.flush()

    atexit.register(flush)
