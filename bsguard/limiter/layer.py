"""The limiter layer: one call to the store before a request, and another after it when its answer has consequences."""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from bsguard.core import codes
from bsguard.core.events import StateDegraded
from bsguard.core.grammar import environ_key
from bsguard.core.layer import Layer
from bsguard.core.networks import parse_address
from bsguard.core.secrets import Secrets
from bsguard.core.verdict import ALLOW, Finding, Verdict
from bsguard.limiter.bans import BanBook, client_subject
from bsguard.limiter.conduct import BANNED, Conduct
from bsguard.limiter.config import LimiterConfig
from bsguard.limiter.headers import quota_headers
from bsguard.limiter.rates import Rates
from bsguard.limiter.rules import RULES
from bsguard.limiter.step import SECOND_US, Step, Who
from bsguard.limiter.subjects import credential_of, site_of, unplaceable
from bsguard.stores.opening import open_alone
from bsguard.stores.port import Keys

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from bsguard.core.driver import ResponseHead
    from bsguard.core.policy import Outcome
    from bsguard.core.request import Request
    from bsguard.limiter.conduct import Watched
    from bsguard.stores.port import Store, Taken


class Kept(NamedTuple):
    """What the layer keeps of a request until its answer is complete."""

    step: Step
    taken: Taken
    #: Positions of the counters of what is in flight.
    in_flight: tuple[int, ...]
    watched: Watched | None
    #: When it came, in seconds.
    since: float


