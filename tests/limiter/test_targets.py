"""Many clients that guess at one credential are bounded together, and who has it is not locked out by them."""

from __future__ import annotations

import pytest

from bsguard.limiter.subjects import credential_of, target_of
from tests.limiter.support import OTHER, Bench, Doors, basic, table

GOOD = "Bearer sk_live_9hT4kQ2mXw7LpZ3v"

TARGETED = {"GLOBAL_RATE": "1000000/second", "TARGET_RATE": "3/hour"}


def botnet(bench: Bench, key: str, times: int) -> list[int]:
    """Guesses with the beginning *key*, each from an address of its own."""
    return [bench.ask("/private", by=f"192.0.2.{number}", key=f"{key}{number:012d}").status for number in range(times)]


def test_guessing_at_one_key_from_many_addresses_is_bounded() -> None:
    bench = Bench(dict(TARGETED), app=Doors(GOOD))

    assert botnet(bench, "Bearer sk_live_Vict1mKey000", 6) == [401] * 3 + [429] * 3
    assert botnet(bench, "Bearer sk_live_An0therKey00", 3) == [401] * 3


def test_a_known_credential_is_not_locked_out_while_its_beginning_is_attacked() -> None:
    bench = Bench(dict(TARGETED), app=Doors(GOOD))
    bench.ask("/private", key=GOOD)
    botnet(bench, GOOD[:26], 20)

    assert bench.statuses(5, "/private", key=GOOD) == [200] * 5
    assert bench.ask("/private", key=GOOD, by=OTHER).status == 200, "wherever it comes from"


def test_guesses_that_are_refused_for_their_target_are_counted_for_the_client() -> None:
    bench = Bench(dict(TARGETED), app=Doors(GOOD))
    bench.ask("/private", key=GOOD)
    botnet(bench, GOOD[:26], 20)
    bench.events.clear()

    # Otherwise the refusals would say for free which credentials are not the good one.
    assert bench.statuses(1, "/private", key=GOOD, by=OTHER) == [200]
    stranger = "198.51.100.77"
    keys = [f"{GOOD[:26]}{number:012d}" for number in range(50, 58)]
    assert [bench.ask("/private", key=key, by=stranger).status for key in keys] == [429] * 8
    assert bench.rules().count("limiter.credentials") == 8 - 5
    assert bench.ask("/private", key=GOOD, by=stranger).status == 429
    assert bench.named("ban.set") == []


@pytest.mark.parametrize("issuer", ["sk_live_", "sk-ant-api03-", "github_pat_", "v2.local."])
def test_what_all_keys_of_an_issuer_begin_with_is_no_target(issuer: str) -> None:
    """Or anybody could lock out all keys that are new, with a few guesses an hour."""
    good = f"Bearer {issuer}9hT4kQ2mXw7LpZ3vR8sD"
    bench = Bench(dict(TARGETED), app=Doors(good))
    for number in range(30):
        bench.ask("/private", by=f"192.0.2.{number}", key=f"Bearer {issuer}{number:04d}aaaaaaaaaaaaaaaaaaaa")

    assert bench.ask("/private", key=good).status == 200


TARGETS: dict[str, tuple[str, str]] = {
    "a user name": (basic("ann", "x"), "user ann"),
    "a user name in capitals": (basic("ANN ", "x"), "user ann"),
    "a user name that is none": (basic("", "x"), "user "),
    "a user without password": ("Basic YW5u", "user ann"),
    "base64 with signs that most decoders skip": ("basic Y.W.5.u.O.n.g=", "user ann"),
    "a JSON Web Token": ("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", ""),
    "a short token": ("Bearer abcd", "key ab"),
    "a long one": ("Bearer 0123456789abcdefghijklmnopqrstuvwxyz", "key 0123456789ab"),
    "one without scheme": ("0123456789abcdefghijklmnopqrstuvwxyz", "key 0123456789ab"),
}


@pytest.mark.parametrize(("credential", "target"), table(9, TARGETS))
def test_what_a_credential_is_aimed_at(credential: str, target: str) -> None:
    class Request:
        @staticmethod
        def header(key: str) -> str:
            return credential

    assert target_of(credential_of(Request, ("HTTP_AUTHORIZATION",))) == target  # type: ignore[arg-type]


def test_json_web_tokens_of_all_users_do_not_share_a_limit() -> None:
    bench = Bench(dict(TARGETED), app=Doors(GOOD))
    head = "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0."

    assert botnet(bench, head, 30) == [401] * 30


def test_one_user_is_one_target_however_the_name_is_spelled() -> None:
    bench = Bench(dict(TARGETED), app=Doors(GOOD))
    names = ["ann", "Ann", "ANN", " ann", "ann "]
    statuses = [
        bench.ask("/private", by=f"192.0.2.{number}", key=basic(name, f"guess{number}")).status
        for number, name in enumerate(names)
    ]

    assert statuses == [401, 401, 401, 429, 429]


def test_a_known_password_is_not_locked_out_while_its_user_is_attacked() -> None:
    good = basic("ann", "right")
    bench = Bench(dict(TARGETED), app=Doors(good))
    bench.ask("/private", key=good)
    for number in range(30):
        bench.ask("/private", by=f"192.0.2.{number}", key=basic("ann", f"guess{number}"))

    assert bench.ask("/private", key=good).status == 200
