"""What operators see of sessions, and how one is forgotten."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from bsguard.core.secrets import Secrets
from bsguard.session.acting import release
from bsguard.session.learning import today_of
from bsguard.session.population import Population
from bsguard.session.profile import RATES, RINGS, Profile
from bsguard.session.recorder import POPULATION_KEY, PROFILE, profile_key
from bsguard.session.rules import SIGNALS
from bsguard.stores.port import Keys, Write

if TYPE_CHECKING:
    from bsguard.stores.port import Store


def population_of(store: Store) -> Population:
    """What is usual for everybody."""
    return Population.unpack(store.records([POPULATION_KEY])[0].data)


def newest(store: Store, count: int) -> list[tuple[str, Profile]]:
    """Sessions and their profiles, those seen last first."""
    # Beside each new profile there may be the record of its account.
    found = [(key, record) for key, record in store.newest(2 * count + 1) if key[:1] == PROFILE]
    return [(key[1:].hex(), Profile.unpack(record.data)) for key, record in found[:count]]


def profile_of(store: Store, session: str) -> Profile | None:
    """The profile of one session; None when there is none."""
    (record,) = store.records([profile_key(session)])
    return Profile.unpack(record.data) if record.version else None


def forget(store: Store, secrets: tuple[str, ...], session: str, now: float) -> bool:
    """Forget a session, and let it go on if it was held back; whether there was a profile."""
    release(store, Keys(Secrets(secrets)), session, now)
    key = profile_key(session)
    for _ in range(3):  # a worker may be writing it
        (record,) = store.records([key])
        if not record.version:
            return False
        if store.keep(int(now * 1_000_000), [Write(key, record.version, b"")], 1 << 62)[0]:
            return True
    return False


def summary(session: str, profile: Profile) -> dict[str, Any]:
    """One line of a list."""
    return {
        "session": session,
        "seen": profile.seen,
        "days": profile.days,
        "requests": profile.requests,
        "usual_requests": usual(profile, "requests"),
        "score": round(max(profile.scores), 1),
        "signals": {
            name: round(points, 1) for name, points in zip(SIGNALS, profile.scores, strict=True) if points >= 1
        },
    }


def usual(profile: Profile, name: str) -> float | None:
    """The median of what the ring *name* remembers; None while there is nothing."""
    ring = sorted(profile.ring(name))
    return round(math.expm1(ring[len(ring) // 2]), 1) if ring else None


def details(session: str, profile: Profile, population: Population) -> dict[str, Any]:
    """Everything that is known of a session."""
    today = today_of(profile)
    labels = population.labels
    regular = None
    if profile.gap_mean > 0:
        deviation = math.sqrt(max(profile.gap_square - profile.gap_mean**2, 0.0))
        regular = {"seconds": round(profile.gap_mean, 2), "variation": round(deviation / profile.gap_mean, 2)}
    return summary(session, profile) | {
        "created": profile.created,
        "total": profile.total,
        "unusual_days": profile.frozen,
        "today": {name: round(today[name], 1) for name in RINGS} | {"errors": profile.errors},
        "usual": {name: usual(profile, name) for name in RINGS},
        "everybody": {name: round(population.rate(name), 2) for name in RATES},
        "new_today": {name: round(today[f"new {name}"], 1) for name in RATES},
        "new_usual": {
            name: round(rate / profile.weight, 2) if profile.weight else None
            for name, rate in zip(RATES, profile.rates, strict=True)
        },
        "networks": len(profile.networks),
        "agents": len(profile.agents),
        "transitions": len(profile.transitions),
        "pace": regular,
        "routes": [
            {"route": labels.get(operation, f"{operation:05x}"), "most_in_ten_minutes": most}
            for operation, (_, most, _, _) in reversed(profile.routes.items())
        ],
        "collections": [
            {
                "route": labels.get(one.route, f"{one.route:05x}"),
                "objects": round(one.objects),
                "usual_objects": round(math.expm1(one.mean), 1) if one.days else None,
                "steps": one.steps,
                "missing": one.missing,
            }
            for one in profile.collections.values()
        ],
    }
