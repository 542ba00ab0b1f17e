"""How a profile takes in requests, and what it learns from a day when that is over.

Sets of what is known (networks, agents, routes, transitions) grow at once, so that each new thing is new once; counts
and rates are learned at the end of a day. A day that was unusual teaches nothing: else whoever is patient would make
abuse the habit. What stays unusual for :data:`FROZEN_DAYS_MAX` days is the new habit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeVar

from bsguard.session.profile import (
    AGENTS_MAX,
    COLLECTIONS_MAX,
    FILTER_BITS,
    NETWORKS_MAX,
    ORDERS_MAX,
    RATES,
    RING_DAYS,
    RINGS,
    ROUTES_MAX,
    SKETCH_BITS,
    TRANSITIONS_MAX,
    Collection,
    Profile,
    linear_count,
    squeezed,
)
from bsguard.session.seen import AS_WRITTEN

if TYPE_CHECKING:
    from bsguard.session.population import Everybody
    from bsguard.session.seen import Seen

T = TypeVar("T")

DAY_SECONDS: Final = 86_400
#: Days in a row that may be unusual before they are taken for usual.
FROZEN_DAYS_MAX: Final = 14
#: Share of a rate that a day leaves: a month ago counts a third.
_DECAY: Final = 0.965
#: How much more than the most so far a day may teach; what grows faster is learned over several days.
_GROWTH_MAX: Final = squeezed(3.0)

#: Answers that there is nothing, or nothing for this client.
MISSES: Final = frozenset({403, 404, 405, 410})
#: Two requests from different networks so close together come from two clients, or from one that moves.
_FLIP_SECONDS: Final = 120.0
#: After so long a pause an operation follows nothing.
PAUSE_SECONDS: Final = 1800.0
#: How long before an operation another counts as its predecessor; Cloudflare's sequences look back as far.
PRECEDENCE_SECONDS: Final = 600.0
#: How many calls everybody's order weighs beside a session's own.
_OWN_WEIGHT: Final = 3.0
#: By how many digits a call may be more surprising than usual without adding to the disorder.
_SURPRISE_ALLOWED: Final = 0.6
#: Times that a pair is counted until older ones count less.
_TIMES_MAX: Final = 255
#: As how many calls those of one day count at most, and up to how many they are counted.
CALLS_A_DAY: Final = 8
_CALLS_MAX: Final = 60_000
#: How long what was called once at the beginning of a long run counts as having come before.
_RUN_SECONDS_MAX: Final = 4 * 3600.0
#: How often a session tells of the same operation in ten minutes: no single one makes its habits everybody's.
_SUCCESSIONS_MAX: Final = 5
#: How many days everybody's spread weighs beside a session's own.
_SPREAD_WEIGHT: Final = 5.0
#: The least spread of a logarithm: what rounds and chance make of any count.
_SPREAD_MIN: Final = 0.35
#: What is assumed of a collection that is new to a session: some objects on the first day, or some tens.
_COLLECTION_DAYS_MIN: Final = 2
_FIRST_MEAN: Final = math.log1p(4)
_FIRST_SPREAD: Final = 0.5
#: By how much a day may be above the mean without adding to the drift, and how large that becomes, in deviations.
_DRIFT_ALLOWED: Final = 0.75
_DRIFT_MAX: Final = 12.0
#: A number that is so little above the last is the next one.
_STEP_MAX: Final = 16


def take_in(profile: Profile, seen: Seen, everybody: Everybody, *, frozen: bool) -> None:
    """Add one request of this day. While *frozen*, nobody learns from it."""
    if not profile.created:
        profile.created = seen.time
    profile.total += 1
    profile.seen = max(profile.seen, seen.time)
    if seen.before == AS_WRITTEN:
        if seen.time >= profile.last:
            seen = seen._replace(before=profile.last_operation, before_time=profile.last)
        else:  # told of late, or the clock was set back: says as little about the order as a repeat
            seen = seen._replace(before=seen.operation, before_time=-math.inf)
    if seen.status >= 500 or seen.status in (0, 429):
        profile.errors += 1  # an outage makes clients repeat what they ask
        return
    _take_pace(profile, seen)
    _take_place(profile, seen)
    again = _take_route(profile, seen, everybody, frozen=frozen)
    if not (seen.object and _take_object(profile, seen, everybody, frozen=frozen)) and not again:
        _count(profile, seen)


def _count(profile: Profile, seen: Seen) -> None:
    """What counts for the volume: reading a long list from end to end, or waiting for something, is one thing."""
    profile.requests += 1
    hour = int(seen.time // 3600)
    if hour != profile.hour:
        profile.hour, profile.hour_requests = hour, 0
    profile.hour_requests += 1
    profile.peak = max(profile.peak, profile.hour_requests)


def _take_pace(profile: Profile, seen: Seen) -> None:
    gap = seen.time - profile.last
    if not 0 <= gap < PAUSE_SECONDS:
        profile.began = seen.time
    if profile.last and 0 <= gap < PAUSE_SECONDS:
        profile.gap_mean += (gap - profile.gap_mean) / 16
        profile.gap_square += (gap * gap - profile.gap_square) / 16
    if not 0 < profile.last - seen.time < PAUSE_SECONDS:  # by more, and the clock was set back
        profile.last, profile.last_operation = seen.time, seen.operation


def _take_place(profile: Profile, seen: Seen) -> None:
    """Network, agent, and moves between networks of which one is new."""
    today = day_byte(profile)
    network, agent = seen.network >> 8, seen.agent >> 8
    profile.networks_seen |= 1 << network % 64
    new_agent = _is_new(profile.agents, agent, AGENTS_MAX, today)
    profile.new_agents += new_agent
    if _is_new(profile.networks, network, NETWORKS_MAX, today):
        profile.new_networks += 1
        profile.clouds += seen.cloud
        profile.strangers += new_agent or profile.agents[agent] == today
    before = profile.last_network
    if before not in (0, network) and seen.before and seen.time - seen.before_time < _FLIP_SECONDS:
        known = profile.networks
        profile.flips += (known[network] == today) != (known.get(before, 0) == today)
    profile.last_network = network


def day_byte(profile: Profile) -> int:
    """The day, as sets keep it beside what they know: 1 to 255."""
    return profile.day % 255 + 1


def _take_route(profile: Profile, seen: Seen, everybody: Everybody, *, frozen: bool) -> bool:
    """Whether it is again a route that does not exist."""
    missed = seen.status in MISSES
    known = profile.routes.pop(seen.operation, None)
    if known is None and missed:
        bit = 1 << seen.operation % 64
        again = bool(profile.missed & bit)
        profile.missed |= bit
        return again
    tenth = int(seen.time // 600)
    if tenth != profile.tenth:
        profile.tenth = tenth
        for counts in profile.routes.values():
            counts[0] = 0
        if known is not None:
            known[0] = 0
    if known is None:
        known = [0, 0, 0, 0]
        profile.new_routes += 1
        _make_room(profile.routes, ROUTES_MAX)
    known[0] += 1
    known[1] = max(known[1], known[0])
    if seen.status < 400:  # what was refused has not been done: whoever writes a client errs about the order, too
        _take_order(profile, seen, known, everybody, frozen=frozen)
        if not frozen and known[0] <= _SUCCESSIONS_MAX:
            _tell_succession(profile, seen, known[2], everybody)
    known[2] = int(seen.time)
    profile.routes[seen.operation] = known
    return False


def _take_order(profile: Profile, seen: Seen, known: list[int], everybody: Everybody, *, frozen: bool) -> None:
    """What came right before, and how surprising that is; repeats of one operation are one.

    A surprise alone is nothing: several clients with one credential mix their calls. Many in a row are, beyond what is
    usual for the session: their sum, less what each may have (CUSUM; Page 1954).
    """
    if seen.before == seen.operation:
        return
    before = seen.before if 0 <= seen.time - seen.before_time < PAUSE_SECONDS else 0
    pair = pair_of(before, seen.operation)
    times = profile.transitions.pop(pair, 0)
    share = everybody.known.succession(before, seen.operation)
    digits = -math.log10((times + _OWN_WEIGHT * share) / (known[3] + _OWN_WEIGHT))
    if everybody.known.knows(before) and everybody.known.knows(seen.operation):
        profile.disorder = max(0.0, profile.disorder + digits - profile.surprise - _SURPRISE_ALLOWED)
        profile.disorder_most = max(profile.disorder_most, profile.disorder)
    if not frozen:
        profile.surprise += (digits - profile.surprise) / 128
        _make_room(profile.transitions, TRANSITIONS_MAX)
        profile.transitions[pair] = times + 1
        known[3] += 1
        if times + 1 >= _TIMES_MAX:
            _halve(profile)
        everybody.add_transition(before, seen.operation, pair, seen.label)
    elif times:
        profile.transitions[pair] = times
    _take_precedence(profile, seen, everybody)


def _take_precedence(profile: Profile, seen: Seen, everybody: Everybody) -> None:
    """Whether what mostly comes before the operation came some time before: mixed calls do not hide that."""
    since = max(min(seen.time - PRECEDENCE_SECONDS, profile.began), seen.time - _RUN_SECONDS_MAX)
    for before in everybody.known.precursors(seen.operation):
        pair = pair_of(before, seen.operation)
        order = profile.orders.pop(pair, None)
        if order is None:
            _make_room(profile.orders, ORDERS_MAX)
            order = [0, 0, 0, 0]
        counts = profile.routes.get(before)
        order[2] = min(order[2] + 1, _CALLS_MAX)
        order[3] = min(order[3] + (counts is None or counts[2] < since), order[2])
        profile.orders[pair] = order


def weighted(calls: int, without: int) -> tuple[float, float]:
    """Calls of one day and those without what comes before, as if they were few: those of one run are all alike."""
    weight = min(calls, CALLS_A_DAY) / calls if calls else 0.0
    return calls * weight, without * weight


def _halve(profile: Profile) -> None:
    """Let what was long ago count less, as one byte wants it."""
    profile.transitions = {pair: (times + 1) // 2 for pair, times in profile.transitions.items()}
    for counts in profile.routes.values():
        counts[3] //= 2


def _tell_succession(profile: Profile, seen: Seen, last: int, everybody: Everybody) -> None:
    """What all sessions did before an operation, for sequence rules to be proposed from."""
    since = seen.time - PRECEDENCE_SECONDS
    before = [one for one, counts in profile.routes.items() if counts[2] >= since]
    recent = seen.before if seen.before_time >= since else 0
    everybody.add_succession(seen.operation, before, recent, seen.time - last if last else math.inf)


def pair_of(before: int, operation: int) -> int:
    """24 bits for two operations in their order, never 0."""
    return (before * 0x9E3779B1 + operation * 0x85EBCA77 >> 7) & 0xFFFFFF or 1


def _take_object(profile: Profile, seen: Seen, everybody: Everybody, *, frozen: bool) -> bool:
    """Whether it is the next one in a list that is read from end to end, as far as the list goes."""
    collections = profile.collections
    one = collections.pop(seen.operation, None)
    if one is None:
        _make_room(collections, COLLECTIONS_MAX)
        one = Collection(seen.operation)
    collections[seen.operation] = one
    missing = seen.status in MISSES
    bit = 1 << seen.object % SKETCH_BITS
    filtered = 1 << (seen.object >> 9) % FILTER_BITS | 1 << (seen.object >> 20) % FILTER_BITS
    one.missing += missing and not one.seen & bit
    if seen.number >= 0:
        old = max(one.top, everybody.known.top(seen.operation, profile.day))
        one.fresh += seen.number < old and one.known & filtered != filtered
        if seen.status < 400:  # a number that was refused, as too large, is no object beside which others are old
            one.top = max(one.top, seen.number)
            if not frozen:
                everybody.add_top(seen.operation, profile.day, seen.number)
    one.seen |= bit
    one.known |= filtered
    stride = seen.number - one.last if min(seen.number, one.last) >= 0 else 0
    step = one.last >= 0 and 0 <= seen.number - one.last <= _STEP_MAX
    one.steps += step
    if stride:
        one.run = one.run + 1 if stride == one.stride else 0
        one.stride = stride
        one.longest = max(one.longest, one.run)
    one.last = seen.number
    return step and not missing


def _is_new(known: dict[int, int], thing: int, most: int, today: int) -> bool:
    """Whether *thing* is not among those *known*; it is from now on. The very first is no news, of any day."""
    new = bool(known) and thing not in known
    since = known.pop(thing, today if new else 0)
    _make_room(known, most)
    known[thing] = since
    return new


def _make_room(known: dict[int, T], most: int) -> None:
    """Let what was not seen for longest go."""
    while len(known) >= most:
        del known[next(iter(known))]


def begin_day(profile: Profile, day: int, everybody: Everybody, *, unusual: bool) -> None:
    """Learn from the day that is over, and begin another."""
    if profile.requests:
        profile.frozen = profile.frozen + 1 if unusual else 0
        if not unusual or profile.frozen > FROZEN_DAYS_MAX:
            _learn(profile, everybody)
    _forget_day(profile)
    profile.day = day


def succeeded(profile: Profile) -> Profile:
    """The profile as a key begins with it that takes the place of another: used to the same, nothing done yet."""
    _forget_day(profile)
    profile.created = profile.seen = 0.0
    profile.total = profile.frozen = 0
    return profile


def _forget_day(profile: Profile) -> None:
    profile.requests = profile.errors = profile.flips = profile.clouds = profile.strangers = 0
    profile.new_networks = profile.new_agents = profile.new_routes = 0
    profile.missed = profile.networks_seen = profile.hour_requests = profile.peak = 0
    profile.reported = profile.disorder_most = 0.0
    profile.scores = [0.0] * len(profile.scores)
    for counts in profile.routes.values():
        counts[0] = counts[1] = 0
    for order in profile.orders.values():
        order[2] = order[3] = 0
    for one in profile.collections.values():
        one.seen = one.steps = one.missing = one.fresh = one.run = one.longest = 0


def _learn(profile: Profile, everybody: Everybody) -> None:
    today = today_of(profile)
    everybody.learn(profile, today)
    for place, name in enumerate(RINGS):
        ring = profile.rings[place]
        value = squeezed(today[name])
        if len(ring) >= 3:
            value = min(value, max(ring) + _GROWTH_MAX)
        profile.rings[place] = (ring + bytes([value]))[-RING_DAYS:]
    profile.weight = profile.weight * _DECAY + 1
    for place, name in enumerate(RATES):
        profile.rates[place] = profile.rates[place] * _DECAY + today[f"new {name}"]
    for order in profile.orders.values():
        calls, without = weighted(order[2], order[3])
        order[0] = round(order[0] * _DECAY + calls * 16)
        order[1] = round(order[1] * _DECAY + without * 16)
    for one in profile.collections.values():
        if one.seen:
            _learn_collection(one, everybody.known.spread("objects"))
    profile.days += 1


def object_deviations(one: Collection, everybody: float) -> float:
    """By how many deviations there are more fresh objects today than usual."""
    value = math.log1p(one.fresh)
    if one.days < _COLLECTION_DAYS_MIN:
        return (value - _FIRST_MEAN) / _FIRST_SPREAD
    return (value - one.mean) / (spread_of(one.variance, one.days, everybody) * math.sqrt(1 + 1 / one.days))


def _learn_collection(one: Collection, everybody: float) -> None:
    value = math.log1p(one.fresh)
    drift = one.drift + object_deviations(one, everybody) - _DRIFT_ALLOWED
    one.drift = max(0.0, min(drift, _DRIFT_MAX))
    one.days = min(one.days + 1, 20)
    if one.days > 3:
        value = min(value, one.most + math.log(4))
    share = 1 / one.days
    distance = value - one.mean
    one.mean += distance * share
    one.variance = (1 - share) * (one.variance + share * distance * distance)
    one.most = max(value, one.most * 0.98)


def spread_of(variance: float, days: float, everybody: float) -> float:
    """A session's own spread, drawn towards everybody's while it is young."""
    drawn = (variance * days + everybody**2 * _SPREAD_WEIGHT) / (days + _SPREAD_WEIGHT)
    return max(math.sqrt(drawn), _SPREAD_MIN)


def today_of(profile: Profile) -> dict[str, float]:
    """What is compared and learned of this day."""
    collections = profile.collections.values()
    return {
        "requests": profile.requests,
        "peak": profile.peak,
        "objects": sum(one.objects for one in collections),
        "steps": sum(one.steps for one in collections),
        "disorder": profile.disorder_most * 10,
        "run": max((one.longest for one in collections), default=0),
        "missing": sum(one.missing for one in collections),
        "new networks": profile.new_networks,
        "new agents": profile.new_agents,
        "new routes": profile.new_routes,
        "new flips": profile.flips,
        "new strangers": profile.strangers,
        "new missed": linear_count(profile.missed, 64),
        "new missing": sum(one.missing for one in collections),
    }
