"""The limits on how often and how many at once: the global one, and the rules of the settings."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from bsguard.core import codes
from bsguard.core.verdict import Finding
from bsguard.limiter.headers import policy_of
from bsguard.limiter.rules import GLOBAL, OWN_RULES
from bsguard.limiter.step import REMEMBERED_CHARS_MAX, SECOND_US, Charge, Limit, named
from bsguard.stores.port import Counter, Rate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bsguard.core.request import Request
    from bsguard.core.verdict import Action
    from bsguard.limiter.config import LimiterConfig
    from bsguard.limiter.rule import Rule
    from bsguard.limiter.step import Stance, Step, Who
    from bsguard.stores.port import Keys

#: How many times as much an IPv6 site (/48) may send as one network (/64) in it.
SITE_TIMES: Final = 16
#: How many times as much all known credentials at one address may send as one of them.
OFFICE_TIMES: Final = 16
#: Limits and clients for which the counters are remembered.
_CHARGES_MAX: Final = 4096

FLOODED: Final = Finding("limiter.global", codes.RATE_LIMITED, "the client sends too many requests")


class Subject(NamedTuple):
    """What is counted together."""

    kind: str
    text: str
    #: The IPv6 site that an address belongs to; empty for anything else.
    site: str = ""
    #: The address stands for everybody, so that its counters can only report.
    nobody: bool = False


class Rates:
    """Makes the counters of a request."""

    def __init__(self, config: LimiterConfig, keys: Keys) -> None:
        self._keys = keys
        rate = config.global_rate.rate
        self._global = Limit(GLOBAL, rate, FLOODED, policy_of(GLOBAL, rate)) if config.defaults else None
        self._office = Limit(GLOBAL, times_as_much(rate, OFFICE_TIMES), FLOODED)
        self._own = tuple((rule, tuple(_limits(rule))) for rule in config.rules)
        self._remembered = lru_cache(maxsize=_CHARGES_MAX)(self._charges_of)

    def plan(
        self, request: Request, step: Step, who: Who, stance: Stance, known: tuple[int, ...] = ()
    ) -> tuple[int, ...]:
        """Add the counters of *request* to *step*; the positions of those that count what is in flight.

        A credential whose mark at one of the positions *known* holds has a global limit of its own instead of that of
        its address, or an office behind one address would have as much as one person; all of them together have
        :data:`OFFICE_TIMES` as much, because an account may have any number. Any other is counted by the address as
        well, or whoever makes up credentials would have as many limits.
        """
        in_flight: list[int] = []
        if self._global is not None and not who.exempt:
            hard = stance(FLOODED)
            if hard is not None:
                if known:
                    step.charges += self._charges(self._global, Subject("identity", who.credential), 1, hard)
                    step.charges += self._charges(self._office, Subject("office", who.client), 1, hard)
                step.charges += self._charges(self._global, _address(who), 1, hard, known)
        for rule, limits in self._own:
            if not rule.match(request):
                continue
            hard = stance(limits[0].finding)
            subject = self._subject(rule, request, who)
            if hard is None or (who.exempt and subject.kind == "ip"):
                continue
            for limit in limits:
                before = len(step.charges)
                step.charges += self._charges(limit, subject, rule.cost, hard)
                if subject.kind == "identity" and known:
                    step.charges += self._charges(limit, _address(who), rule.cost, hard, known)
                if rule.concurrency:
                    in_flight += range(before, len(step.charges))
        return tuple(in_flight)

    def _charges(
        self, limit: Limit, subject: Subject, cost: int, hard: bool, unless: tuple[int, ...] = ()
    ) -> tuple[Charge, ...]:
        """The counters of *limit* for one subject; remembered, unless a client could fill the memory with it."""
        charges = self._remembered if len(subject.text) <= REMEMBERED_CHARS_MAX else self._charges_of
        return charges(limit, subject, cost, hard, unless)

    def _charges_of(
        self, limit: Limit, subject: Subject, cost: int, hard: bool, unless: tuple[int, ...] = ()
    ) -> tuple[Charge, ...]:
        """The counter of *limit* for one subject, and that of its site; always the same, so it is worked out once."""
        finding = dataclasses.replace(limit.finding, action="log") if subject.nobody else limit.finding
        hard = hard and finding.action != "log"
        name = named(limit.name, hard=hard)
        key = self._keys.counter(name, f"{subject.kind} {subject.text}")
        own = Charge(limit, Counter(key, limit.rate, cost, not hard, unless), finding)
        if not subject.site:
            return (own,)
        rate = times_as_much(limit.rate, SITE_TIMES)
        counter = Counter(self._keys.counter(name, f"site {subject.site}"), rate, cost, not hard, unless)
        return own, Charge(limit._replace(rate=rate, policy=""), counter, finding)

    def _subject(self, rule: Rule, request: Request, who: Who) -> Subject:
        """What *rule* counts by; the client's address where the request has nothing else, so that it is never empty."""
        if rule.key == "global":
            return Subject("global", "")
        if rule.key == "identity" and who.credential:
            return Subject("identity", who.credential)
        if rule.key == "header" and (value := request.header(rule.header)):
            return Subject("header", value)
        return _address(who)


def _address(who: Who) -> Subject:
    return Subject("ip", who.client, who.site, who.nobody)


def times_as_much(rate: Rate, times: int) -> Rate:
    """What many may do together, such as a whole IPv6 site, when one of them may do *rate*."""
    return Rate(max(1, rate.emission_us // times), rate.capacity * times)


def _limits(rule: Rule) -> Iterator[Limit]:
    action: Action = "deny" if rule.action == "block" else "log"
    if rule.concurrency:
        reason = f"too many requests at the same time for the rule {rule.name}"
        finding = Finding(OWN_RULES + rule.name, codes.TOO_MANY_AT_ONCE, reason, action)
        yield Limit(rule.name, Rate(rule.lapse_seconds * SECOND_US, rule.concurrency), finding, at_once=True)
    finding = Finding(OWN_RULES + rule.name, codes.RATE_LIMITED, f"too many requests for the rule {rule.name}", action)
    for name, quota in zip(rule.limits, rule.quotas, strict=False):
        yield Limit(name, quota.rate, finding, policy_of(name, quota.rate) if rule.action == "block" else "")
