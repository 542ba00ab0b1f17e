"""Limits on how often: who is counted together, what is counted, and what clients are told."""

from __future__ import annotations

from typing import Any

import pytest

from bsguard.testing import environ, run
from tests.limiter.support import OTHER, PEER, PROXY, WIDE, Bench, CountingStore, Doors, structured, table

THREE: dict[str, object] = {"GLOBAL_RATE": "3/hour"}


def own(**rule: Any) -> dict[str, object]:
    """The settings with one rule, and nothing else in its way."""
    return {**WIDE, "RULES": [{"name": "own", "rate": "3/hour", **rule}]}


def test_a_client_has_its_limit_and_then_waits() -> None:
    bench = Bench(THREE)

    assert bench.statuses(5) == [200, 200, 200, 429, 429]
    bench.clock.advance(1199)
    assert bench.ask().status == 429
    bench.clock.advance(1)
    assert bench.statuses(2) == [200, 429]
    bench.clock.advance(3600)
    assert bench.statuses(4) == [200, 200, 200, 429]


def test_another_client_is_not_concerned() -> None:
    bench = Bench(THREE)
    bench.statuses(4)

    assert bench.ask(by=OTHER).status == 200


COUNTED: dict[str, tuple[str, str]] = {
    "what is there": ("GET", "/public"),
    "HEAD": ("HEAD", "/public"),
    "what is not there": ("GET", "/status/404"),
    "a method that is not there": ("PUT", "/status/405"),
    "what needs a credential": ("GET", "/private"),
    "what fails": ("GET", "/status/500"),
    "OPTIONS": ("OPTIONS", "/public"),
    "a method of no standard": ("BREW", "/public"),
}


@pytest.mark.parametrize(("method", "path"), table(8, COUNTED))
def test_whatever_a_client_asks_for_counts(method: str, path: str) -> None:
    bench = Bench({**THREE, "PROBING_RATE": "1000/hour"})

    assert 429 not in bench.statuses(3, path, method=method)
    assert bench.statuses(2, path, method=method) == [429, 429]
    assert len(bench.app.served) == 3


def test_what_raises_counts() -> None:
    bench = Bench(THREE)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            bench.ask("/raise")

    assert bench.ask().status == 429


def test_a_get_rule_holds_for_head_too() -> None:
    bench = Bench(own(methods=["GET"]))

    assert bench.statuses(4, method="HEAD") == [200, 200, 200, 429]
    assert bench.ask().status == 429
    assert bench.ask(method="POST").status == 200


def test_a_head_rule_holds_for_head_alone() -> None:
    bench = Bench(own(methods=["HEAD"]))

    assert bench.statuses(4) == [200] * 4
    assert bench.statuses(4, method="HEAD") == [200, 200, 200, 429]


TOGETHER: dict[str, tuple[list[str], bool]] = {
    "one address": (["203.0.113.9", "203.0.113.9"], True),
    "two addresses": (["203.0.113.9", "203.0.113.10"], False),
    "one /64": (["2001:db8::1", "2001:db8::ffff:2"], True),
    "two /64": (["2001:db8:0:1::1", "2001:db8:0:2::1"], False),
    "one address in IPv6 clothes": (["203.0.113.9", "::ffff:203.0.113.9"], True),
    "one address in two spellings": (["2001:db8:0:0:0:0:0:1", "2001:DB8::1"], True),
    "two that no address is known of": (["", "@"], True),
}


@pytest.mark.parametrize(("peers", "together"), table(7, TOGETHER))
def test_who_is_counted_together(peers: list[str], together: bool) -> None:
    bench = Bench({"GLOBAL_RATE": "1/hour"})
    over = []
    for peer in peers:
        bench.ask(by=peer)
        over.append(bench.rules() == ["limiter.global"])

    assert over == [False, together]


def test_an_ipv6_site_has_sixteen_times_as_much() -> None:
    bench = Bench(THREE)
    networks = [f"2001:db8:0:{number:x}::1" for number in range(20)]
    passed = [bench.passed(4, by=network) for network in networks]

    assert passed == [3] * 16 + [0] * 4
    assert bench.ask(by="2001:db8:1::1").status == 200


