"""Guessing of credentials, bounded without ever refusing one that is known to be good.

A credential that the application has accepted from a client before is *known* there: nothing of this concerns it. Any
other is charged before the application sees it, once for all requests that carry it at the same time, and the charge
is given back unless the application refuses it. So guesses made in parallel cannot overshoot, and a charge whose
request never ended drains away like any other. What the application refuses is a failure, and enough failures ban the
client.

When a credential counts as accepted is said in :mod:`bsguard.core.acceptance`.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from bsguard.core import codes
from bsguard.core.acceptance import Acceptance
from bsguard.core.verdict import Finding
from bsguard.limiter.rates import times_as_much
from bsguard.limiter.step import SECOND_US, Limit, named
from bsguard.limiter.subjects import target_of
from bsguard.stores.port import Change, Counter

if TYPE_CHECKING:
    from bsguard.limiter.config import LimiterConfig
    from bsguard.limiter.step import Step, Who
    from bsguard.stores.port import Keys, Store, Taken

#: How long an accepted credential stays known after it was last seen.
KNOWN_DAYS: Final = 7
#: How long a credential that is being tried is charged only once: longer than servers let a request take.
TRIED_SECONDS: Final = 120
#: How many times as many an IPv6 site (/48) may try as one network (/64) in it.
SITE_TIMES: Final = 8

_KNOWN_US: Final = KNOWN_DAYS * 86_400 * SECOND_US
#: How often a process says again that a credential is known.
_AGAIN_SECONDS: Final = 3600.0
#: Credentials that a process remembers; then it begins anew.
_REMEMBERED_MAX: Final = 4096


UNKNOWN: Final = Finding(
    "limiter.credentials",
    codes.TOO_MANY_CREDENTIALS,
    "the client presents too many credentials that are not known",
)
GUESSED: Final = Finding(
    "limiter.target",
    codes.TOO_MANY_CREDENTIALS,
    "too many credentials that begin alike, or for one user, were refused",
)


class Presented(NamedTuple):
    """A credential in a request, and what the store is asked about it."""

    #: Keys of the marks: known from this client, known at all, being tried.
    known: bytes
    known_anywhere: bytes
    tried: bytes
    #: Position of the mark for *known*.
    known_at: int
    #: Positions of the counters that are charged in advance: the client's and its site's, then the target's.
    advance: tuple[int, ...]
    #: Position of the target's counter; -1 where there is none.
    target_at: int
    #: The counter of failures.
    failures: bytes
    #: Whether failures are counted to be enforced, and not just to be reported.
    hard: bool


class Credentials:
    """Makes the credential counters of a request, and settles them by its answer."""

    def __init__(self, config: LimiterConfig, keys: Keys) -> None:
        self._keys = keys
        self._acceptance = Acceptance(config.refused_statuses)
        #: Whether the application refused the credential of a request, and whether it took it for good.
        self.refused = self._acceptance.refused
        self.accepted = self._acceptance.accepted
        rate = config.credentials_rate.rate
        self._client = Limit("credentials", rate, UNKNOWN)
        self._site = Limit("credentials", times_as_much(rate, SITE_TIMES), UNKNOWN)
        self._target = Limit("target", config.target_rate.rate, GUESSED)
        #: When this process last said that a credential is known.
        self._said: dict[bytes, float] = {}

    def plan(self, step: Step, who: Who, *, hard: bool | None, target_hard: bool | None) -> Presented | None:
        """Add marks and counters of the credential to *step*, enforcing or not; None when the rule is switched off."""
        if hard is None:
            return None
        keys = self._keys
        place = f"{who.client}\0{who.credential}"
        known_key, anywhere_key = keys.mark("known", place), keys.mark("known", who.credential)
        tried_key = keys.mark(named("tried", hard=hard), place)
        known, anywhere, tried = step.mark(known_key), step.mark(anywhere_key), step.mark(tried_key)
        name = named("credentials", hard=hard)
        # Whichever of the counters is charged, the credential is being tried; the first of them says so.
        counter = Counter(
            keys.counter(name, who.client),
            self._client.rate,
            soft=not hard,
            unless=(known, tried),
            mark=tried,
            mark_us=TRIED_SECONDS * SECOND_US,
        )
        advance = [step.charge(self._client, counter)]
        if who.site:
            counter = Counter(keys.counter(name, who.site), self._site.rate, soft=not hard, unless=(known, tried))
            advance.append(step.charge(self._site, counter))
        target, target_at = target_of(who.credential), -1
        if target and target_hard is not None:
            key = keys.counter(named("target", hard=target_hard), target)
            counter = Counter(key, self._target.rate, soft=not target_hard, unless=(anywhere, tried))
            target_at = step.charge(self._target, counter)
            advance.append(target_at)
        failures = keys.counter(named("failures", hard=hard), who.client)
        return Presented(known_key, anywhere_key, tried_key, known, tuple(advance), target_at, failures, hard)

    def fail(self, store: Store, now_us: int, presented: Presented, step: Step, taken: Taken) -> bool:
        """Count a failure; whether it is the one that bans."""
        changes = [Change(presented.failures, self._client.rate, 1)]
        for position in presented.advance:
            counter = step.charges[position].counter
            if taken.loads_us[position] < 0:  # not charged in advance: it was known, or tried at the same time
                changes.append(Change(counter.key, counter.rate, 1))
        self._said.pop(presented.known, None)
        gone = [(presented.tried, 0), (presented.known, 0), (presented.known_anywhere, 0)]
        load = store.settle(now_us, changes, gone)[0]
        emission, capacity = self._client.rate
        return load > emission * (capacity - 1)

    def give_back(
        self, store: Store, now_us: int, presented: Presented, step: Step, taken: Taken, *, accepted: bool
    ) -> None:
        """Undo what was charged in advance, and remember a credential that was accepted.

        What was refused for its target has been tried all the same: a good credential would have passed, so that
        refusals which cost nothing would let a client try as many as it can send.
        """
        changes = step.given_back(taken, presented.advance)
        if presented.target_at in taken.over and not step.charges[presented.target_at].counter.soft:
            tried = [step.charges[at].counter for at in presented.advance if at not in taken.over]
            changes = [Change(counter.key, counter.rate, 1) for counter in tried]
        marks = [(presented.tried, 0)] if changes else []
        if accepted and self._to_say(presented.known, held=taken.marks[presented.known_at]):
            marks += [(presented.known, _KNOWN_US), (presented.known_anywhere, _KNOWN_US)]
        if changes or marks:
            store.settle(now_us, changes, marks)

    def _to_say(self, known: bytes, *, held: bool) -> bool:
        """Whether to say in the store that a credential is known: when it is not, and from time to time."""
        now = time.monotonic()
        if held and now - self._said.get(known, -math.inf) < _AGAIN_SECONDS:
            return False
        if len(self._said) >= _REMEMBERED_MAX:
            self._said.clear()
        self._said[known] = now
        return True
