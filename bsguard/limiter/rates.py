"""The limits on how often and how many at once: the global one, and the rules of the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bsguard.core import codes
from bsguard.core.verdict import Finding
from bsguard.limiter.rules import GLOBAL, OWN_RULES
from bsguard.limiter.step import SECOND_US, Limit, named
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


class Rates:
    """Makes the counters of a request."""

    def __init__(self, config: LimiterConfig, keys: Keys) -> None:
        self._keys = keys
        finding = Finding("limiter.global", codes.RATE_LIMITED, "the client sends too many requests")
        self._global = Limit(GLOBAL, config.global_rate.rate, finding, shown=True) if config.defaults else None
        self._own = tuple((rule, tuple(_limits(rule))) for rule in config.rules)

    def plan(self, request: Request, step: Step, who: Who, stance: Stance) -> tuple[int, ...]:
        """Add the counters of *request* to *step*; the positions of those that count what is in flight."""
        in_flight: list[int] = []
        if self._global is not None and not who.exempt:
            self._count(request, step, self._global, ("ip", who.client), who, stance)
        for rule, limits in self._own:
            if (who.exempt and rule.key == "ip") or not rule.match(request):
                continue
            subject = self._subject(rule, request, who)
            for limit in limits:
                position = self._count(request, step, limit, subject, who, stance, rule.cost)
                if rule.concurrency and position >= 0:
                    in_flight.append(position)
        return tuple(in_flight)

    def _count(
        self,
        request: Request,
        step: Step,
        limit: Limit,
        subject: tuple[str, str],
        who: Who,
        stance: Stance,
        cost: int = 1,
    ) -> int:
        """Add one counter, and that of the site where it goes by address; its position, -1 when it is switched off."""
        kind, text = subject
        hard = stance(limit.finding, request)
        if hard is None:
            return -1
        nobody = who.nobody and kind == "ip"
        hard = hard and not nobody
        name = named(limit.name, hard=hard)
        position = step.charge(
            limit, Counter(self._keys.counter(name, f"{kind} {text}"), limit.rate, cost, not hard), nobody=nobody
        )
        if kind == "ip" and who.site:
            rate = site_rate(limit.rate, SITE_TIMES)
            key = self._keys.counter(name, f"site {who.site}")
            step.charge(limit._replace(rate=rate, shown=False), Counter(key, rate, cost, not hard), nobody=nobody)
        return position

    def _subject(self, rule: Rule, request: Request, who: Who) -> tuple[str, str]:
        """What *rule* counts by; the client's address where the request has nothing else, so that it is never empty."""
        if rule.key == "global":
            return "global", ""
        if rule.key == "identity" and who.credential:
            return "identity", who.credential
        if rule.key == "header" and (value := request.header(rule.header)):
            return "header", value
        return "ip", who.client


def site_rate(rate: Rate, times: int) -> Rate:
    """What a whole IPv6 site may do, when one network in it may do *rate*."""
    return Rate(max(1, rate.emission_us // times), rate.capacity * times)


def _limits(rule: Rule) -> Iterator[Limit]:
    action: Action = "deny" if rule.action == "block" else "log"
    if rule.concurrency:
        reason = f"too many requests at the same time for the rule {rule.name}"
        finding = Finding(OWN_RULES + rule.name, codes.TOO_MANY_AT_ONCE, reason, action)
        yield Limit(rule.name, Rate(rule.lapse_seconds * SECOND_US, rule.concurrency), finding, at_once=True)
    finding = Finding(OWN_RULES + rule.name, codes.RATE_LIMITED, f"too many requests for the rule {rule.name}", action)
    for name, quota in zip(rule.limits, rule.quotas, strict=False):
        yield Limit(name, quota.rate, finding, shown=rule.action == "block")
