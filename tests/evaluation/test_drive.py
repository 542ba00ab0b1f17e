"""The session benchmark with detectors whose figures are known: perfect, random, and one that always says the same."""

import random
from dataclasses import replace
from types import SimpleNamespace

import pytest

from benchmarks.session.api import MEDIA, SHOP
from benchmarks.session.drive import play
from benchmarks.session.outcome import outcome
from benchmarks.session.report import alarms_table, as_json, highest_table, kinds_table, rates_table
from benchmarks.session.scorers import SessionScores, Static
from benchmarks.session.world import World
from bsguard.core.events import RequestFinished

RATE = 0.02


class Perfect:
    name = "perfect"

    def seen(self, call, day, status):
        return [(call.customer, (float(call.attack >= 0),))]


class Constant:
    name = "constant"

    def seen(self, call, day, status):
        return [(call.customer, (1.0,))]


class Random:
    """One number for each key and day, whatever happens in it."""

    name = "random"

    def __init__(self, seed):
        self.seed = seed

    def seen(self, call, day, status):
        return [(call.customer, (random.Random(f"{self.seed} {call.customer} {day}").random(),))]


class Silent:
    name = "silent"

    def seen(self, call, day, status):
        return []


@pytest.fixture(scope="module")
def worlds():
    played = []
    for seed, api in ((1, MEDIA), (2, SHOP)):
        scorers = [Perfect(), Constant(), Random(seed), Silent(), Static()]
        played.append(play(seed, 60, 13, api, scorers, config={"LAYERS": ["protocol"], "MODE": "enforce"}))
    return played


def test_a_perfect_detector_finds_every_attack_at_its_first_request_and_alarms_never(worlds):
    found = outcome(worlds, "perfect", RATE)

    assert sum(len(kind.peaks) for kind in found.kinds.values()) > 20
    assert {kind.recall for kind in found.kinds.values()} == {1.0}
    assert {tuple(kind.interval) for kind in found.kinds.values()} == {(1.0, 1.0)}
    assert {kind.requests for kind in found.kinds.values()} == {1}
    assert found.rates["test"] == found.rates["validation"] == 0.0
    assert not found.alarms


def test_a_threshold_that_is_given_stays_whatever_the_rate(worlds):
    found = outcome(worlds, "random", RATE, limit=0.5)

    assert found.threshold == 0.5
    assert found.rates["validation"] == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("scorer", ["constant", "silent"])
def test_a_detector_that_always_says_the_same_finds_nothing(worlds, scorer):
    found = outcome(worlds, scorer, RATE)

    assert {kind.recall for kind in found.kinds.values()} == {0.0}
    assert not any(peak.detected for kind in found.kinds.values() for peak in kind.peaks)
    assert found.rates["test"] == 0.0


def test_a_random_detector_finds_as_much_as_it_alarms(worlds):
    found = outcome(worlds, "random", RATE)
    attacks = [peak for kind in found.kinds.values() for peak in kind.peaks if kind.name not in MANY_DAYS]

    # An attack that goes on over midnight has two chances.
    assert sum(peak.detected for peak in attacks) / len(attacks) < 5 * RATE
    assert 0 < found.rates["validation"] <= RATE
    assert found.rates["test"] == pytest.approx(RATE, abs=0.015)
    assert found.test_interval.low < RATE < found.test_interval.high


#: Attacks that have several days or keys, and so several chances to be found by luck.
MANY_DAYS = {"slow_poisoning", "slow_enumeration", "distributed"}


def test_the_static_limit_finds_runs_and_no_leaks(worlds):
    found = outcome(worlds, "static", RATE)

    assert found.kinds["id_run"].recall > found.kinds["wrong_order"].recall
    assert found.rates["validation"] <= RATE
    assert found.key_days["validation"] > 150


def test_no_key_sets_the_threshold_and_is_scored_by_it(worlds):
    for played in worlds:
        victims = {victim for attack in played.attacks for victim in attack.victims}

        assert {played.splits[victim] for victim in victims} == {"test"}
    splits = list(worlds[0].splits)
    splits[worlds[0].attacks[0].victims[0]] = "validation"
    with pytest.raises(ValueError, match="no test key"):
        outcome([replace(worlds[0], splits=tuple(splits))], "static", RATE)


def test_days_of_an_attack_and_after_it_are_not_days_of_use(worlds):
    for played in worlds:
        world = World.make(played.seed, len(played.archetypes), played.days, MEDIA, lambda: 0.0)
        calls = [call for number in range(played.days) for call in world.calls(number)]
        began = {place: min(call.at for call in calls if call.attack == place) for place, *_ in played.attacks}
        days = {victim: began[attack.place] // 86_400 for attack in played.attacks for victim in attack.victims}

        assert all(day < days.get(customer, 99) for customer, day in played.honest)
        seen = {place for place, rises in played.seen["perfect"].attacks.items() if rises[-1].score == (1.0,)}
        assert seen == {attack.place for attack in played.attacks}
        assert not any(score == (1.0,) for score in played.seen["perfect"].days.values())


def test_all_of_http_happens(worlds):
    assert {200, 201, 202, 401, 404, 405, 422, 503} <= {status for played in worlds for status in played.statuses}
    for played in worlds:
        assert sum(played.statuses.values()) == played.requests


def test_worlds_happen_the_same_way_twice():
    one, two = (play(1, 20, 12, MEDIA, [Static()], config={"LAYERS": ["protocol"]}) for _ in range(2))

    assert one.seen == two.seen
    assert one.honest == two.honest
    assert one.statuses == two.statuses


def test_the_tables_hold_every_kind_every_archetype_and_both_scorers(worlds):
    random_one, static = (outcome(worlds, scorer, RATE) for scorer in ("random", "static"))
    kinds = kinds_table(random_one, static, random_one)
    alarms = alarms_table(random_one)
    written = as_json({"random": random_one, "static": static}, worlds, RATE)

    assert len(kinds) == 11
    assert len(alarms) == 18
    assert sum(row["alarms"] for row in alarms) == len(random_one.alarms) > 0
    assert [row["scorer"] for row in rates_table({"random": random_one, "static": static}, RATE)] == [
        "random",
        "static",
    ]
    assert written["scorers"].keys() == {"random", "static"}
    assert len(written["worlds"]) == 2
    highest = highest_table(random_one, [{}, {}])
    assert [row["score"] for row in highest] == sorted((row["score"] for row in highest), reverse=True)
    assert highest[0]["alarm"] == "yes"


def test_scores_are_taken_from_events_by_the_identity_of_the_key():
    scores = SessionScores()
    call = SimpleNamespace(customer=5)
    common = {"time": 0.0, "request_id": "", "method": "GET", "path": "/", "client": "", "account": "", "surface": ""}
    finished = RequestFinished(**common, identity="abc", region="", status=200, refused_by="", total_us=1, cost_us=1)
    scored = SimpleNamespace(name="session.scored", identity="abc", score=70, signals=("leak 70",))
    scores(scored)
    scores(SimpleNamespace(name="session.other", identity="abc"))
    scores(SimpleNamespace(name="limiter.scored", identity="abc", score=99))
    scores(finished)

    assert scores.seen(call, 0, 200) == [(5, (70.0,))]
    assert scores.seen(call, 0, 200) == ()
    assert scores.reasons == {(5, 0): (70.0, ("leak 70",))}
    assert scores.events == {"session.scored": 1, "session.other": 1}

    scores(scored)
    scores(RequestFinished(**common, identity="def", region="", status=200, refused_by="", total_us=1, cost_us=1))

    assert scores.seen(SimpleNamespace(customer=6), 0, 200) == [(5, (70.0,))]
