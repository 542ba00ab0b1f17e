"""The session layer under attack, through the whole stack: what a client can choose is bounded and changes nothing."""

import base64
import json
import random
import time

import pytest

from benchmarks.session.api import MEDIA, Service
from benchmarks.session.traffic import Customer
from bsguard import guard, testing
from bsguard.core.events import LayerFailed, RequestFinished, SessionScored

BASE = 1_780_272_000.0
DAY = 86_400.0


class Site:
    """The media API behind all layers, the session layer told to report everything."""

    def __init__(self, folder, **settings):
        self.clock = testing.FakeClock(BASE)
        self.events = []
        self.service = Service(MEDIA, self.clock.now)
        self.service.numbers = 100_000
        config = {
            "STATE_DIR": folder,
            "MODE": "monitor",
            "SESSION_SCORE_MIN": 1,
            "SESSION_PROFILES_COUNT_MAX": 100,
            "EVENTS_LOGGED": False,
            "EVENTS_STORED": False,
            "SECRET_KEYS": ["k" * 40],
        }
        self.app = guard(self.service, config | settings, clock=self.clock, emit=self.events.append)
        self.customer = Customer(0, self.service, random.Random(1))
        self.customer.adopt(random.Random(1), 300)
        self.accept(self.customer.token, self.customer.account)

    def accept(self, token, account):
        self.service.keys[token] = (account, 0.0, float("inf"))

    def ask(self, target, *, token=None, method="GET", after=1.0, headers=None, peer="82.1.2.3", body=b""):
        self.clock.advance(after)
        sent = {"Authorization": f"Bearer {self.customer.token if token is None else token}", "User-Agent": "python/1"}
        sent |= headers or {}
        if body:
            sent["Content-Type"] = "application/json"
        environ = testing.environ(method, target, headers=sent, peer=peer, body=body)
        environ["wsgi.url_scheme"] = "https"
        return testing.run(self.app, environ).status

    def work(self, days, rng):
        """Days of an honest customer."""
        for _ in range(days):
            for _ in range(3):
                for call in self.customer.job(0.0, rng) + self.customer.browse(0.0, rng, 3):
                    self.ask(call.target, method=call.method, body=call.body, after=rng.uniform(5, 90))
            self.clock.advance(DAY - (self.clock.now() - BASE) % DAY + rng.uniform(0, 3600))

    def failures(self):
        return [event for event in self.events if isinstance(event, LayerFailed)]

    def scored(self):
        return [event for event in self.events if isinstance(event, SessionScored)]


@pytest.fixture(params=["memory", "local", "sqlite"])
def site(request, tmp_path):
    return Site(tmp_path, STORE=request.param)


def test_rotating_random_credentials_that_are_refused_leave_no_session(site):
    rng = random.Random(1)
    for _ in range(1_000):
        assert site.ask("/v1/models", token=f"{rng.getrandbits(200):x}", after=0.05) == 401

    assert site.scored() == []
    assert site.failures() == []


def test_a_busy_customer_is_still_known_after_ten_times_as_many_sessions_as_are_kept(site):
    rng = random.Random(2)
    site.work(8, rng)
    for number in range(1_000):
        site.accept(f"minted{number}", f"account-{number}")
        site.ask("/v1/models", token=f"minted{number}", after=0.3)
        if number % 50 == 0:
            site.ask("/v1/usage")
    before = len(site.scored())
    for number in range(12):  # a thief with a dozen networks: unusual only for who is known
        for _ in range(3):
            site.ask("/v1/usage", peer=f"{150 + number}.7.1.1", headers={"User-Agent": "curl/8"})
    mine = [event for event in site.scored()[before:] if event.account == site.customer.account]

    assert mine, "the customer's past was pushed out by strangers"
    assert max(event.score for event in mine) >= 100
    assert site.failures() == []


def token_of(claims, signature="s"):
    plain = [json.dumps(part).encode() for part in ({"alg": "x"}, claims)]
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in plain]
    return ".".join([*parts, signature])


def test_forged_claims_touch_nobody_elses_session(tmp_path):
    site = Site(tmp_path, STORE="memory", SESSION_IDENTITY="claim:sub")
    own = token_of({"sub": "victim"})
    site.customer.token = own
    site.accept(own, "victim")
    site.work(8, random.Random(3))
    before = len(site.scored())
    for number in range(40):
        forged = token_of({"sub": "victim"}, signature=f"forged{number}")
        assert site.ask(f"/v1/nothing{number}", token=forged, peer=f"{100 + number}.9.9.9") == 401

    assert [event for event in site.scored()[before:] if event.account == "victim"] == []
    site.ask("/v1/usage", token=own)
    assert [event.score for event in site.scored()[before:] if event.score >= 100] == []


