"""Profiles: of fixed size whatever happens, of accepted sessions only, and nothing in them that a client sent."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from bsguard.session.learning import take_in
from bsguard.session.population import Everybody
from bsguard.session.profile import PROFILE_BYTES, RINGS, Collection, Profile, linear_count, spread_out, squeezed
from bsguard.session.recorder import POPULATION_KEY, profile_key
from bsguard.session.seen import Seen
from bsguard.session.viewing import newest
from bsguard.stores.memory import MemoryStore
from bsguard.stores.records import RecordFile
from tests.session.support import START, Bench, Service, table

if TYPE_CHECKING:
    from pathlib import Path


def seen(**more: Any) -> Seen:
    facts: dict[str, Any] = {
        "time": START, "sessions": ("0" * 16,), "credential": "", "account": "", "owner": "",
        "operation": 5, "label": "GET /x", "object": 0, "number": -1, "status": 200,
        "network": 1, "agent": 1, "cloud": False, "before": 0,
        "before_time": 0.0, "request": ("", "", "", "", ""),
    }  # fmt: skip
    return Seen(**facts | more)


def hostile(count: int) -> Profile:
    """A profile that took in as many different things as there can be."""
    profile, everybody, chance = Profile(), Everybody(), random.Random(3)
    for number in range(count):
        take_in(
            profile,
            seen(
                time=START + number,
                operation=chance.randrange(1, 1 << 18),
                label="GET /" + chance.randbytes(60).hex(),
                object=chance.randrange(1, 1 << 32),
                number=chance.choice([-1, 10**15 - 1]),
                status=chance.choice([200, 404, 500, 0]),
                network=chance.randrange(1, 1 << 32),
                agent=chance.randrange(1, 1 << 32),
                before=chance.randrange(1 << 18),
                before_time=START + number - 1,
            ),
            everybody,
            frozen=False,
        )
    assert len(everybody.known.pack()) < 100_000
    return profile


def test_a_profile_is_as_long_whatever_it_took_in() -> None:
    assert PROFILE_BYTES <= 3_072
    for profile in (Profile(), hostile(10), hostile(5_000)):
        assert len(profile.pack()) == PROFILE_BYTES


def test_a_profile_is_read_as_it_was_written() -> None:
    profile = hostile(3_000)
    profile.rings = [bytes(range(place, place + 9)) for place in range(len(RINGS))]
    profile.collections = {7: Collection(7, 12, 13, -4, 5, 6, 3, 2, 1, 1 << 255, 1 << 2047, 1.5, 0.25, 4.0, 2.0, 0.5)}
    assert Profile.unpack(profile.pack()) == profile


@pytest.mark.parametrize(
    "data",
    table(4, {"nothing": b"", "short": b"\1" * 20, "another format": b"\7" * PROFILE_BYTES, "long": bytes(4000)}),
)
def test_what_is_no_profile_begins_anew(data: bytes) -> None:
    assert Profile.unpack(data) == Profile()


@pytest.mark.parametrize("count", [0, 1, 7, 100, 10_000, 5_000_000])
def test_counts_are_kept_to_a_few_per_cent(count: int) -> None:
    assert abs(spread_out(squeezed(count)) - spread_out(squeezed(count + count // 30))) < 0.13
    assert squeezed(10**18) == squeezed(10**30) < 255


@pytest.mark.parametrize("count", [1, 10, 100, 1000])
def test_sketches_count_different_things(count: int) -> None:
    chance = random.Random(count)
    bits = 0
    for _ in range(count):
        bits |= 1 << chance.randrange(512)
    assert linear_count(bits, 512) == pytest.approx(count, rel=0.2)


def test_who_was_never_accepted_has_no_profile() -> None:
    bench = Bench()
    for number in range(500):
        bench.ask("/v1/models", key=f"random {number}")
        bench.ask("/public", key=f"random {number}")
    bench.layer.flush()
    assert [key for key, _ in bench.store.newest(1000) if key != POPULATION_KEY] == []


def test_success_alone_is_no_acceptance_where_the_application_names_nobody() -> None:
    bench = Bench(app=Service(names=False))
    bench.ask("/public", key="good")
    bench.ask("/v1/models", key="good")
    bench.layer.flush()
    assert newest(bench.store, 10) == []
    bench.ask("/v1/models", key="guessed")
    bench.ask("/v1/models", key="good")
    bench.layer.flush()
    assert len(newest(bench.store, 10)) == 1


@pytest.mark.parametrize(("status", "top"), [(200, 9), (304, 9), (400, -1), (401, -1), (404, -1), (422, -1), (503, -1)])
def test_only_an_object_that_was_there_tells_everybody_how_high_numbers_go(status: int, top: int) -> None:
    everybody, profile = Everybody(), Profile()
    take_in(profile, seen(object=77, number=9, status=status), everybody, frozen=False)
    assert everybody.known.top(5, profile.day + 1) == everybody.learned.top(5, profile.day + 1) == top


def test_nobody_learns_how_high_numbers_go_from_a_session_that_is_an_anomaly() -> None:
    everybody, profile = Everybody(), Profile()
    take_in(profile, seen(object=77, number=9), everybody, frozen=True)
    assert everybody.known.top(5, profile.day + 1) == -1


def test_only_hashes_are_kept() -> None:
    bench = Bench()
    for path in ("/v1/files/secret-object-77", "/v1/search", "/v1/models"):
        bench.ask(path, key="good-secret-key", query_string="id=secret", agent="secret-agent/1", by="198.51.100.99")
    bench.layer.flush()
    kept = b"".join(key + record.data for key, record in bench.store.newest(10))
    assert len(kept) > PROFILE_BYTES
    for text in (b"secret", b"good", b"agent", b"198.51", b"account of"):
        assert text not in kept


def test_the_session_is_the_identity_of_other_events() -> None:
    bench = Bench({"SCORE_MIN": 1})
    bench.live(3)
    for number in range(60):
        bench.ask(f"/none/{chr(97 + number % 26)}{chr(97 + number // 26)}")
    finished = next(event for event in bench.events if event.name == "request.finished")
    assert {event.session for event in bench.scored()} == {finished.identity}
    assert bench.store.records([profile_key(finished.identity)])[0].version > 0


def test_more_sessions_than_there_is_room_for(tmp_path: Path) -> None:
    class Filed(MemoryStore):
        file = RecordFile(tmp_path / "records.sqlite")

        def records(self, *arguments: Any) -> Any:
            return self.file.records(*arguments)

        def keep(self, *arguments: Any) -> Any:
            return self.file.keep(*arguments)

        def newest(self, *arguments: Any) -> Any:
            return self.file.newest(*arguments)

    bench = Bench({"PROFILES_COUNT_MAX": 100}, store=Filed())
    for number in range(1_000):
        bench.ask("/v1/models", key=f"good {number}", after=0.001)
    bench.layer.flush()
    assert len(newest(bench.store, 1_000)) == 100
    Filed.file.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 100 * 2 * PROFILE_BYTES + 1_000_000


def test_a_session_that_a_new_secret_names_anew_keeps_its_profile() -> None:
    old = Bench()
    old.live(3)
    old.layer.flush()
    ((session, before),) = newest(old.store, 10)
    new = Bench(settings={"SECRET_KEYS": ("b" * 16, *KEYS_OLD)}, store=old.store, clock=old.clock)
    new.ask()
    new.layer.flush()
    ((renamed, after),) = newest(new.store, 10)
    assert renamed != session
    assert after.days == before.days + 1
    assert after.total == before.total + 1


def test_a_new_key_of_an_account_begins_with_what_the_last_was_used_to() -> None:
    bench = Bench()
    bench.live(3, key="good first of account 7")
    bench.layer.flush()
    ((_, before),) = newest(bench.store, 10)
    bench.ask(key="good next of account 7")
    bench.ask(key="good stranger's")
    bench.layer.flush()
    profiles = [profile for _, profile in newest(bench.store, 10)]
    days = [(profile.days, profile.total) for profile in profiles]
    assert sorted(days) == [(0, 1), (2, 1), (before.days, before.total)]
    after = profiles[days.index((2, 1))]
    assert after.rings == before.rings
    assert after.networks == before.networks
    assert after.requests == 1


def test_a_new_key_that_is_stolen_at_once_is_an_anomaly() -> None:
    bench = Bench()
    for number in range(30):
        bench.live(2, key=f"good other {number}", by=f"192.0.2.{number}")
    bench.live(8, key="good first of account 7")
    bench.ask(key="good next of account 7")
    assert bench.scored() == []
    for number in range(12):
        bench.ask(key="good next of account 7", by=f"{20 + number}.7.0.1", agent="curl/8.0", after=20)
    assert bench.signals().get("leak", 0) >= 100


KEYS_OLD = ("a" * 16,)
