"""Bans: by hand and by themselves, how they are kept, and how they are lifted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from bsguard import guard
from bsguard.cli import group
from bsguard.core.overrides import Override
from bsguard.limiter import bans
from bsguard.limiter.bans import subject_of
from bsguard.stores.overrides import SQLiteOverrides
from bsguard.testing import FakeClock, environ, run
from tests.limiter.support import OTHER, PEER, Bench, CountingStore, Doors, code_of, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

GOOD = "Bearer sk_live_9hT4kQ2mXw7LpZ3v"
GUESSES: dict[str, object] = {"GLOBAL_RATE": "1000000/second", "TARGET_RATE": "1000000/second"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def overrides(tmp_path: Path, clock: FakeClock) -> Iterator[SQLiteOverrides]:
    made = SQLiteOverrides(tmp_path / "overrides.sqlite", clock)
    yield made
    made.close()


@pytest.fixture
def bench(overrides: SQLiteOverrides, clock: FakeClock) -> Bench:
    return Bench(dict(GUESSES), app=Doors(GOOD), overrides=overrides, clock=clock)


def by_hand(bench: Bench, subject: str, **more: Any) -> int:
    """Ban as the command does; the entry's number."""
    value: dict[str, object] = {"subject": subject_of(subject), **more.pop("value", {})}
    entry = Override(kind="ban", value=value, author="ann", comment="why", created=bench.clock.now(), **more)
    number: int = bench.overrides.add(entry)
    return number


# --- by hand ----------------------------------------------------------------------------------------------------------

HELD: dict[str, tuple[str, list[str], list[str]]] = {
    "an address": (PEER, [PEER, f"::ffff:{PEER}"], [OTHER, "203.0.113.8"]),
    "a network": ("203.0.113.0/24", [PEER, "203.0.113.255"], ["203.0.112.255", OTHER]),
    "an IPv6 address is its /64": ("2001:db8::1", ["2001:db8::1", "2001:db8::ff"], ["2001:db8:0:1::1", PEER]),
    "an IPv6 /64": ("2001:db8::/64", ["2001:db8::1"], ["2001:db8:0:1::1"]),
    "an IPv6 network": ("2001:db8::/32", ["2001:db8:ffff::1"], ["2001:db9::1"]),
    "one address as a network": (f"{PEER}/32", [PEER], [OTHER]),
    "everybody": ("0.0.0.0/0", [PEER, OTHER], ["2001:db8::1"]),
}


SPELLINGS: dict[str, tuple[str, str]] = {
    "an address": (PEER, f"client {PEER}"),
    "an address as a network": (f"{PEER}/32", f"client {PEER}"),
    "an IPv6 network": ("2001:0DB8::/32", "network 2001:db8::/32"),
    "an IPv6 /64": ("2001:DB8:0::/64", "client 2001:db8::/64"),
}


@pytest.mark.parametrize(("text", "subject"), table(4, SPELLINGS))
def test_a_subject_is_the_same_however_it_is_spelled(text: str, subject: str) -> None:
    assert subject_of(text) == subject


@pytest.mark.parametrize(("subject", "inside", "outside"), table(7, HELD))
def test_a_ban_by_hand_holds_for_its_subject(bench: Bench, subject: str, inside: list[str], outside: list[str]) -> None:
    by_hand(bench, subject)
    answers = [bench.ask(by=peer) for peer in inside]

    assert [(answer.status, code_of(answer)) for answer in answers] == [(403, "BSE1305")] * len(inside)
    assert [bench.ask(by=peer).status for peer in outside] == [200] * len(outside)
    assert answers[0].header("Retry-After") == ""
    assert subject.encode() not in answers[0].body


def test_a_ban_of_an_identity_holds_wherever_it_comes_from_and_however_it_is_spelled(bench: Bench) -> None:
    bench.mode = "monitor"
    probe = Bench({"GLOBAL_RATE": "1/hour"})
    probe.statuses(2, key=GOOD)
    by_hand(bench, probe.named("request.denied")[0].identity)

    for key in (GOOD, GOOD.replace("Bearer", "bearer"), GOOD.replace(" ", "   ")):
        assert [bench.ask(key=key, by=peer).status for peer in (PEER, OTHER)] == [403, 403]
    assert bench.ask(key="Bearer other").status == 200
    assert bench.ask().status == 200


def test_a_ban_on_a_path_holds_there_alone(bench: Bench) -> None:
    by_hand(bench, PEER, value={"path": "/v1/generate/**"})

    assert [bench.ask(path).status for path in ("/v1/generate", "/v1/generate/x", "/v1")] == [403, 403, 200]


def test_a_ban_by_hand_holds_for_a_known_credential_and_without_defaults(bench: Bench, clock: FakeClock) -> None:
    bench.ask("/private", key=GOOD)
    by_hand(bench, PEER)
    clock.advance(1)

    assert bench.ask("/private", key=GOOD).status == 403
    plain = Bench({"DEFAULTS": False}, overrides=bench.overrides, clock=clock)
    assert plain.ask().status == 403
    assert not plain.store.calls