HOSTILE_CLAIMS = {
    "no JSON": "a.bm90IGpzb24.c",
    "not base64": "a.%%%%.c",
    "deep": "a." + base64.urlsafe_b64encode(b"[" * 5_000).decode() + ".c",
    "a list": token_of(["sub"]),
    "an object as the claim": token_of({"sub": {"a": 1}}),
    "a claim of a megabyte digits": "a." + base64.urlsafe_b64encode(b'{"sub":' + b"9" * 6_000 + b"}").decode() + ".c",
    "dots": "." * 6_000,
    "surrogates": token_of({"sub": "\ud800"}),
}


@pytest.mark.parametrize("token", HOSTILE_CLAIMS.values(), ids=HOSTILE_CLAIMS)
def test_hostile_tokens_are_no_failure(tmp_path, token):
    assert len(HOSTILE_CLAIMS) == 8
    site = Site(tmp_path, STORE="memory", SESSION_IDENTITY="claim:sub")
    site.accept(token, "odd")

    assert site.ask("/v1/models", token=token) in (200, 401)
    assert site.ask("/v1/models", token=token) in (200, 401)
    assert site.failures() == []


JUMPS = {
    "a day back": [-DAY],
    "back to the epoch": [-BASE + 10],
    "ten years on": [3_650 * DAY],
    "ten years on and back": [3_650 * DAY, -3_650 * DAY],
    "to and fro": [DAY, -DAY, DAY, -DAY, 40 * DAY, -40 * DAY],
    "before 1970": [-BASE - 1_000],
    "beyond what a record holds": [2.0**33],
}


@pytest.mark.parametrize("jumps", [pytest.param(jumps, id=name) for name, jumps in JUMPS.items()])
def test_a_clock_that_jumps_is_no_failure_and_no_anomaly(site, jumps):
    assert len(JUMPS) == 7
    rng = random.Random(4)
    site.work(6, rng)
    for jump in jumps:
        site.clock.advance(jump)
        for call in site.customer.job(0.0, rng) + site.customer.browse(0.0, rng, 3):
            assert site.ask(call.target, method=call.method, body=call.body, after=10) in (200, 202, 404)

    assert site.failures() == []
    assert [event for event in site.scored() if event.score >= 100] == []


def hostile_targets():
    rng = random.Random(5)
    yield from (f"/v1/assets/{10**power}" for power in range(1, 60, 7))
    yield "/v1/" + "a/" * 3_000
    yield "/v1/assets/" + "9" * 7_000
    yield "/v1/assets/{}" + "{}" * 200
    yield "/v1/search?" + "&".join(f"id={number}" for number in range(1_000))
    yield "/v1/search?id=" + "9" * 7_000
    yield "/v1/search?" + "a" * 2_000 + "_id=1"
    yield "/v1/assets/%F0%9F%92%A5"
    yield "/v1/assets/%E0%A4%A"
    yield "/v1/assets/%ED%A0%80"
    yield "/v1/assets/-1"
    yield "/v1/assets/0x7fffffff"
    yield "/v1/assets/1e400"
    yield "/v1/assets/NaN"
    yield "/v1/assets/" + "-" * 5_000
    yield "/v1/assets/" + "a1_" * 2_000
    for _ in range(300):
        yield "/v1/" + "".join(rng.choice("abcdef0123456789{}-_.~%25;=") for _ in range(rng.randint(1, 300)))


def test_hostile_paths_are_no_failure_and_cost_no_more_than_their_length(site):
    targets = list(hostile_targets())
    assert len(targets) == 324
    for target in targets:
        site.ask(target)
        began = time.thread_time()
        site.ask(target)
        assert time.thread_time() - began < 0.1, target[:40]

    assert site.failures() == []


def test_each_hostile_request_is_answered_and_told(site):
    for target in hostile_targets():
        site.ask(target)
    finished = [event for event in site.events if isinstance(event, RequestFinished)]

    assert len(finished) == 324
    assert all(event.status < 500 for event in finished)


def test_a_thousand_routes_of_one_session_are_bounded_and_reported(site):
    site.work(6, random.Random(6))
    rng = random.Random(7)
    before = len(site.scored())
    for _ in range(1_000):
        word = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(6))
        site.ask(f"/v1/{word}", after=0.3)

    assert max(event.score for event in site.scored()[before:]) >= 100
    assert site.failures() == []


def test_agents_and_addresses_without_end_are_bounded(site):
    site.work(6, random.Random(8))
    before = len(site.scored())
    for number in range(1_000):
        agent = f"agent{number} {'x' * 500}"
        site.ask("/v1/usage", after=0.3, peer=f"{1 + number % 200}.{number % 251}.3.4", headers={"User-Agent": agent})

    assert max(event.score for event in site.scored()[before:]) >= 100
    assert site.failures() == []
