"""Simulated customers and attackers: the same by seed, within their ranges, and as they say they are."""

import random
from collections import Counter
from itertools import pairwise

import pytest

from benchmarks.session import places
from benchmarks.session.api import APIS, MEDIA, Service
from benchmarks.session.traffic import DAY, HABITS, Archetype, Attack, Customer, Day, Range, discover, poisson
from benchmarks.session.world import LEARNING_DAYS, PEACE_DAYS, World

BENIGN = discover("benign", Archetype)
ATTACKS = discover("attacks", Attack)


def made(kind, seed=1, *, api=MEDIA):
    service = Service(api, lambda: 0.0, outages=((30 * 3600.0, 36 * 3600.0),))
    rng = random.Random(seed)
    customer = Customer(0, service, rng)
    archetype = kind(customer, rng, "82.1.2.3")
    service.keys[customer.token] = (customer.account, archetype.first_day * DAY, 1_000 * DAY)
    return archetype


def history(archetype, days=range(21), seed="day"):
    outages = archetype.customer.service.outages
    return {
        number: archetype.day(Day(number, random.Random(f"{seed} {number}"), outages))
        for number in days
        if number >= archetype.first_day
    }


def test_eighteen_archetypes_and_eleven_kinds_of_attack_are_found_in_their_folders():
    assert len(BENIGN) == 18
    assert len(ATTACKS) == 11


@pytest.mark.parametrize("name", BENIGN)
def test_an_archetype_is_the_same_for_the_same_seed_and_another_for_another(name):
    first, same, other = (history(made(BENIGN[name], seed)) for seed in (3, 3, 4))

    assert first == same
    assert first != other


@pytest.mark.parametrize("name", [*BENIGN, *ATTACKS])
def test_what_is_drawn_lies_in_the_ranges_of_the_class_and_uses_them(name):
    kind = (BENIGN | ATTACKS)[name]
    drawn = []
    for seed in range(60):
        if name in BENIGN:
            drawn.append(made(kind, seed).chosen)
        else:
            victims = [made(BENIGN["batch_job"], seed) for _ in range(int(kind.keys.high))]
            drawn.append(kind(victims, random.Random(seed)).chosen)

    assert all(set(chosen) == set(kind.ranges) for chosen in drawn)
    for parameter, span in kind.ranges.items():
        values = [chosen[parameter] for chosen in drawn]
        assert all(span.low <= value <= span.high for value in values)
        if span.low < span.high:
            assert len(set(values)) > 1
            assert max(values) - min(values) > 0.4 * (span.high - span.low)


@pytest.mark.parametrize("name", BENIGN)
def test_an_archetype_is_active_carries_its_key_and_stays_in_its_time(name):
    archetype = made(BENIGN[name], 2)
    days = history(archetype)
    calls = [call for day in days.values() for call in day]

    assert len(calls) > 50
    assert all(call.attack == -1 and call.customer == 0 for call in calls)
    assert all(call.at >= number * DAY - 6 * 3600 for number, day in days.items() for call in day)
    assert all(call.at < (number + 2) * DAY for number, day in days.items() for call in day)


@pytest.mark.parametrize("api", APIS, ids=[api.name for api in APIS])
@pytest.mark.parametrize("name", BENIGN)
def test_most_of_what_an_archetype_asks_for_is_answered_with_success(name, api):
    archetype = made(BENIGN[name], 5, api=api)
    service = archetype.customer.service
    clock = [0.0]
    service.now = lambda: clock[0]
    calls = sorted((call for day in history(archetype).values() for call in day), key=lambda call: call.at)
    statuses = Counter()
    for call in calls:
        clock[0] = call.at
        statuses[answer(service, call)] += 1

    good = sum(count for status, count in statuses.items() if status < 300)
    floor = {"waiting_poller": 0.2, "interactive_developer": 0.8}.get(name, 0.95)
    assert good / len(calls) >= floor
    assert 405 not in statuses
    assert set(statuses) <= {200, 201, 202, 401, 404, 422, 503}