def test_a_ban_by_hand_ends_when_it_said(bench: Bench, clock: FakeClock) -> None:
    by_hand(bench, PEER, expires=clock.now() + 60)

    assert bench.ask().status == 403
    clock.advance(60)
    assert bench.ask().status == 200


def test_a_ban_by_hand_spares_exempt_networks_and_reports_in_monitor(
    overrides: SQLiteOverrides, clock: FakeClock
) -> None:
    common: dict[str, Any] = {"overrides": overrides, "clock": clock}
    exempt = Bench({"EXEMPT_NETWORKS": [PEER]}, **common)
    monitor = Bench(mode="monitor", **common)
    excepted = Bench(settings={"EXCEPTIONS": [{"rule": "limiter.ban.manual", "comment": "why"}]}, **common)
    by_hand(exempt, "203.0.113.0/24")

    assert [one.ask().status for one in (exempt, monitor, excepted)] == [200] * 3
    assert monitor.rules() == excepted.rules() == ["limiter.ban.manual"]
    assert exempt.rules() == []


WRONG = {
    "a word": "nobody",
    "nothing": "",
    "a network with bits of a host": "203.0.113.9/24",
    "too long a prefix": "203.0.113.0/33",
    "an identity in capitals": "ABCDEF0123456789",
    "seventeen digits": "0" * 17,
    "a line end": f"{PEER}\n",
    "a port": f"{PEER}:80",
    "NUL": "\0",
}


@pytest.mark.parametrize("text", table(9, WRONG))
def test_what_is_no_subject_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"wanted|bits|network|address"):
        subject_of(text)


def test_an_entry_that_nobody_understands_bans_nobody_and_hides_no_other(bench: Bench) -> None:
    for value in ({}, {"subject": 7}, {"subject": "network x"}, {"subject": f"client {PEER}", "path": "x"}):
        entry = Override(kind="ban", value=dict(value), author="ann", comment="why", created=1.0)
        bench.overrides.add(entry)
    by_hand(bench, OTHER)

    assert [bench.ask(by=peer).status for peer in (PEER, OTHER)] == [200, 403]


# --- by themselves ----------------------------------------------------------------------------------------------------


def test_an_automatic_ban_is_listed_with_reason_and_end(bench: Bench, clock: FakeClock) -> None:
    bench.guess(6)
    (entry,) = bench.overrides.active("ban", clock.now() + 1)

    assert entry.value == {"subject": f"client {PEER}"}
    assert (entry.author, entry.expires) == ("bsguard", clock.now() + 600)
    assert "credentials" in entry.comment


def test_an_automatic_ban_outlives_the_store(bench: Bench, clock: FakeClock) -> None:
    bench.ask("/private", key=GOOD)
    bench.guess(6)
    bench.store.reset()
    clock.advance(2)

    assert bench.ask().status == 429
    assert bench.ask().header("Retry-After") == "598"
    assert bench.ask("/private", key="Bearer new").status == 429
    assert bench.ask(by=OTHER).status == 200
    clock.advance(598)
    assert bench.ask().status == 200


def test_a_ban_that_cannot_be_kept_holds_and_is_said_once() -> None:
    bench = Bench(dict(GUESSES), app=Doors(GOOD))  # without a table
    bench.guess(6)
    bench.clock.advance(700)
    bench.guess(6, start=50)

    assert len(bench.named("ban.set")) == 2
    (said,) = bench.named("state.degraded")
    assert said.part == "overrides"
    assert bench.ask().status == 429


