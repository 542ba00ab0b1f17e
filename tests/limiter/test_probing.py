"""Who asks for one missing path after another is stopped; who polls for what is not there yet is not."""

from __future__ import annotations

import pytest

from tests.limiter.support import OTHER, Bench, Doors, code_of, table

FIVE: dict[str, object] = {"GLOBAL_RATE": "1000000/second", "PROBING_RATE": "5 per 10 minutes"}


def nowhere(environ: dict[str, object], start_response: object) -> list[bytes]:
    """Knows no path but ``/there``."""
    found = environ["PATH_INFO"] == "/there"
    start_response("200 OK" if found else "404 Not Found", [])  # type: ignore[operator]
    return []


def names(count: int) -> list[str]:
    """Paths that differ in more than identifiers."""
    return ["/" + "abcdefghijklmnopqrstuvwxyz"[number : number + 4] for number in range(count)]


def test_a_scanner_is_stopped() -> None:
    bench = Bench(dict(FIVE), app=nowhere)
    answers = [bench.ask(path) for path in names(8)]

    assert [answer.status for answer in answers] == [404] * 5 + [429] * 3
    assert code_of(answers[-1]) == "BSE1301"
    assert answers[-1].header("Retry-After") == "120"
    assert bench.ask("/there").status == 429
    assert bench.ask("/there", by=OTHER).status == 200
    assert bench.named("ban.set") == []


def test_it_goes_on_after_a_while() -> None:
    bench = Bench(dict(FIVE), app=nowhere)
    for path in names(6):
        bench.ask(path)
    bench.clock.advance(120)

    assert bench.ask("/there").status == 200
    assert [bench.ask(path).status for path in ("/new", "/newer")] == [404, 429]


ONE_SHAPE: dict[str, list[str]] = {
    "the same path": ["/missing"] * 50,
    "numbers": [f"/v1/files/{number}" for number in range(50)],
    "identifiers": [f"/v1/files/{number:032x}/meta" for number in range(50)],
    "queries": [f"/missing?x={number}" for number in range(50)],
}


@pytest.mark.parametrize("paths", table(4, ONE_SHAPE))
def test_paths_of_one_shape_count_once(paths: list[str]) -> None:
    bench = Bench(dict(FIVE), app=nowhere)

    assert [bench.ask(path).status for path in paths] == [404] * 50


def test_who_has_an_accepted_credential_is_no_scanner() -> None:
    bench = Bench(dict(FIVE), app=Doors("Bearer good"))
    bench.ask("/private", key="Bearer good")
    there = [bench.ask(path, key="Bearer good").status for path in ("/status/404", *names(20))]

    assert 429 not in there
    bench.app = nowhere
    known = Bench(dict(FIVE), app=nowhere, store=bench.store)
    assert [known.ask(path, key="Bearer good").status for path in names(20)] == [404] * 20
    assert [known.ask(path, key="Bearer bad").status for path in names(20)] == [404] * 5 + [429] * 15
    assert known.ask("/there", key="Bearer good").status == 200, "while its network is stopped"


@pytest.mark.parametrize("by", ["127.0.0.1", "", "203.0.113.9"])
def test_who_is_not_watched(by: str) -> None:
    bench = Bench({**FIVE, "EXEMPT_NETWORKS": ["203.0.113.9"]}, app=nowhere)

    assert [bench.ask(path, by=by).status for path in names(20)] == [404] * 20


def test_what_was_counted_in_monitor_is_not_enforced() -> None:
    monitor = Bench(dict(FIVE), app=nowhere, mode="monitor")

    assert [monitor.ask(path).status for path in names(20)] == [404] * 20
    assert monitor.rules() == ["limiter.probing"] * 15
    strict = Bench(dict(FIVE), app=nowhere, store=monitor.store)
    assert [strict.ask(path).status for path in names(20)] == [404] * 5 + [429] * 15