def answer(service, call):
    from bsguard import testing

    headers = {"Authorization": f"Bearer {call.token}"}
    if call.body:
        headers["Content-Type"] = "application/json"
    return testing.run(service, testing.environ(call.method, call.target, headers=headers, body=call.body)).status


HARD = {
    "pagination reads up to all its objects in one day, most of them upwards": (
        "pagination",
        lambda days: max(len(day) for day in days.values()) > 300,
    ),
    "a phone has many addresses in a day": (
        "mobile_client",
        lambda days: max(len({call.origin.address for call in day}) for day in days.values()) > 4,
    ),
    "every machine of a pipeline has a fresh address": (
        "ci_runners",
        lambda days: len({call.origin.address for day in days.values() for call in day}) > 40,
    ),
    "an office with one key has one address and many agents": (
        "shared_office_key",
        lambda days: (
            len({call.origin.address for day in days.values() for call in day}) == 1
            and len({call.origin.agent for day in days.values() for call in day}) >= 4
        ),
    ),
    "a poller is regular": (
        "polling_client",
        lambda days: all(70 <= len(day) <= 400 for day in days.values()),
    ),
    "streams stay open": (
        "streaming_client",
        lambda days: max(call.lasts for day in days.values() for call in day) > 20,
    ),
    "a rotated key is a new one": (
        "rotating_key",
        lambda days: len({call.token for day in days.values() for call in day}) >= 3,
    ),
    "a release brings new routes": (
        "deploying_service",
        lambda days: (
            not any("preview" in call.target for call in days[0]) and any("preview" in call.target for call in days[20])
        ),
    ),
    "a shop is busy at the weekend": (
        "seasonal_shop",
        lambda days: sum(len(days[number]) for number in (5, 6)) > 1.5 * sum(len(days[number]) for number in (1, 2)),
    ),
    "a growing customer grows": (
        "growing_customer",
        lambda days: sum(len(days[number]) for number in range(14, 19)) > 1.35 * sum(len(days[n]) for n in range(5)),
    ),
    "a new customer has no past": ("new_customer", lambda days: min(days) >= LEARNING_DAYS),
    "who waits for a result asks for it in vain first": (
        "waiting_poller",
        lambda days: any(sum("generations/" in call.target for call in day) > 8 for day in days.values()),
    ),
    "who retries sends more in an outage": (
        "retrying_worker",
        lambda days: (
            sum(call.target.endswith("estimates") for call in days[1])
            > sum(call.target.endswith("generations") for call in days[1])
        ),
    ),
}


def test_thirteen_hard_cases_are_checked():
    assert len(HARD) == 13


@pytest.mark.parametrize("case", HARD)
def test_hard_cases_are_in_the_traffic(case):
    name, holds = HARD[case]
    # A majority of drawn customers, for each has its own parameters.
    held = sum(holds(history(made(BENIGN[name], seed), seed=seed)) for seed in range(9))

    assert held >= 5, held


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_the_same_for_the_same_seed_and_uses_the_victims_keys_only(name):
    kind = ATTACKS[name]

    def calls(seed):
        victims = [made(BENIGN["batch_job"], place) for place in range(int(kind.keys.low))]
        for victim in victims:
            victim.customer.service.numbers = 5_000
        attack = kind(victims, random.Random(seed))
        tokens = {victim.customer.token for victim in victims}
        found = [attack.day(Day(12 + nth, random.Random(f"{seed} {nth}")), nth) for nth in range(attack.lasts)]
        assert {call.token for day in found for call in day} <= tokens
        assert any(found)
        return found

    assert calls(1) == calls(1)
    assert calls(1) != calls(2)


def attacked(name, seed=1):
    victims = [made(BENIGN["nightly_sync"], place) for place in range(int(ATTACKS[name].keys.low))]
    for victim in victims:
        victim.customer.service.numbers = 5_000
    attack = ATTACKS[name](victims, random.Random(seed))
    return attack, attack.day(Day(12, random.Random(seed)), 0)


