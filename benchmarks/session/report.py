"""The figures as tables and as JSON, the bars beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.session.traffic import Attack, discover

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.session.drive import Played
    from benchmarks.session.outcome import Outcome
    from benchmarks.session.scorers import Reasons
    from benchmarks.session.statistics import Interval


def kinds_table(outcome: Outcome, baseline: Outcome, shipped: Outcome | None = None) -> list[dict[str, Any]]:
    """One row for each kind of attack; *shipped* is the detector at the threshold that it comes with."""
    attacks = discover("attacks", Attack)
    rows = []
    for name, kind in outcome.kinds.items():
        other = baseline.kinds[name]
        bar = attacks[name].bar
        rows.append(
            {
                "attack": name,
                "n": len(kind.peaks),
                "recall": round(kind.recall, 3),
                "95 %": _interval(kind.interval),
                "bar": bar,
                "met": None if bar is None else _yes(kind.recall >= bar),
                baseline.scorer: round(other.recall, 3),
                f"{baseline.scorer} 95 %": _interval(other.interval),
                "apart": _yes(kind.interval.low > other.interval.high),
                "as shipped": None if shipped is None else round(shipped.kinds[name].recall, 3),
                "requests": kind.requests,
                "objects": kind.items,
                "missed": ", ".join(f"{victim} {count}" for victim, count in kind.missed().most_common(4)),
            }
        )
    return rows


def alarms_table(outcome: Outcome) -> list[dict[str, Any]]:
    """One row for each archetype: key-days, and alarms among them, validation and test keys together."""
    rows = []
    for name, days in sorted(outcome.days_by_archetype.items()):
        mine = [alarm for alarm in outcome.alarms if alarm.archetype == name]
        rows.append(
            {
                "archetype": name,
                "key-days": days,
                "alarms": len(mine),
                "of test keys": sum(alarm.split == "test" for alarm in mine),
                "a thousand": round(1_000 * len(mine) / days, 2),
                "highest": round(mine[0].score, 3) if mine else None,
            }
        )
    return rows


def highest_table(outcome: Outcome, reasons: Sequence[Reasons]) -> list[dict[str, Any]]:
    """One row for each of the highest honest key-days, with the signals that made it, by world."""
    return [
        {
            "archetype": alarm.archetype,
            "score": round(alarm.score, 1),
            "alarm": _yes(alarm.score > outcome.threshold),
            "split": alarm.split,
            "world": alarm.key.world,
            "customer": alarm.key.customer,
            "day": alarm.day,
            "signals": ", ".join(reasons[alarm.key.world].get((alarm.key.customer, alarm.day), (0.0, ()))[1]),
        }
        for alarm in outcome.highest
    ]


def rates_table(outcomes: Mapping[str, Outcome], rate: float) -> list[dict[str, Any]]:
    """One row for each scorer: what the threshold was set at, and what it came to on other keys."""
    return [
        {
            "scorer": name,
            "threshold": round(outcome.threshold, 4),
            "wanted %": rate * 100,
            "validation %": round(outcome.rates["validation"] * 100, 3),
            "validation key-days": outcome.key_days["validation"],
            "test %": round(outcome.rates["test"] * 100, 3),
            "test 95 %": _interval(outcome.test_interval, 100),
            "test key-days": outcome.key_days["test"],
            "bar %": 0.1,
            "met": _yes(outcome.rates["test"] <= 0.001),
        }
        for name, outcome in outcomes.items()
    ]


def as_json(outcomes: Mapping[str, Outcome], worlds: Sequence[Played], rate: float) -> dict[str, Any]:
    """Everything that the tables say, every alarm and every attack."""
    return {
        "rate": rate,
        "worlds": [
            {
                "seed": played.seed,
                "api": played.api,
                "keys": len(played.archetypes),
                "days": played.days,
                "requests": played.requests,
                "statuses": played.statuses,
            }
            for played in worlds
        ],
        "scorers": {
            name: {
                "threshold": outcome.threshold,
                "key_days": outcome.key_days,
                "false_alarm_rates": outcome.rates,
                "test_interval": outcome.test_interval,
                "alarms": [alarm._asdict() for alarm in outcome.alarms],
                "kinds": {
                    kind.name: {
                        "recall": kind.recall,
                        "interval": kind.interval,
                        "requests": kind.requests,
                        "objects": kind.items,
                        "attacks": [peak._asdict() for peak in kind.peaks],
                    }
                    for kind in outcome.kinds.values()
                },
            }
            for name, outcome in outcomes.items()
        },
    }


def _interval(interval: Interval, times: float = 1.0) -> str:
    return f"{interval.low * times:.2f}-{interval.high * times:.2f}"


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"
