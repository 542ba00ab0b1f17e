"""Random traffic against a model of GCRA that is four lines long, and bounds that hold whatever comes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bsguard.stores.memory import MemoryStore
from bsguard.testing import FakeClock, environ, run
from tests.limiter.support import Bench, structured

looks = settings(max_examples=60, deadline=None)

CLIENTS = ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")
NETWORK = {client: client for client in CLIENTS} | {"2001:db8::2": "2001:db8::1"}


class Model:
    """One counter: when it will be empty, exactly."""

    def __init__(self, amount: int, seconds: int) -> None:
        self.emission, self.full = Fraction(seconds, amount), Fraction(seconds)
        self.empty_at = Fraction(0)

    def fits(self, now: Fraction, cost: int) -> bool:
        return max(self.empty_at, now) + cost * self.emission <= now + self.full

    def charge(self, now: Fraction, cost: int) -> None:
        self.empty_at = max(self.empty_at, now) + cost * self.emission


# Amounts that divide their periods, so that whole microseconds are exact.
rates = st.sampled_from([(1, 1), (2, 1), (5, 10), (10, 10), (3, 60), (8, 40), (20, 100)])
steps = st.lists(
    st.tuples(st.sampled_from(CLIENTS), st.sampled_from([0, 0, 0, 0, 0.25, 0.5, 1, 2, 5, 13, 60, 200])), max_size=120
)


@looks
@given(rates, rates, st.integers(1, 3), steps)
def test_a_request_passes_exactly_when_the_model_says(
    outer: tuple[int, int], inner: tuple[int, int], cost: int, sent: list[tuple[str, float]]
) -> None:
    cost = min(cost, inner[0])
    rule = {"name": "own", "rate": f"{inner[0]} per {inner[1]} seconds", "cost": cost, "key": "global"}
    clock = FakeClock(1_700_000_000.0)
    bench = Bench(
        {"GLOBAL_RATE": f"{outer[0]} per {outer[1]} seconds", "RULES": [rule]}, clock=clock, store=MemoryStore()
    )
    clients = {network: Model(*outer) for network in NETWORK.values()}
    shared = Model(*inner)

    for client, pause in sent:
        clock.advance(pause)
        now = Fraction(clock.now())
        own = clients[NETWORK[client]]
        wanted = own.fits(now, 1) and shared.fits(now, cost)
        if wanted:
            own.charge(now, 1)
            shared.charge(now, cost)
        answer = bench.ask(by=client)
        assert answer.status == (200 if wanted else 429)
        if wanted:
            left = (now + own.full - own.empty_at) // own.emission
            assert structured(answer.header("RateLimit"))["global"]["r"] == left


@looks
@given(rates, st.lists(st.floats(0, 30), max_size=150))
def test_never_more_than_the_amount_and_what_drained_passes(rate: tuple[int, int], pauses: list[float]) -> None:
    clock = FakeClock(1_700_000_000.0)
    bench = Bench({"GLOBAL_RATE": f"{rate[0]} per {rate[1]} seconds"}, clock=clock, store=MemoryStore())
    passed: list[float] = []
    for pause in pauses:
        clock.advance(pause)
        if bench.ask(by="192.0.2.1").status == 200:
            passed.append(clock.now())

    for first in range(len(passed)):
        for last in range(first, len(passed)):
            drained = (passed[last] - passed[first]) * rate[0] / rate[1]
            assert last - first + 1 <= rate[0] + drained + 1e-3


KEYS = (
    "",
    "Bearer good-credential-1",
    "Bearer good-credential-2",
    "Bearer wrong-guess-11",
    "Basic dTpw",
    "\x00\xff\x80",
)
PATHS = ("/public", "/private", "/status/404", "/status/403", "/status/500", "/x/\xff", "/a\x00b")
MOVES = st.sampled_from([0, 0, 0, 0.1, 1, 30, 121, 601, -1, -3600])


@looks
@given(
    st.lists(st.tuples(st.sampled_from(CLIENTS), st.sampled_from(PATHS), st.sampled_from(KEYS), MOVES), max_size=80),
    st.sampled_from(["enforce", "monitor"]),
)
def test_whatever_comes_the_layer_neither_fails_nor_forgets_whom_it_knows(
    sent: list[tuple[str, str, str, float]], mode: str
) -> None:
    from tests.limiter.support import Doors

    good = KEYS[1:3]
    bench = Bench({"GLOBAL_RATE": "1000000/second", "PROBING_RATE": "3/minute"}, app=Doors(*good), mode=mode)
    known: dict[tuple[str, str], float] = {}
    back = False
    for client, path, key, move in sent:
        bench.clock.advance(move)
        back = back or move < 0  # then a counter may look full for as long as the clock was set back
        headers: dict[str, Any] = {"Authorization": key} if key else {}
        status = run(bench.layer, environ("GET", path, peer=client, headers=headers)).status
        place = (NETWORK[client], key)
        if mode == "monitor" or (place in known and not back):
            assert status != 429
        if path == "/private" and status == 200:
            known[place] = bench.clock.now()
        known = {each: since for each, since in known.items() if bench.clock.now() - since < 5 * 86_400}

    assert bench.named("layer.failed") == []