def test_automatic_bans_leave_room_for_the_operator(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    monkeypatch.setattr(bans, "RECORDED_MAX", 3)
    for number in range(5):
        bench.guess(5, by=f"192.0.2.{number}")
        clock.advance(2)

    assert len(bench.overrides.active("ban", clock.now())) == 3
    assert [bench.ask(by=f"192.0.2.{number}").status for number in range(5)] == [429] * 5
    (said,) = bench.named("state.degraded")
    assert "bans set by hand" in said.reason


def test_a_flood_of_a_banned_client_costs_no_store_calls(bench: Bench) -> None:
    bench.guess(6)
    bench.ask()
    bench.store.calls.clear()

    assert bench.statuses(1000) == [429] * 1000
    assert not bench.store.calls


def test_one_worker_s_ban_is_felt_by_the_others_at_once(overrides: SQLiteOverrides, clock: FakeClock) -> None:
    store = CountingStore()
    workers = [Bench(dict(GUESSES), app=Doors(), store=store, overrides=overrides, clock=clock) for _ in range(4)]
    workers[0].guess(5)

    assert [worker.ask().status for worker in workers] == [429] * 4


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def command(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs ``python -m bsguard --config FILE bans …``."""
    file = tmp_path / "guard.json"
    settings = {"MODE": "enforce", "STATE_DIR": str(state), "LIMITER_GLOBAL_RATE": "1000000/second"}
    file.write_text(json.dumps({f"BSGUARD_{key}": value for key, value in settings.items()}))

    def invoke(*words: str) -> Any:
        from bsguard.cli.source import ConfigFile

        return CliRunner().invoke(group, ["bans", *words], obj=ConfigFile(file))

    return invoke


@pytest.fixture
def served(state: Path, command: Callable[..., Any], clock_now: FakeClock) -> Iterator[Any]:
    """A worker of the same state directory."""
    config = {"MODE": "enforce", "STATE_DIR": state, "PROTOCOL_HTTPS": False, "EVENTS_LOGGED": False}
    made = guard(Doors(GOOD), config, clock=clock_now)
    yield made
    made.overrides.close()  # type: ignore[attr-defined]
    assert made.counters is not None
    made.counters.close()
    assert made.store is not None
    made.store.close()


@pytest.fixture
def clock_now() -> FakeClock:
    import time

    return FakeClock(time.time())


def ask(served: Any, path: str = "/public", key: str = "", by: str = PEER) -> int:
    headers = {"Authorization": key} if key else {}
    return run(served, environ("GET", path, peer=by, headers=headers)).status


def test_the_command_bans_lists_and_lifts(command: Callable[..., Any], served: Any, clock_now: FakeClock) -> None:
    done = command("add", PEER, "--reason", "a test", "--for", "10m", "--json")
    facts = json.loads(done.stdout)
    assert (done.exit_code, facts["subject"], facts["reason"]) == (0, f"client {PEER}", "a test")
    clock_now.advance(1)
    assert ask(served) == 403

    (line,) = [json.loads(text) for text in command("list", "--json").stdout.splitlines()]
    assert line == facts
    assert "a test" in command("list").stdout
    assert command("delete", str(facts["id"])).exit_code == 0
    clock_now.advance(1)
    assert ask(served) == 200
    assert command("list").stdout == ""
    assert command("delete", str(facts["id"])).exit_code == 1
    assert command("delete", PEER).exit_code == 1


def test_lifting_an_automatic_ban_forgets_what_led_to_it(
    command: Callable[..., Any], served: Any, clock_now: FakeClock
) -> None:
    for number in range(6):
        ask(served, "/private", f"Bearer {number}aaaaaaaa")
    assert ask(served) == 429
    assert [json.loads(text)["author"] for text in command("list", "--json").stdout.splitlines()] == ["bsguard"]

    assert command("delete", PEER).exit_code == 0
    clock_now.advance(1)
    assert [ask(served, "/private", f"Bearer {number}bbbbbbbb") for number in range(4)] == [401] * 4
    assert ask(served) == 200
    clock_now.advance(5)
    assert ask(served) == 200, "it stays lifted"
    ask(served, "/private", "Bearer cccccccc")
    assert ask(served) == 429
    (entry,) = [json.loads(text) for text in command("list", "--json").stdout.splitlines()]
    assert entry["until"] > entry["since"]


REFUSED_WORDS: dict[str, tuple[tuple[str, ...], str]] = {
    "no reason": (("add", PEER), "--reason"),
    "an empty reason": (("add", PEER, "--reason", " "), "says why"),
    "no subject": (("add", "nobody", "--reason", "x"), "wanted an address"),
    "no duration": (("add", PEER, "--reason", "x", "--for", "soon"), "30m"),
    "no time at all": (("add", PEER, "--reason", "x", "--for", "0m"), "30m"),
    "no path": (("add", PEER, "--reason", "x", "--path", "v1"), "starts with"),
    "a number that is none": (("delete", "²"), "wanted an address"),
    "a number of five thousand digits": (("delete", "9" * 5000), "wanted an address"),
}


@pytest.mark.parametrize(("words", "said"), table(8, REFUSED_WORDS))
def test_what_the_command_cannot_use_is_told(command: Callable[..., Any], words: tuple[str, ...], said: str) -> None:
    done = command(*words)

    assert done.exit_code in (1, 2)
    assert said in done.output
    assert isinstance(done.exception, SystemExit)
    assert command("list").stdout == ""


def test_what_was_written_as_a_reason_cannot_forge_lines(command: Callable[..., Any]) -> None:
    command("add", PEER, "--reason", "a\n9  client 1.1.1.1\x1b[2J")

    (line,) = command("list").stdout.splitlines()
    assert "\x1b" not in line


def test_the_command_says_when_nobody_would_be_banned(tmp_path: Path) -> None:
    file = tmp_path / "guard.json"
    file.write_text(json.dumps({"BSGUARD_LAYERS": ["tenant"], "BSGUARD_STATE_DIR": str(tmp_path / "s")}))
    from bsguard.cli.source import ConfigFile

    done = CliRunner().invoke(group, ["bans", "list"], obj=ConfigFile(file))

    assert done.exit_code == 1
    assert "limiter is not in use" in done.output
