"""A client's conduct: the credentials it presents, the paths it looks for, and the ban that follows from them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from bsguard.core import codes
from bsguard.core.errors import StateUnusable
from bsguard.core.events import BanSet, StateDegraded
from bsguard.core.verdict import Finding
from bsguard.limiter.bans import client_subject
from bsguard.limiter.credentials import GUESSED, UNKNOWN, Credentials
from bsguard.limiter.probing import PROBED, Probing
from bsguard.limiter.step import REMEMBERED_CHARS_MAX, SECOND_US, Step, named
from bsguard.stores.port import Ban, Change, Counter, Rate

if TYPE_CHECKING:
    from bsguard.core.driver import ResponseHead
    from bsguard.core.events import Emit
    from bsguard.core.request import Request
    from bsguard.limiter.bans import BanBook
    from bsguard.limiter.config import LimiterConfig
    from bsguard.limiter.credentials import Presented
    from bsguard.limiter.step import Charge, Stance, Who
    from bsguard.stores.port import Keys, Store, Taken

    _Asked = tuple[tuple[Charge, ...], tuple[bytes, ...], tuple[Ban, ...]]

#: Bans in a row after which the next is no longer.
_LEVELS_MAX: Final = 20
#: Clients and credentials for which the questions are remembered.
_ASKED_MAX: Final = 1024

BANNED: Final = Finding(
    "limiter.ban.automatic", codes.BANNED, "the client is banned, because too many of its credentials were refused"
)


class Stances(NamedTuple):
    """For each rule about conduct: True when it enforces, False when it reports, None when it is switched off."""

    credentials: bool | None
    target: bool | None
    probing: bool | None
    ban: bool | None


class Watched(NamedTuple):
    """What was asked about a client's conduct in one request."""

    client: str
    presented: Presented | None
    #: Name of the probing counter; empty when probing is switched off.
    probing: str
    #: Whether a ban enforces; None when bans are switched off.
    ban_hard: bool | None
    #: Position of the mark for a ban that would be reported only; -1 where one would enforce, or nothing is asked.
    would_ban_at: int

    def excused(self, taken: Taken) -> bool:
        """Whether the credential is known, so that no ban concerns it."""
        return self.presented is not None and taken.marks[self.presented.known_at]

    def would_ban(self, taken: Taken) -> bool:
        """Whether a ban holds that is only reported."""
        return self.would_ban_at >= 0 and taken.marks[self.would_ban_at] and not self.excused(taken)