def test_a_key_is_never_empty() -> None:
    """Where a request has no credential and no such header, its address takes their place."""
    for key in ("identity", "header:X-Customer"):
        bench = Bench(own(key=key))
        headers = {"X-Customer": ""}

        assert bench.statuses(2, headers=headers) == [200, 200]
        assert bench.statuses(2) == [200, 429]
        assert bench.ask(by=OTHER).status == 200


def test_the_same_text_as_identity_header_and_address_is_three_clients() -> None:
    rules = [{"name": kind[:6], "rate": "1/hour", "key": kind} for kind in ("identity", "header:X-A", "ip")]
    bench = Bench({**WIDE, "RULES": rules})

    assert bench.ask(headers={"X-A": PEER}, key=PEER).status == 200
    assert bench.ask(headers={"X-A": PEER}, by=OTHER).status == 429


def test_whoever_makes_up_credentials_is_counted_by_address() -> None:
    rules = [{"name": "few", "rate": "3/hour", "key": "identity"}]
    bench = Bench({**WIDE, "RULES": rules}, app=Doors("Bearer good-one", "Bearer good-two"))

    assert [bench.ask(key=f"Bearer made-up-{number}").status for number in range(6)] == [200] * 3 + [429] * 3
    assert bench.ask(key="Bearer made-up-0", by=OTHER).status == 200, "by its own credential, too"
    # Who is known has the limit alone, wherever others use it up.
    bench.clock.advance(3600)
    assert [bench.ask("/private", key=f"Bearer good-{one}").status for one in ("one", "two")] == [200, 200]
    assert bench.statuses(3, key="Bearer good-one") == [200, 200, 429]
    assert bench.statuses(3, key="Bearer good-two") == [200, 200, 429]


def test_a_constant_is_one_counter_for_all() -> None:
    bench = Bench(own(key="global", path="/cron"))

    assert [bench.ask("/cron", by=f"198.51.100.{number}").status for number in range(4)] == [200, 200, 200, 429]
    assert bench.ask("/other").status == 200


SPELLINGS = ("Bearer k1", "bearer k1", "BEARER k1", "Bearer  k1", "Bearer\tk1", " Bearer k1 ")
PAIRS = ("Basic dTpw", "basic dTpw", "Basic d.T.p.w", "Basic  dTpw==", "Basic dTp*w")


@pytest.mark.parametrize("spellings", [SPELLINGS, PAIRS], ids=["a token", "a user"])
def test_one_credential_is_one_identity_however_it_is_spelled(spellings: tuple[str, ...]) -> None:
    bench = Bench(own(key="identity"))
    statuses = [bench.ask(key=key).status for key in spellings]

    assert statuses == [200, 200, 200, *[429] * (len(spellings) - 3)]
    identities = {run_identity(key) for key in spellings}
    assert len(identities) == 1
    assert identities != {""}


def run_identity(key: str) -> str:
    """What events call the credential."""
    bench = Bench({"GLOBAL_RATE": "1/hour"})
    bench.statuses(2, key=key)
    found: str = bench.named("request.denied")[0].identity
    return found


def test_keys_that_differ_are_two() -> None:
    bench = Bench(own(key="identity"))
    keys = ("Bearer K1", "Bearer k1", "Token k1", "k1", "Bearer k1 x")

    assert [bench.ask(key=key, by=f"198.51.100.{place}").status for place, key in enumerate(keys)] == [200] * 5


def test_all_are_charged_or_none() -> None:
    """A request that one limit refuses takes nothing from the others."""
    rules = [{"name": "many", "rate": "10/hour"}, {"name": "few", "rate": "2/hour", "path": "/few"}]
    bench = Bench({**WIDE, "RULES": rules})
    bench.statuses(50, "/few")

    assert bench.passed(20) == 8


def test_a_cost_is_charged_at_once() -> None:
    bench = Bench(own(cost=2))

    assert bench.statuses(2) == [200, 429]
    assert structured(bench.ask().header("RateLimit"))["own"]["r"] == 0


def test_two_rates_of_a_rule_both_hold() -> None:
    bench = Bench(own(rate="2/second; 3/hour"))

    assert bench.statuses(3) == [200, 200, 429]
    bench.clock.advance(1)
    assert bench.statuses(2) == [200, 429]
    assert bench.ask().header("Retry-After") != "1"


