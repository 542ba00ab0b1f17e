"""What clients are told of their limits: headers of answers, and refusals."""

from __future__ import annotations

from typing import Any

import pytest

from tests.limiter.support import PEER, Bench, code_of, structured

THREE: dict[str, object] = {"GLOBAL_RATE": "3/hour"}


def test_answers_say_what_is_left() -> None:
    bench = Bench({"GLOBAL_RATE": "3/hour", "RULES": [{"name": "burst", "rate": "2 per 10 seconds", "path": "/b"}]})

    first = bench.ask()
    assert structured(first.header("RateLimit-Policy")) == {"global": {"q": 3, "w": 3600}}
    assert structured(first.header("RateLimit")) == {"global": {"r": 2, "t": 1200}}
    second = bench.ask("/b")
    assert structured(second.header("RateLimit-Policy")) == {"global": {"q": 3, "w": 3600}, "burst": {"q": 2, "w": 10}}
    assert structured(second.header("RateLimit")) == {"global": {"r": 1, "t": 2400}, "burst": {"r": 1, "t": 5}}
    assert first.header("Retry-After") == ""


def test_a_refusal_never_says_to_come_back_too_early() -> None:
    config = {
        "GLOBAL_RATE": "100/hour",
        "RULES": [{"name": "day", "rate": "10/day"}, {"name": "burst", "rate": "2/minute"}],
    }
    looked = 0
    for pause in (0, 0.3, 1, 29.999, 30, 600):
        bench = Bench(dict(config))
        for _ in range(30):
            answer = bench.ask()
            if answer.status == 429:
                looked += 1
                wait = int(answer.header("Retry-After"))
                state = structured(answer.header("RateLimit"))
                assert state, "of a limit that is told of, and full"
                assert {one["r"] for one in state.values()} == {0}
                assert max(one["t"] for one in state.values()) == wait
                bench.clock.advance(wait - 1.001)
                assert bench.ask().status == 429
                bench.clock.advance(1.001)
                assert bench.ask().status == 200, "it said so"
            bench.clock.advance(pause)
    assert looked > 40


def test_what_only_reports_makes_no_refusal_longer() -> None:
    rules = [{"name": "year", "rate": "1/year", "action": "log"}]
    bench = Bench({"GLOBAL_RATE": "60/minute", "RULES": rules})
    bench.statuses(60)
    answer = bench.ask()

    assert answer.status == 429
    assert answer.header("Retry-After") == "1"
    assert "year" not in answer.header("RateLimit-Policy")


def test_no_header_is_added_where_they_are_switched_off() -> None:
    bench = Bench({**THREE, "HEADERS": False})
    answers = [bench.ask() for _ in range(4)]

    assert [answer.header("RateLimit") + answer.header("RateLimit-Policy") for answer in answers] == [""] * 4
    assert answers[3].header("Retry-After") == "1200"


def test_what_the_application_says_of_its_own_limits_stands() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("429 Too Many Requests", [("retry-after", "7"), ("ratelimit", '"mine";r=0')])
        return []

    answer = Bench(app=app).ask()

    assert (answer.header("Retry-After"), answer.header("RateLimit")) == ("7", '"mine";r=0')


@pytest.mark.parametrize("form", ["envelope", "problem"])
def test_a_refusal_has_both_error_formats(form: str) -> None:
    bench = Bench({"GLOBAL_RATE": "1/hour"}, {"ERROR_FORMAT": form})
    bench.ask()
    answer = bench.ask()

    assert (answer.status, code_of(answer)) == (429, "BSE1301")
    assert answer.header("Content-Type") == ("application/json" if form == "envelope" else "application/problem+json")
    assert answer.header("Retry-After") == "3600"
    assert answer.header("Cache-Control") == "no-store"
    assert PEER.encode() not in answer.body


def test_a_refused_head_has_no_body() -> None:
    bench = Bench({"GLOBAL_RATE": "1/hour"})
    bench.ask()
    answer = bench.ask(method="HEAD")

    assert (answer.status, answer.body, answer.header("Retry-After")) == (429, b"", "3600")


def test_a_page_of_another_origin_can_read_the_refusal() -> None:
    bench = Bench({"GLOBAL_RATE": "1/hour"}, {"CORS_ORIGINS": ["https://a.test"]})
    bench.ask()
    answer = bench.ask(headers={"Origin": "https://a.test"})

    assert answer.status == 429
    assert answer.header("Access-Control-Allow-Origin") == "https://a.test"
    exposed = {name.strip().lower() for name in answer.header("Access-Control-Expose-Headers").split(",")}
    assert {"retry-after", "ratelimit", "ratelimit-policy"} <= exposed