class Limiter(Layer[LimiterConfig]):
    """Refuses what comes too often, and bans clients whose credentials the application keeps refusing.

    *store* is where it counts, which :func:`bsguard.guard` gives it. A layer by itself opens the one of the setting
    ``STORE``, by default one that all workers of this machine share, in the folder ``.bsguard``.
    """

    name: ClassVar[str] = "limiter"
    config_class = LimiterConfig
    rules = RULES
    uses_store: ClassVar[bool] = True
    store: Store

    def __init__(self, app: WSGIApplication, config: Any = None, *, store: Store | None = None, **common: Any) -> None:
        self._given = store
        super().__init__(app, config, **common)

    def prepare(self) -> None:
        """Limits and their findings are made once."""
        config = self.config
        if self._given is not None:
            self.store, secrets = self._given, self.settings.secret_keys or (token_hex(32),)
        else:
            self.store, secrets = open_alone(self.settings, self.clock, self.emit)
        keys = Keys(Secrets(secrets))
        self._bans = BanBook(self.overrides)
        self._rates = Rates(config, keys)
        self._conduct = Conduct(config, keys, self._bans, self.emit)
        self._credential_keys = tuple(environ_key(name) for name in config.credential_headers)
        self._said_alone = False
        self._usual = self._conduct.stances(self._without_exceptions)

    def inspect_head(self, request: Request) -> Verdict:
        """All limits and bans of the request, in one step."""
        now = self.clock.now()
        self._say_if_alone(request, now)
        who = self._who(request)
        stance = partial(self._stance, request) if self.policy.excepts() else self._without_exceptions
        entry = None if who.exempt else self._bans.entry_for(request, now)
        found: list[Finding] = []
        if entry is not None and not entry.automatic:
            found.append(Finding("limiter.ban.manual", codes.BLOCKED, f"banned by hand, entry {entry.override.id}"))
            if stance(found[0]):
                return Verdict(tuple(found))
        automatic = (entry.override.expires or math.inf) if entry is not None and entry.automatic else 0.0
        subject = client_subject(who.client)
        if who.watched and not who.credential and stance(BANNED):
            until = automatic or self._bans.recent(subject, now)
            if until:
                return Verdict((*found, _banned(until - now)))
        step, watched = Step(), None
        if who.watched:
            stances = self._usual if stance == self._without_exceptions else self._conduct.stances(stance)
            step, watched = self._conduct.begin(who, stances)
        known = (watched.presented.known_at,) if watched is not None and watched.presented is not None else ()
        in_flight = self._rates.plan(request, step, who, stance, known)
        if not step.charges and not step.bans:
            return Verdict(tuple(found)) if found else ALLOW
        counters = [charge.counter for charge in step.charges]
        taken = self.store.take(int(now * SECOND_US), counters, step.marks, step.bans)
        request.memo[self] = Kept(step, taken, in_flight, watched, now)
        if taken.banned_until_us:
            self._bans.remember(subject, taken.banned_until_us / SECOND_US, now)
            return Verdict((*found, _banned((taken.banned_until_us - taken.now_us) / SECOND_US)))
        if watched is not None and watched.would_ban(taken):
            found.append(BANNED)
        elif automatic and watched is not None and not watched.excused(taken):
            found.append(_banned(automatic - now))  # the store has lost it, the table has not
        return self._verdict(found, step, taken)

    def observe(self, request: Request, response: ResponseHead) -> None:
        """Give places back, and draw the consequences of the application's answer."""
        kept: Kept | None = request.memo.pop(self, None)
        if kept is None:
            return
        now = self.clock.now()
        back = kept.step.places_back(kept.taken, kept.in_flight, int((now - kept.since) * SECOND_US))
        if back:
            self.store.settle(int(now * SECOND_US), back)
        if kept.watched is not None and not kept.taken.banned_until_us:
            self._conduct.observe(request, response, self.store, kept.watched, kept.step, kept.taken, now)

    def _who(self, request: Request) -> Who:
        client = request.client
        exempt = bool(self.config.exempt_networks) and parse_address(client.address) in self.config.exempt_networks
        nobody = unplaceable(request)
        return Who(
            client=client.key,
            site=site_of(client.address) if ":" in client.address else "",
            credential=credential_of(request, self._credential_keys),
            exempt=exempt,
            nobody=nobody,
            watched=self.config.defaults and not (exempt or nobody or client.local),
        )

    def _stance(self, request: Request, finding: Finding) -> bool | None:
        """Whether *finding* would refuse *request*; None when its rule is switched off."""
        return _stance_of(self.policy.rule_on(finding, request).outcome)

    def _without_exceptions(self, finding: Finding) -> bool | None:
        """The same for any request, where there are no exceptions."""
        outcomes = self.policy.outcomes
        return _stance_of(outcomes.get(finding.rule, outcomes[""]))

    def _verdict(self, found: list[Finding], step: Step, taken: Taken) -> Verdict:
        """What is over its limit, and the headers that say what is left."""
        headers = quota_headers(step, taken) if self.config.headers else ()
        over = [(step.charges[position], taken.loads_us[position]) for position in taken.over]
        waits = [charge.wait_seconds(load) for charge, load in over if not charge.counter.soft]
        wait = (("Retry-After", str(max(waits))),) if waits else ()
        found += [dataclasses.replace(charge.finding, headers=wait) for charge, _ in over]
        return Verdict(tuple(found), respond=headers) if found or headers else ALLOW

    def _say_if_alone(self, request: Request, now: float) -> None:
        """Say once when several workers each count for themselves."""
        if self._said_alone or self.store.reach != "process":
            return
        if request.environ.get("wsgi.multiprocess"):
            self._said_alone = True
            lost = "every worker counts for itself, so clients may send the limit times the number of workers"
            remedy = 'the store is "memory"; set BSGUARD_STORE to "local", or give the layer a store'
            self.emit(StateDegraded(time=now, part="store", lost=lost, reason=remedy))


def _stance_of(outcome: Outcome) -> bool | None:
    return None if outcome == "ignore" else outcome == "refuse"


def _banned(seconds: float) -> Finding:
    """The finding for a ban that holds *seconds* more."""
    wait = () if math.isinf(seconds) else (("Retry-After", str(max(1, math.ceil(seconds)))),)
    return dataclasses.replace(BANNED, headers=wait)