def test_a_rule_with_a_surface_is_about_its_hosts() -> None:
    surfaces = [
        {"name": "api", "kind": "api", "hosts": ["api.test"], "prefixes": ["/"]},
        {"name": "site", "kind": "web", "hosts": ["www.test"]},
    ]
    bench = Bench(own(surface="api"), {"SURFACES": surfaces})

    assert bench.statuses(4, HTTP_HOST="api.test") == [200, 200, 200, 429]
    assert bench.statuses(4, HTTP_HOST="www.test") == [200] * 4
    assert bench.ask(HTTP_HOST="API.test.:443").status == 429


PLACES: dict[str, tuple[str, list[str], list[str]]] = {
    "a path": ("/v1/a", ["/v1/a", "/v1/%61"], ["/v1/a/", "/v1/A", "/v1/ab"]),
    "a segment": ("/v1/{id}/x", ["/v1/7/x", "/v1/%2e/x"], ["/v1//x", "/v1/7/y"]),
    "a tree": ("/v1/**", ["/v1", "/v1/", "/v1/a/b"], ["/v10", "/"]),
}


@pytest.mark.parametrize(("pattern", "inside", "outside"), table(3, PLACES))
def test_a_rule_with_a_path_is_about_what_fits(pattern: str, inside: list[str], outside: list[str]) -> None:
    bench = Bench(own(path=pattern, rate="1/hour"))
    bench.ask(inside[0])

    assert {bench.ask(path).status for path in inside} == {429}
    assert {bench.ask(path).status for path in outside} == {200}


# --- the store ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rules", [0, 1, 7, 30])
def test_one_call_to_the_store_answers_all_limits(rules: int) -> None:
    made = [
        {"name": f"r{number}", "rate": f"{number + 500}/hour", "path": "/**", "cost": number + 1}
        for number in range(rules)
    ]
    bench = Bench({"RULES": made})
    answers = [bench.ask(by="2001:db8::1"), bench.ask(by="2001:db8::1", key="Bearer abcdefgh")]

    assert [answer.status for answer in answers] == [200, 200]
    assert bench.store.calls["take"] == 2
    assert bench.store.calls["ban"] == 0
    assert bench.store.calls["settle"] <= 1  # after the answer: the new credential's charge goes back


def test_a_known_credential_costs_one_call_in_all() -> None:
    bench = Bench(app=Doors("Bearer good"))
    bench.statuses(2, "/private", key="Bearer good")
    bench.store.calls.clear()
    bench.statuses(10, "/private", key="Bearer good")

    assert dict(bench.store.calls) == {"take": 10}


# --- who is exempt, and who cannot be placed ------------------------------------------------------------------------


def test_exempt_networks_are_not_limited_by_address_and_limited_by_all_else() -> None:
    rules = [{"name": "ip", "rate": "1/hour"}, {"name": "all", "rate": "5/hour", "key": "global"}]
    bench = Bench({"GLOBAL_RATE": "1/hour", "RULES": rules, "EXEMPT_NETWORKS": ["203.0.113.0/24"]})

    assert bench.statuses(6) == [200] * 5 + [429]
    assert bench.passed(2, by=OTHER) == 0


@pytest.mark.parametrize("key", ["ip", "identity", "header:X-Tenant"])
def test_exempt_networks_are_not_limited_by_address_for_want_of_another_key(key: str) -> None:
    rules = [{"name": "few", "rate": "1/hour", "key": key}]
    bench = Bench({"RULES": rules, "EXEMPT_NETWORKS": ["203.0.113.0/24"]})

    assert bench.statuses(3) == [200] * 3
    assert bench.statuses(2, by=OTHER) == [200, 429]


LOOPBACK = ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1", ""]
FORWARDED = {"X-Forwarded-For": "192.0.2.1"}


@pytest.mark.parametrize("peer", LOOPBACK)
def test_behind_an_undeclared_proxy_on_this_machine_limits_by_address_only_report(peer: str) -> None:
    rules = [{"name": "all", "rate": "20/hour", "key": "global"}]
    bench = Bench({**THREE, "RULES": rules})

    assert bench.statuses(20, by=peer, headers=FORWARDED) == [200] * 20
    assert bench.rules() == ["limiter.global"] * 17
    assert {event.action for event in bench.named("rule.logged")} == {"logged"}
    assert bench.ask(by=peer, headers=FORWARDED).status == 429  # what goes by no address holds


