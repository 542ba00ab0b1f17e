"""What follows from a score: nothing but an event, or a session that is slowed down or denied for a while."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Final

from bsguard.core import codes
from bsguard.core.verdict import Finding
from bsguard.stores.port import Counter, Rate

if TYPE_CHECKING:
    from bsguard.session.config import Action, SessionConfig
    from bsguard.session.recorder import Scored
    from bsguard.stores.port import Keys, Store

_log = logging.getLogger("bsguard")

#: Score from which actions follow, whatever is reported below.
ANOMALY_POINTS: Final = 100.0

DENIED: Final = Finding("session.denied", codes.SESSION_DENIED, "the session's conduct is unusual, and it is denied")
THROTTLED: Final = Finding(
    "session.throttled", codes.SESSION_THROTTLED, "the session's conduct is unusual, and it is slowed down"
)
_DONE: Final = {"log": "logged", "throttle": "throttled", "deny": "denied", "revoke": "revoked"}
_WOULD: Final = {"log": "logged", "throttle": "would_throttle", "deny": "would_deny", "revoke": "would_revoke"}


class Actions:
    """Acts on sessions, and knows how to ask the store whether one is acted upon."""

    def __init__(self, config: SessionConfig, keys: Keys, store: Store, *, enforce: bool) -> None:
        self._actions = dict(config.actions)
        self._config = config
        self._keys = keys
        self._store = store
        self._enforce = enforce
        wanted = set(self._actions.values())
        #: Whether any signal ends in one or the other.
        self.throttles = "throttle" in wanted
        self.denies = not wanted.isdisjoint({"deny", "revoke"})
        self._rate = Rate(config.throttle_seconds * 1_000_000, 1)

    def act(self, one: Scored, now: float) -> str:
        """Do what the settings say about the strongest signal; the word for the event."""
        action: Action = self._actions.get(one.score.signal, "log")
        if one.score.total < max(ANOMALY_POINTS, self._config.score_min):
            return _DONE["log"]
        if not self._enforce:
            return _WOULD[action]
        for session in filter(None, (one.last.sessions[0], one.last.credential)):
            self._hold(session, action, now)
        if action == "revoke":
            self._revoke(one)
        return _DONE[action]

    def _hold(self, session: str, action: Action, now: float) -> None:
        now_us, lasting_us = int(now * 1_000_000), self._config.action_seconds * 1_000_000
        if action == "throttle":
            self._store.settle(now_us, (), [(self.throttled(session), lasting_us)])
        elif action in ("deny", "revoke"):
            self._store.ban(now_us, self.denied(session), now_us + lasting_us)

    def _revoke(self, one: Scored) -> None:
        """The application's own function may fail; the session is denied all the same."""
        if self._config.revoke is None:
            return
        try:
            self._config.revoke(one.last.sessions[0], one.last.account)
        except Exception:
            _log.exception("the function of BSGUARD_SESSION_REVOKE failed; the session is denied for a while only")

    def denied(self, session: str) -> bytes:
        """The key of the ban on a session."""
        return self._keys.ban(f"session {session}")

    def throttled(self, session: str) -> bytes:
        """The key of the mark on a session that is slowed down."""
        return self._keys.mark("session throttled", session)

    def slowed(self, session: str, now_us: int) -> Finding | None:
        """Charge a throttled session for one request; what is found when it comes too soon."""
        counter = Counter(self._keys.counter("session throttle", session), self._rate)
        taken = self._store.take(now_us, (counter,))
        if not taken.over:
            return None
        wait = max(1, -(-taken.loads_us[0] // 1_000_000))
        return dataclasses.replace(THROTTLED, headers=(("Retry-After", str(wait)),))


def release(store: Store, keys: Keys, session: str, now: float) -> None:
    """Let a session go on as if nothing had been found."""
    store.ban(int(now * 1_000_000), keys.ban(f"session {session}"), 0)
    store.settle(int(now * 1_000_000), (), [(keys.mark("session throttled", session), 0)])
