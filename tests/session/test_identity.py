"""Who a session is, and that nobody chooses to be another."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from bsguard.core.errors import ConfigError
from bsguard.session.routes import CHARS_MAX, number_of, route_of
from bsguard.session.viewing import newest
from tests.session.support import Bench, table


def token(claims: object, head: str = "good.") -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"good{head[4:-1]}.{payload}.signature"


def sessions(bench: Bench) -> int:
    bench.layer.flush()
    return len(newest(bench.store, 1_000))


API_KEY = {"X-Api-Key": "good one"}
SOURCES = table(
    7,
    {
        "authorization": ("authorization", [{"key": "good 1"}, {"key": "good 1"}, {"key": "good 2"}], 2),
        "a header": ("header:X-Api-Key", [{"headers": API_KEY}, {"headers": {"X-Api-Key": "good two"}}, {}], 2),
        "a cookie": ("cookie:sid", [{"headers": {"Cookie": f"a=b; sid={one}"}} for one in ("1", "1", "2")], 2),
        "a claim": ("claim:sub", [{"key": token({"sub": one, "x": i})} for i, one in enumerate("aab")], 2),
        "a claim that is a number": ("claim:id", [{"key": token({"id": one})} for one in (1, 1, 2)], 2),
        "the account": ("account", [{"key": "good 1111111111111"}, {"key": "good 2 11111111111"}], 2),
        "a function": (lambda environ: environ["REMOTE_ADDR"], [{"by": "192.0.2.1"}, {"by": "192.0.2.2"}], 2),
    },
)


@pytest.mark.parametrize(("source", "requests", "count"), SOURCES)
def test_where_an_identity_stands(source: Any, requests: list[dict[str, Any]], count: int) -> None:
    bench = Bench({"IDENTITY": source})
    for one in requests:
        bench.ask(**one)
    assert sessions(bench) == count


BROKEN = table(
    9,
    {
        "no dots": "good",
        "no base64": "good.!!!!.x",
        "no JSON": "good.bm9wZQ.x",
        "no object": token(["sub"]),
        "deep": "good." + base64.urlsafe_b64encode(b"[" * 4000).decode() + ".x",
        "a claim that is a list": token({"sub": ["a"]}),
        "a claim that is nothing": token({"sub": ""}),
        "too long": token({"sub": "a", "x": "y" * 9_000}),
        "four parts": token({"sub": "a"}) + ".more",
    },
)


@pytest.mark.parametrize("key", BROKEN)
def test_a_token_without_a_claim_has_no_session(key: str) -> None:
    bench = Bench({"IDENTITY": "claim:sub"})
    assert bench.ask(key=key).status == 200
    assert sessions(bench) == 0
    assert [event for event in bench.events if event.name == "layer.failed"] == []


def test_a_claim_that_is_no_text_that_can_be_sent_has_a_session() -> None:
    bench = Bench({"IDENTITY": "claim:sub"})
    assert bench.ask(key=token({"sub": "\ud800"})).status == 200
    assert sessions(bench) == 1
    assert [event for event in bench.events if event.name == "layer.failed"] == []


def test_a_forged_claim_adds_nothing_to_the_session_that_it_names() -> None:
    bench = Bench({"IDENTITY": "claim:sub"})
    bench.ask(key=token({"sub": "victim"}))
    assert sessions(bench) == 1
    total = newest(bench.store, 1)[0][1].total
    forged = token({"sub": "victim"}).removeprefix("good")
    assert [bench.ask(key=forged).status for _ in range(100)] == [401] * 100
    assert sessions(bench) == 1
    assert newest(bench.store, 1)[0][1].total == total


def test_another_claim_frees_no_credential_that_is_denied() -> None:
    bench = Bench({"IDENTITY": "header:X-Client", "ACTIONS": {"probing": "deny"}})
    bench.live_as = {"X-Client": "one"}  # type: ignore[attr-defined]
    for _ in range(4):
        for _ in range(10):
            bench.ask(headers={"X-Client": "one"}, after=60)
        bench.next_day()
    answers = [bench.ask(f"/none/{chr(97 + number)}", headers={"X-Client": "one"}).status for number in range(26)]
    assert answers[-1] == 403
    assert bench.ask(headers={"X-Client": "another"}).status == 403
    assert bench.ask(headers={"X-Client": "another"}, key="good of somebody else").status == 200


@pytest.mark.parametrize(
    "wrong",
    table(5, {"nothing": "", "no name": "header:", "a kind": "ip", "a number": 5, "two": "account:x"}),
)
def test_an_identity_that_does_not_exist_is_an_error(wrong: object) -> None:
    with pytest.raises(ConfigError, match="IDENTITY: wanted authorization"):
        Bench({"IDENTITY": wrong})


ROUTES = table(
    14,
    {
        "plain": (("GET", "/v1/models", "", ""), ("GET /v1/models", "")),
        "a version is no object": (("GET", "/v2/x", "", ""), ("GET /v2/x", "")),
        "a number": (("GET", "/v1/files/17", "", ""), ("GET /v1/files/{}", "17")),
        "two": (("POST", "/a/1/b/2", "", ""), ("POST /a/{}/b/{}", "1/2")),
        "a UUID": (
            ("GET", "/x/0b8b7a5e-3f6e-4f7a-9a52-0a6d1a4bb0ff", "", ""),
            ("GET /x/{}", "0b8b7a5e-3f6e-4f7a-9a52-0a6d1a4bb0ff"),
        ),
        "with a prefix": (("GET", "/x/gen_0017", "", ""), ("GET /x/{}", "gen_0017")),
        "a word": (("GET", "/x/cancel", "", ""), ("GET /x/cancel", "")),
        "HEAD is GET": (("HEAD", "/x", "", ""), ("GET /x", "")),
        "by its template": (("GET", "/x/cancel", "", "/x/{name}"), ("GET /x/{name}", "cancel")),
        "in the query": (("GET", "/item", "page=2&user_id=5", ""), ("GET /item?user_id", "5")),
        "no object in the query": (("GET", "/item", "page=2&valid=5x", ""), ("GET /item", "")),
        "nothing": (("GET", "", "", ""), ("GET ", "")),
        "long": (("GET", "/" + "a/" * 5_000, "", ""), ("GET " + ("/" + "a/" * 5_000)[:CHARS_MAX], "")),
        "many objects": (("GET", "/1" * 5_000, "", ""), ("GET " + ("/{}" * 60)[:33] + "/" + "1/" * 41, "1/" * 10)),
    },
)


@pytest.mark.parametrize(("request_", "route"), ROUTES)
def test_routes_and_objects(request_: tuple[str, str, str, str], route: tuple[str, str]) -> None:
    found = route_of(*request_)
    assert len(found.label) <= CHARS_MAX + 60
    assert len(found.object) <= CHARS_MAX
    if "1/" not in route[1]:
        assert found == route


@pytest.mark.parametrize(
    ("text", "number"),
    table(8, {
        "plain": ("17", 17), "zeroes": ("0017", 17), "prefix": ("gen_17", 17), "ending": ("17.jpg", 17),
        "a UUID": ("0b8b7a5e-3f6e-4f7a-9a52-0a6d1a4bb0ff", -1), "a word": ("cancel", -1), "nothing": ("", -1),
        "endless": ("9" * 10_000, -1),
    }),
)  # fmt: skip
def test_numbers_of_objects(text: str, number: int) -> None:
    assert number_of(text) == number
