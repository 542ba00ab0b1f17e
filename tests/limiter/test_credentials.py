"""Guessing is bounded and ends in a ban; a credential that is known to be good is never in the way of that."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest

from bsguard.testing import environ, run
from tests.limiter.support import OTHER, PEER, PROXY, Bench, CountingStore, Doors, code_of, table

GOOD = "Bearer sk_live_9hT4kQ2mXw7LpZ3v"
#: Nothing but guesses counts here.
GUESSES: dict[str, object] = {"GLOBAL_RATE": "1000000/second", "TARGET_RATE": "1000000/second"}


def doors(**more: Any) -> Bench:
    names = more.pop("names", True)
    return Bench(app=Doors(GOOD, names=names), **{"config": dict(GUESSES), **more})


def test_five_refused_credentials_ban_the_client() -> None:
    bench = doors()

    assert bench.guess(7) == [401] * 5 + [429, 429]
    assert code_of(bench.ask("/private", key="Bearer other")) == "BSE1304"
    assert bench.ask().status == 429, "without a credential too"
    assert bench.ask(by=OTHER).status == 200
    (said,) = bench.named("ban.set")
    assert (said.subject, said.seconds, said.action, said.author) == (f"client {PEER}", 600, "banned", "bsguard")


def test_one_wrong_credential_that_is_sent_again_and_again_bans_too() -> None:
    assert doors().statuses(7, "/private", key="Bearer wrong") == [401] * 5 + [429, 429]


def test_a_request_without_credential_is_no_guess() -> None:
    assert doors().statuses(50, "/private") == [401] * 50


def test_failures_drain_away() -> None:
    bench = doors()
    for number in range(30):
        assert bench.guess(1, start=number) == [401]
        bench.clock.advance(121)


def test_a_ban_ends_by_itself_and_tells_when() -> None:
    bench = doors()
    bench.guess(5)

    assert bench.ask().header("Retry-After") == "600"
    bench.clock.advance(599)
    assert bench.ask().status == 429
    assert bench.ask().header("Retry-After") == "1"
    bench.clock.advance(1)
    assert bench.ask().status == 200


def test_each_further_ban_is_twice_as_long_up_to_the_longest() -> None:
    bench = doors(config={**GUESSES, "BAN_SECONDS": 600, "BAN_SECONDS_MAX": 3600})
    for _ in range(6):
        bench.guess(6)
        bench.clock.advance(int(bench.ask().header("Retry-After") or 0))
        assert bench.ask().status == 200

    lengths = [said.seconds for said in bench.named("ban.set")]
    assert lengths[:3] == [600, 1200, 2400]
    assert max(lengths) == lengths[-1] == 3600
    bench.clock.advance(30 * 3600)
    bench.guess(6)
    assert bench.named("ban.set")[-1].seconds == 600


def test_an_ipv6_client_is_banned_by_its_network() -> None:
    bench = doors()
    for number in range(5):
        bench.guess(1, by=f"2001:db8::{number:x}", start=number)

    assert bench.ask(by="2001:db8::dead:beef").status == 429
    assert bench.ask(by="2001:db8:0:1::1").status == 200
    assert bench.named("ban.set")[0].subject == "client 2001:db8::/64"


def test_an_ipv6_site_may_guess_eight_times_as_much() -> None:
    bench = doors()
    reached = [status for n in range(30) for status in bench.guess(4, by=f"2001:db8:0:{n:x}::1", start=n * 4)]

    assert reached.count(401) == 40
    assert bench.guess(1, by="2001:db8:1::1", start=999) == [401]


# --- what a known credential may --------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [True, False], ids=["the account is named", "its answers show it"])
def test_a_known_credential_is_let_through_while_its_network_is_banned(names: bool) -> None:
    bench = doors(names=names)
    bench.ask("/private")  # a path that is known to refuse
    assert bench.ask("/private", key=GOOD).status == 200
    bench.guess(9)

    assert bench.ask("/private").status == 429
    assert bench.statuses(20, "/private", key=GOOD) == [200] * 20
    assert bench.ask("/private", key="Bearer unknown").status == 429


def test_a_credential_that_is_new_here_is_banned_with_the_network() -> None:
    bench = doors()
    bench.ask("/private", key=GOOD, by=OTHER)
    bench.guess(9)

    assert bench.ask("/private", key=GOOD).status == 429
    assert bench.ask("/private", key=GOOD, by=OTHER).status == 200


def test_a_public_path_never_makes_a_guess_known() -> None:
    bench = doors(names=False)
    for number in range(50):
        assert bench.ask(key=f"Bearer {number:05d}{'x' * 20}").status == 200
    bench.ask("/private")

    assert bench.guess(7) == [401] * 5 + [429, 429]


def test_a_path_that_serves_some_to_everybody_makes_nothing_known_once_accounts_are_named() -> None:
    """One path for public and private questions: else each guess could be made known by a public one first."""

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["QUERY_STRING"] == "public":
            start_response("200 OK", [])
            return []
        return named(environ | {"PATH_INFO": "/private"}, start_response)

    named = Doors(GOOD)
    bench = Bench(dict(GUESSES), app=app)
    assert bench.ask("/graphql", key=GOOD).status == 200
    bench.ask("/graphql")
    keys = [f"Bearer {number:05d}{'x' * 20}" for number in range(20)]
    for key in keys:
        bench.ask("/graphql?public", key=key)

    assert [bench.ask("/graphql", key=key).status for key in keys] == [401] * 5 + [429] * 15


def test_a_credential_that_is_no_longer_good_is_no_longer_known() -> None:
    bench = doors()
    bench.ask("/private", key=GOOD)
    bench.app.good.clear()

    assert bench.statuses(7, "/private", key=GOOD) == [401] * 5 + [429, 429]


def test_a_credential_stays_known_for_days_and_not_for_ever() -> None:
    bench = doors()
    bench.ask("/private", key=GOOD)
    bench.clock.advance(6 * 86_400)
    bench.guess(6)
    assert bench.ask("/private", key=GOOD).status == 200
    bench.clock.advance(8 * 86_400)
    bench.guess(6)
    assert bench.ask("/private", key=GOOD).status == 429


def test_what_a_known_credential_may_not_do_is_no_failure() -> None:
    bench = doors()

    assert bench.statuses(50, "/status/403", key=GOOD) == [403] * 50
    assert bench.named("ban.set") == []


def test_other_statuses_and_headers_can_say_so() -> None:
    bench = doors(config={**GUESSES, "REFUSED_STATUSES": [403], "CREDENTIAL_HEADERS": ["X-Api-Key"]})

    assert bench.statuses(7, "/status/403", headers={"X-Api-Key": "wrong"}) == [403] * 5 + [429, 429]
    bench = doors(config={**GUESSES, "REFUSED_STATUSES": [403], "CREDENTIAL_HEADERS": ["X-Api-Key"]})
    assert bench.statuses(9, "/status/403", key="wrong") == [403] * 9


# --- at the same time -------------------------------------------------------------------------------------------------


class Waiting(Doors):
    """Answers only when so many requests have come, or nobody comes any more."""

    def __init__(self, *good: str, together: int) -> None:
        super().__init__(*good)
        self.barrier = threading.Barrier(together)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        with contextlib.suppress(threading.BrokenBarrierError):
            self.barrier.wait(1.0)
        return super().__call__(environ, start_response)


def at_once(bench: Bench, keys: list[str]) -> list[int]:
    """The statuses of requests that are all in flight together."""
    statuses: list[int] = []
    lock = threading.Lock()

    def send(key: str) -> None:
        status = bench.ask("/private", key=key).status
        with lock:
            statuses.append(status)

    threads = [threading.Thread(target=send, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(statuses)


def test_guesses_in_parallel_cannot_overshoot() -> None:
    bench = Bench(dict(GUESSES), app=Waiting(GOOD, together=5))
    keys = [f"Bearer {number:05d}{'x' * 20}" for number in range(40)]

    assert at_once(bench, keys) == [401] * 5 + [429] * 35
    assert len(bench.named("ban.set")) == 1


def test_one_new_credential_may_be_used_many_times_at_once() -> None:
    bench = Bench(dict(GUESSES), app=Waiting(GOOD, together=30))

    assert at_once(bench, [GOOD] * 30) == [200] * 30
    assert bench.named("ban.set") == []
    assert bench.guess(5) == [401] * 5, "all that was charged was given back"


def test_a_known_credential_may_be_used_while_others_are_guessed() -> None:
    bench = Bench(dict(GUESSES), app=Waiting(GOOD, together=15))
    run(
        Bench(dict(GUESSES), app=Doors(GOOD), store=bench.store).layer,
        environ("GET", "/private", peer=PEER, headers={"Authorization": GOOD}),
    )
    keys = [f"Bearer {number:05d}{'x' * 20}" for number in range(20)] + [GOOD] * 10

    assert at_once(bench, keys) == [200] * 10 + [401] * 5 + [429] * 15


def test_a_charge_of_a_worker_that_died_lapses() -> None:
    bench = doors()
    for number in range(9):  # begun and never ended
        bench.layer.driver.judge(request_of(bench, f"Bearer {number:05d}{'x' * 20}"))
    assert bench.guess(1, start=20) == [429]
    assert bench.named("ban.set") == []
    bench.clock.advance(121)

    assert bench.guess(2, start=30) == [401, 429]


def request_of(bench: Bench, key: str) -> Any:
    from bsguard.core.request import Request

    made = environ("GET", "/private", peer=PEER, headers={"Authorization": key})
    return Request.of(made, bench.layer.settings)[0]


def test_of_several_workers_that_come_to_a_ban_at_once_one_bans() -> None:
    store = CountingStore()
    workers = [doors(store=store) for _ in range(4)]
    shared = Waiting(GOOD, together=5)
    events: list[Any] = workers[0].events
    bench = Bench(dict(GUESSES), app=shared, store=store, events=events)

    at_once(bench, [f"Bearer {number:05d}{'x' * 20}" for number in range(5)])
    assert [worker.guess(1, start=90) for worker in workers] == [[429]] * 4
    assert len(bench.named("ban.set")) == 1
    assert bench.named("ban.set")[0].seconds == 600


def test_keys_that_are_revoked_together_ban_once() -> None:
    keys = [f"Bearer {number:05d}{'x' * 20}" for number in range(12)]
    bench = Bench(dict(GUESSES), app=Waiting(*keys, together=1))
    assert [bench.ask("/private", key=key).status for key in keys] == [200] * 12
    bench.app.good.clear()
    bench.app.barrier = threading.Barrier(12)  # known, so that none is charged before

    assert at_once(bench, keys) == [401] * 12
    assert [said.seconds for said in bench.named("ban.set")] == [600]


# --- who is watched ---------------------------------------------------------------------------------------------------

UNWATCHED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "this machine": ({}, {"by": "127.0.0.1"}),
    "an exempt network": ({"config": {**GUESSES, "EXEMPT_NETWORKS": [f"{PEER}/32"]}}, {}),
    "an undeclared proxy on this machine": ({}, {"by": "127.0.0.1", "headers": {"X-Forwarded-For": PEER}}),
    "a Unix socket": ({}, {"by": ""}),
    "nobody, without the defaults": ({"config": {**GUESSES, "DEFAULTS": False}}, {}),
    "nobody, with the rule switched off": ({"config": {**GUESSES, "RULE_MODES": {"limiter.credentials": "off"}}}, {}),
}


@pytest.mark.parametrize(("how", "sent"), table(6, UNWATCHED))
def test_who_cannot_be_banned(how: dict[str, Any], sent: dict[str, Any]) -> None:
    bench = doors(**how)

    assert bench.statuses(20, "/private", key="Bearer wrong", **sent) == [401] * 20
    assert bench.named("ban.set") == []


def test_behind_a_declared_proxy_the_client_is_banned_and_not_the_proxy() -> None:
    bench = doors(settings={"TRUSTED_PROXIES": [PROXY]})
    forwarded = {"X-Forwarded-For": f"127.0.0.1, {PEER}"}
    bench.statuses(7, "/private", key="Bearer wrong", by=PROXY, headers=forwarded)

    assert bench.named("ban.set")[0].subject == f"client {PEER}"
    assert bench.ask(by=PROXY, headers={"X-Forwarded-For": OTHER}).status == 200
    assert bench.ask(by=PROXY).status == 200


# --- modes ------------------------------------------------------------------------------------------------------------

BAN_REPORTS: dict[str, dict[str, Any]] = {
    "its mode": {"config": {**GUESSES, "GLOBAL_RATE": "30/hour", "RULE_MODES": {"limiter.ban.automatic": "monitor"}}},
    "an exception": {
        "config": {**GUESSES, "GLOBAL_RATE": "30/hour"},
        "settings": {"EXCEPTIONS": [{"rule": "limiter.ban.automatic", "comment": "for now"}]},
    },
}


@pytest.mark.parametrize("how", table(2, BAN_REPORTS))
def test_a_ban_that_only_reports_switches_no_other_limit_off(how: dict[str, Any]) -> None:
    bench = doors(**how)

    assert bench.guess(9) == [401] * 5 + [429] * 4
    assert {event.rule for event in bench.named("request.denied")} == {"limiter.credentials"}
    assert bench.named("ban.set")[0].action == "would_ban"
    assert bench.rules().count("limiter.ban.automatic") == 4
    bench.clock.advance(3600)
    bench.guess(5, start=50)
    assert bench.passed(60) == 25


def test_a_ban_that_was_only_reported_is_never_enforced() -> None:
    store = CountingStore()
    spared = ("limiter.credentials", "limiter.target", "limiter.ban.automatic")
    exceptions = [{"rule": rule, "path": "/private/**", "comment": "for now"} for rule in spared]
    bench = doors(store=store, settings={"EXCEPTIONS": exceptions})

    assert bench.statuses(20, "/private/x", key="Bearer wrong") == [401] * 20
    assert bench.statuses(5) == [200] * 5
    assert doors(store=store).statuses(5) == [200] * 5
    monitor = doors(mode="monitor")
    assert monitor.guess(20) == [401] * 20
    assert {said.action for said in monitor.named("ban.set")} == {"would_ban"}
    assert doors(store=monitor.store).guess(6) == [401] * 5 + [429]


FAILURES_REPORT: dict[str, dict[str, Any]] = {
    "the rule's mode": {"config": {"RULE_MODES": {"limiter.credentials": "monitor"}}},
    "an exception": {"settings": {"EXCEPTIONS": [{"rule": "limiter.credentials", "comment": "for now"}]}},
}


@pytest.mark.parametrize("how", table(2, FAILURES_REPORT))
def test_failures_that_are_only_reported_ban_nobody(how: dict[str, Any]) -> None:
    bench = doors(**how)

    assert bench.guess(10) == [401] * 10
    assert bench.ask().status == 200
    assert {said.action for said in bench.named("ban.set")} == {"would_ban"}


def test_a_monitoring_ban_tells_what_it_would_refuse() -> None:
    bench = doors(mode="monitor")
    bench.guess(5)

    assert bench.ask().status == 200
    assert bench.named("request.would_be_denied")[-1].rule == "limiter.ban.automatic"