class Conduct:
    """Watches clients one by one."""

    def __init__(self, config: LimiterConfig, keys: Keys, bans: BanBook, emit: Emit) -> None:
        self._config = config
        self._keys = keys
        self._bans = bans
        self._emit = emit
        self._credentials = Credentials(config, keys)
        self._probing = Probing(config, keys)
        self._offences = _offences(config)
        self._said_unkept = False
        self._asked = lru_cache(maxsize=_ASKED_MAX)(self._ask)

    @staticmethod
    def stances(stance: Stance) -> Stances:
        """How the rules stand, each asked for by *stance*."""
        return Stances(*(stance(finding) for finding in (UNKNOWN, GUESSED, PROBED, BANNED)))

    def begin(self, who: Who, stances: Stances) -> tuple[Step, Watched]:
        """A step that asks the store about the client, and what to keep for its answer."""
        ask = self._asked if len(who.credential) <= REMEMBERED_CHARS_MAX else self._ask
        (charges, marks, bans), watched = ask(who, stances)
        return Step([*charges], [*marks], [*bans]), watched

    def _ask(self, who: Who, stances: Stances) -> tuple[_Asked, Watched]:
        """What is asked for one client and credential; always the same, so it is worked out once."""
        step = Step()
        presented = None
        if who.credential:
            hard, target_hard = stances.credentials, stances.target
            presented = self._credentials.plan(step, who, hard=hard, target_hard=target_hard)
        known = (presented.known_at,) if presented is not None else ()
        would_ban_at = -1
        if stances.ban:
            step.bans.append(Ban(ban_key(self._keys, who.client), known))
        elif stances.ban is not None:  # a ban would keep everything else from being counted
            would_ban_at = step.mark(ban_key(self._keys, who.client, hard=False))
        probing = self._probing.plan(step, who, known, hard=stances.probing)
        asked = (tuple(step.charges), tuple(step.marks), tuple(step.bans))
        return asked, Watched(who.client, presented, probing, stances.ban, would_ban_at)

    def observe(
        self,
        request: Request,
        response: ResponseHead,
        store: Store,
        watched: Watched,
        step: Step,
        taken: Taken,
        now: float,
    ) -> None:
        """Draw the consequences of the application's answer."""
        now_us = int(now * SECOND_US)
        presented = watched.presented
        refused = self._credentials.refused(request, response)
        if presented is not None and refused:
            full = self._credentials.fail(store, now_us, presented, step, taken)
            if full and watched.ban_hard is not None:
                self._ban(request, store, now, watched, hard=watched.ban_hard and presented.hard)
        elif presented is not None:
            accepted = self._credentials.accepted(request, response)
            self._credentials.give_back(store, now_us, presented, step, taken, accepted=accepted)
        if watched.probing and not watched.excused(taken) and self._probing.missed(response):
            self._probing.count(store, now_us, request, watched.probing, watched.client)

    def _ban(self, request: Request, store: Store, now: float, watched: Watched, *, hard: bool) -> None:
        """Ban the client, longer each time; only one of several workers that come to it at once does so."""
        base = self._config.ban_seconds
        counter = Counter(
            self._keys.counter(named("offences", hard=hard), watched.client),
            self._offences,
            soft=True,
            unless=(0,),
            mark=0,
            mark_us=base * SECOND_US,
        )
        taken = store.take(int(now * SECOND_US), (counter,), (_just_banned(self._keys, watched.client, hard=hard),))
        if taken.loads_us[0] < 0:
            return
        level = -(-taken.loads_us[0] // self._offences.emission_us)
        seconds = min(base * 2 ** (level - 1), self._config.ban_seconds_max)
        until_us = taken.now_us + seconds * SECOND_US
        store.ban(taken.now_us, ban_key(self._keys, watched.client, hard=hard), until_us)
        if hard:
            self._record(watched.client, now, seconds)
        action = "banned" if hard else "would_ban"
        self._emit(
            BanSet(
                time=now,
                request_id=request.id,
                subject=client_subject(watched.client),
                author="bsguard",
                reason=BANNED.reason,
                seconds=seconds,
                action=action,
            )
        )

    def _record(self, client: str, now: float, seconds: float) -> None:
        try:
            self._bans.record(client_subject(client), BANNED.reason, now, seconds)
        except StateUnusable as error:
            if not self._said_unkept:
                self._said_unkept = True
                lost = "automatic bans hold in the store only, and are not listed"
                self._emit(StateDegraded(time=now, part="overrides", lost=lost, reason=str(error)))


def lift(store: Store, keys: Keys, config: LimiterConfig, client: str, now: float) -> None:
    """Lift the automatic ban on *client*, and forget what led to it and to former ones.

    Otherwise the next mistyped credential would ban the client at once, and for twice as long.
    """
    now_us = int(now * SECOND_US)
    rate = config.credentials_rate.rate
    counters = {
        "credentials": rate,
        "failures": rate,
        "probing": config.probing_rate.rate,
        "offences": _offences(config),
    }
    changes = [Change(keys.counter(name, client), rate, -rate.capacity) for name, rate in counters.items()]
    store.settle(now_us, changes, [(_just_banned(keys, client), 0)])
    store.ban(now_us, ban_key(keys, client), 0)


def _offences(config: LimiterConfig) -> Rate:
    """A ban counts as a former one for as long as the longest would last."""
    return Rate(config.ban_seconds_max * SECOND_US, _LEVELS_MAX)


def ban_key(keys: Keys, client: str, *, hard: bool = True) -> bytes:
    """The key of the ban on a client."""
    return keys.ban(named(client_subject(client), hard=hard))


def _just_banned(keys: Keys, client: str, *, hard: bool = True) -> bytes:
    """The key of the mark that a client has just been banned."""
    return keys.mark(named("banned", hard=hard), client)