def test_three_networks_are_three_and_none_is_the_owners():
    for seed in range(20):
        attack, calls = attacked("leaked_key_three", seed)
        networks = {call.origin.address.rpartition(".")[0] for call in calls}

        assert len(networks) == 3
        assert attack.customer.origin.address.rpartition(".")[0] not in networks


def test_a_run_counts_upwards_without_a_pause():
    attack, calls = attacked("id_run")
    numbers = [int(call.item) for call in sorted(calls, key=lambda call: call.at)]

    assert {later - earlier for earlier, later in pairwise(numbers)} == {attack.chosen["step"]}
    assert {call.origin for call in calls} == {attack.customer.origin}


@pytest.mark.parametrize("name", ["slow_enumeration", "wrong_order", "distributed"])
def test_quiet_attacks_get_nothing_but_success(name):
    for seed in range(10):
        attack, calls = attacked(name, seed)

        assert {answer(attack.customer.service, call) for call in calls} <= {200, 202} or name == "distributed"


def test_probing_finds_nothing():
    attack, calls = attacked("probing")
    statuses = Counter(answer(attack.customer.service, call) for call in calls)

    assert sum(count for status, count in statuses.items() if status in (403, 404, 405)) > 0.7 * len(calls)


def test_a_world_is_the_same_for_the_same_seed():
    one, two = (World.make(7, 60, 12, MEDIA, lambda: 0.0) for _ in range(2))

    assert one.splits == two.splits
    assert [one.calls(day) for day in range(12)] == [two.calls(day) for day in range(12)]


def test_a_world_attacks_test_keys_once_each_after_the_days_of_peace():
    world = World.make(3, 600, 21, MEDIA, lambda: 0.0)
    victims = [archetype.customer.place for plan in world.planned for archetype in plan.attack.victims]

    assert len(victims) == len(set(victims)) > 150
    assert {world.splits[victim] for victim in victims} == {"test"}
    assert all(plan.day >= PEACE_DAYS for plan in world.planned)
    assert len(Counter(plan.attack.name for plan in world.planned)) == len(ATTACKS)
    assert Counter(archetype.name for archetype in world.archetypes).keys() == BENIGN.keys()
    assert all(world.service.exists(number) is not None for number in (1, world.service.numbers))


def test_every_archetype_has_keys_in_every_split():
    world = World.make(3, 600, 21, MEDIA, lambda: 0.0)
    for name in BENIGN:
        splits = Counter(world.splits[place] for place, one in enumerate(world.archetypes) if one.name == name)

        assert set(splits) == {"train", "validation", "test"}, name
        assert splits["test"] >= splits["validation"] >= splits["train"]


def test_habits_differ_between_customers_and_lie_in_their_ranges():
    drawn = [Customer(0, Service(MEDIA, lambda: 0.0), random.Random(seed)).habits for seed in range(50)]

    for name, span in HABITS.items():
        assert all(span.low <= habits[name] <= span.high for habits in drawn)
        assert len({habits[name] for habits in drawn}) > 5


def test_rare_things_happen_as_often_as_they_should():
    for mean in (0.5, 4.0, 80.0):
        drawn = [poisson(random.Random(seed), mean) for seed in range(3_000)]

        assert sum(drawn) / len(drawn) == pytest.approx(mean, rel=0.08)


def test_whole_ends_give_whole_numbers():
    rng = random.Random(1)

    assert all(isinstance(Range(2, 9, log=log).draw(rng), int) for log in (False, True))
    assert isinstance(Range(2.0, 9.0).draw(rng), float)


def test_kinds_of_networks_do_not_overlap():
    rng = random.Random(1)
    firsts = [
        {draw(rng).partition(".")[0] for _ in range(500)}
        for draw in (places.office, places.server, places.proxy, places.Carrier.some(rng, 9).attach)
    ]

    assert not set.intersection(*firsts)
    assert len(set.union(*firsts)) == sum(len(first) for first in firsts)
