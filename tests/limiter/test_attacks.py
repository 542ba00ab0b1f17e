"""What an attacker would try: around limits, and to have others locked out."""

from __future__ import annotations

from typing import Any

import pytest

from bsguard.core.networks import parse_address
from bsguard.testing import environ, run, spellings
from tests.limiter.support import OTHER, PEER, PROXY, Bench, CountingStore, Doors, basic, table

GOOD = "Bearer sk_live_9hT4kQ2mXw7LpZ3v"

ODD: dict[str, str] = {
    "NUL": "\0",
    "two of them": "\0\0",
    "not ASCII": "é",
    "not UTF-8": "\xff\xfe",
    "long": "x" * 100_000,
    "a comma": ",",
    "line ends": "\r\n",
    "a space": " ",
    "only a scheme": "Basic",
    "a scheme and spaces": "Basic   ",
    "base64 of nothing": "Basic =",
    "base64 that is not": "Basic %%%",
    "base64 without colon": "Basic YQ==",
    "base64 of bytes": "Basic //8=",
    "base64 of not ASCII": "Basic \xe9\xe9\xe9\xe9",
    "half a token": "Bearer .",
    "dots": "Bearer eyJ..",
    "many spaces": "Bearer" + " " * 5000 + "x",
}


@pytest.mark.parametrize("value", table(18, ODD))
def test_odd_credentials_and_header_values_are_counted_like_any(value: str) -> None:
    rules = [
        {"name": "header", "rate": "100/hour", "key": "header:X-A"},
        {"name": "identity", "rate": "100/hour", "key": "identity"},
    ]
    bench = Bench({"RULES": rules, "CREDENTIAL_HEADERS": ["Authorization", "X-Api-Key"]}, app=Doors())
    headers = {"X-A": value, "X-Api-Key": value}
    statuses = bench.statuses(8, "/private", key=value, headers=headers)

    assert bench.named("layer.failed") == []
    presented = bool(value.strip("\0 \t\r\n"))
    assert statuses == ([401] * 5 + [429] * 3 if presented else [401] * 8)


ODD_PATHS = ["", "/", "/\0", "/\xff", "/é", "/" + "a" * 100_000, "//", "/..", "/%00", "/\r\n", "*", "http://x/"]


@pytest.mark.parametrize("path", ODD_PATHS)
def test_odd_paths_are_counted_like_any(path: str) -> None:
    rules = [{"name": "all", "rate": "3/hour", "path": "/**", "key": "global"}]
    bench = Bench({"GLOBAL_RATE": "5/hour", "RULES": rules})
    statuses = [run(bench.layer, environ(peer=PEER, PATH_INFO=path)).status for _ in range(7)]

    assert statuses.count(200) == (3 if path[:1] in "/" else 5)
    assert bench.named("layer.failed") == []


def test_no_header_makes_another_client_of_one() -> None:
    names = ["X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP", "Via"]
    tried = 0
    for trusted in ([], [f"{PROXY}/32"]):
        bench = Bench({"GLOBAL_RATE": "3/hour"}, {"TRUSTED_PROXIES": trusted})
        passed = 0
        for name in names:
            for key in spellings(name):
                passed += run(bench.layer, environ(peer=PEER, **{key: f"198.51.100.{tried % 250}"})).status == 200
                tried += 1
        assert passed == 3
    assert tried == 2 * len(names) * len(spellings("X-A"))


def test_nobody_has_another_client_banned_by_naming_it() -> None:
    for trusted in ([], [f"{PROXY}/32"]):
        bench = Bench({}, {"TRUSTED_PROXIES": trusted}, app=Doors())
        for number in range(9):
            bench.ask(
                "/private",
                key=f"Bearer {number}aaaaaaa",
                headers={"X-Forwarded-For": OTHER, "Forwarded": f"for={OTHER}"},
            )
        assert bench.ask(by=OTHER).status == 200
        assert bench.ask().status == 429
    through = Bench({}, {"TRUSTED_PROXIES": [f"{PROXY}/32"]}, app=Doors())
    for number in range(9):
        through.ask(
            "/private", by=PROXY, key=f"Bearer {number}aaaaaaa", headers={"X-Forwarded-For": f"{OTHER}, {PEER}"}
        )
    assert through.ask(by=PROXY, headers={"X-Forwarded-For": OTHER}).status == 200