@pytest.mark.parametrize("peer", ["192.168.1.7", "10.9.8.7", "203.0.113.9", "fd00::1"])
@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP", "X-Forwarded-Proto", "CF-Connecting-IP"]
)
def test_nobody_else_switches_limits_off_by_a_header(peer: str, header: str) -> None:
    bench = Bench(THREE)
    statuses = [bench.ask(by=peer, headers={header: f"192.0.2.{number}"}).status for number in range(5)]

    assert statuses == [200, 200, 200, 429, 429]


def test_this_machine_itself_is_limited() -> None:
    assert Bench(THREE).statuses(4, by="127.0.0.1") == [200, 200, 200, 429]


def test_behind_a_declared_proxy_each_client_has_its_own_limit() -> None:
    bench = Bench(THREE, {"TRUSTED_PROXIES": [f"{PROXY}/32"]})

    for client in ("192.0.2.1", "192.0.2.2"):
        spoofed = [f"198.51.100.{number}, {client}" for number in range(4)]
        statuses = [bench.ask(by=PROXY, headers={"X-Forwarded-For": chain}).status for chain in spoofed]
        assert statuses == [200, 200, 200, 429]
    assert bench.ask(by=PROXY, headers={"X-Forwarded-For": "127.0.0.1, 192.0.2.1"}).status == 429


# --- modes ----------------------------------------------------------------------------------------------------------


def test_a_rule_that_logs_refuses_nothing_and_keeps_nothing_from_being_charged() -> None:
    rules = [{"name": "soft", "rate": "1/hour", "action": "log"}]
    bench = Bench({"GLOBAL_RATE": "5/hour", "RULES": rules})

    assert bench.statuses(6) == [200] * 5 + [429]
    assert bench.rules().count("limiter.rule.soft") == 5
    assert bench.named("request.denied")[0].rule == "limiter.global"


LENIENT: dict[str, dict[str, Any]] = {
    "the layer monitors": {"mode": "monitor"},
    "the rule monitors": {"config": {**THREE, "RULE_MODES": {"limiter.global": "monitor"}}},
    "an exception": {"settings": {"EXCEPTIONS": [{"rule": "limiter.global", "comment": "for now"}]}},
}


@pytest.mark.parametrize("how", table(3, LENIENT))
def test_what_was_counted_while_nothing_was_refused_is_never_held_against_anybody(how: dict[str, Any]) -> None:
    store = CountingStore()
    lenient = Bench(**{"config": dict(THREE), "store": store, **how})
    strict = Bench(dict(THREE), store=store)

    assert lenient.statuses(10) == [200] * 10
    assert lenient.rules() == ["limiter.global"] * 7  # it counts, or nobody could see what it would do
    assert strict.statuses(4) == [200, 200, 200, 429]
    assert lenient.statuses(2) == [200, 200]


def test_a_rule_that_is_off_neither_counts_nor_tells() -> None:
    bench = Bench({**THREE, "RULE_MODES": {"limiter.global": "off"}})

    assert bench.statuses(10) == [200] * 10
    assert bench.rules() == []
    assert bench.ask().header("RateLimit") == ""


def test_an_exception_for_one_path_leaves_the_others_limited() -> None:
    exceptions = [{"rule": "limiter.global", "path": "/health", "comment": "asked often"}]
    bench = Bench(THREE, {"EXCEPTIONS": exceptions})

    assert bench.statuses(10, "/health") == [200] * 10
    assert bench.statuses(4) == [200, 200, 200, 429]
    assert bench.ask("/health").status == 200


def test_without_defaults_only_own_rules_hold() -> None:
    bench = Bench({"DEFAULTS": False, "GLOBAL_RATE": "1/hour", "RULES": [{"name": "a", "rate": "3/hour"}]})

    assert bench.statuses(4) == [200, 200, 200, 429]
    assert structured(bench.ask().header("RateLimit-Policy")) == {"a": {"q": 3, "w": 3600}}


def test_without_any_rule_the_store_is_not_asked() -> None:
    bench = Bench({"DEFAULTS": False})

    assert bench.statuses(3) == [200] * 3
    assert not bench.store.calls


def test_each_use_of_the_layer_counts_for_itself_in_its_own_store() -> None:
    benches = [Bench(THREE), Bench(THREE)]

    assert [bench.passed(9) for bench in benches] == [3, 3]
    assert run(benches[0].layer, environ(peer=PEER)).status == 429
