"""``RateLimit-Policy``, ``RateLimit`` (draft-ietf-httpapi-ratelimit-headers) and ``Retry-After`` (RFC 9110 §10.2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bsguard.limiter.step import SECOND_US

if TYPE_CHECKING:
    from bsguard.limiter.step import Charge, Step
    from bsguard.stores.port import Rate, Taken


def policy_of(name: str, rate: Rate) -> str:
    """The item of ``RateLimit-Policy`` for a limit."""
    return f'"{name}";q={rate.capacity};w={-(-rate.emission_us * rate.capacity // SECOND_US)}'


def quota_headers(step: Step, taken: Taken) -> tuple[tuple[str, str], ...]:
    """The limits that clients are told of, and what is left of them; empty when there are none.

    A refusal tells only of those that are full: no ``t`` may lie beyond its ``Retry-After``.
    """
    by_name = {
        charge.limit.name: (charge, taken.loads_us[position], position in taken.over)
        for position, charge in enumerate(step.charges)
        if charge.limit.policy and not charge.counter.soft and taken.loads_us[position] >= 0
    }
    if not by_name:
        return ()
    shown = by_name.values()
    policies = ("RateLimit-Policy", ", ".join([charge.limit.policy for charge, _, _ in shown]))
    told = [_state(*one) for one in shown if one[2]] if step.refused(taken) else [_state(*one) for one in shown]
    return (policies, ("RateLimit", ", ".join(told))) if told else (policies,)


def _state(charge: Charge, load_us: int, over: bool) -> str:
    """What is left, and in how many seconds there is more: all of it, or room for this request where there is none."""
    seconds = charge.wait_seconds(load_us) if over else -(-load_us // SECOND_US)
    return f'"{charge.limit.name}";r={0 if over else charge.limit.left(load_us)};t={seconds}'