def test_clients_behind_a_translator_are_not_one() -> None:
    bench = Bench({"GLOBAL_RATE": "1/hour"})
    translated = "64:ff9b::198.51.100.7", "64:ff9b::cb00:7109"

    assert [bench.ask(by=peer).status for peer in ("64:ff9b::8.8.8.8", "64:ff9b::8.8.4.4")] == [200, 200]
    assert bench.ask(by="8.8.8.8").status == 429
    # What is not global is not taken for what it says: nobody becomes this machine, or a proxy.
    assert str(parse_address("64:ff9b::7f00:1")) == "64:ff9b::7f00:1"
    assert all(parse_address(text) is not None for text in translated)


def test_a_ban_is_not_left_by_presenting_anything() -> None:
    bench = Bench({}, app=Doors(GOOD))
    bench.guess(6)
    ways: list[dict[str, Any]] = [
        {},
        {"key": "x"},
        {"key": " "},
        {"key": basic("ann", "")},
        {"headers": {"X-Api-Key": GOOD}},
        {"headers": {"Cookie": "session=1"}},
        {"method": "OPTIONS"},
        {"method": "HEAD"},
        {"path": "/status/404"},
        {"headers": {"X-Forwarded-For": "127.0.0.1"}},
        {"HTTP_HOST": "127.0.0.1"},
    ]

    assert [bench.ask(**way).status for way in ways] == [429] * 11


def test_a_known_credential_is_known_for_its_client_alone() -> None:
    """Who has one account must not guess at others with it, from anywhere else."""
    bench = Bench({}, app=Doors(GOOD))
    bench.ask("/private", key=GOOD)
    bench.guess(6, by=OTHER)

    assert bench.ask("/private", key=GOOD, by=OTHER).status == 429


def test_an_account_of_ones_own_makes_no_guess_cheaper() -> None:
    bench = Bench({"TARGET_RATE": "1000/second"}, app=Doors(GOOD))
    statuses = []
    for number in range(20):
        assert bench.ask("/private", key=GOOD).status == 200
        statuses += bench.guess(1, start=number)

    assert statuses == [401] * 5 + [429] * 15


def test_a_client_that_goes_away_has_its_guess_counted() -> None:
    bench = Bench({}, app=Doors(GOOD))
    for number in range(9):
        sent = environ("GET", "/private", peer=PEER, headers={"Authorization": f"Bearer {number}aaaaaaa"})
        chunks = bench.layer(sent, lambda *_: lambda _data: None)
        getattr(chunks, "close", int)()

    assert bench.ask().status == 429


@pytest.mark.parametrize("step", [-86_400.0, -1.0, -0.000001, 1.0, 20.0])
def test_a_clock_that_is_set_breaks_nothing(step: float) -> None:
    bench = Bench({"TARGET_RATE": "1000/second"}, app=Doors(GOOD))
    assert bench.ask("/private", key=GOOD).status == 200
    bench.guess(3)
    bench.clock.advance(step)

    assert bench.ask("/private", key=GOOD).status in (200, 429)
    bench.clock.advance(-step)
    assert bench.ask("/private", key=GOOD).status == 200
    assert bench.named("layer.failed") == []


def test_two_guards_with_different_secrets_share_no_counter() -> None:
    store = CountingStore()
    one = Bench({"GLOBAL_RATE": "1/hour"}, store=store)
    other = Bench({"GLOBAL_RATE": "1/hour"}, {"SECRET_KEYS": ["b" * 16]}, store=store)

    assert [one.ask().status, other.ask().status, one.ask().status] == [200, 200, 429]


def test_nothing_of_a_credential_is_in_any_event_or_answer() -> None:
    secret = "c4nary7c4nary7c4nary7"
    bench = Bench({"TARGET_RATE": "2/hour"}, app=Doors())
    answers = [
        bench.ask("/private", key=f"Bearer {secret}{number}", by=f"192.0.2.{number // 6}") for number in range(20)
    ]
    bench.statuses(8, "/private", key=basic("c4nary7", secret))

    assert {answer.status for answer in answers} == {401, 429}
    told = [repr(event) for event in bench.events] + [repr(answer) for answer in answers]
    assert len(told) > 20
    assert not [text for text in told if "c4nary" in text]
