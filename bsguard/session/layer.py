"""The session layer: one call to the store before a request; what the request adds is written in batches after it."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from secrets import token_hex
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from bsguard.core.acceptance import Acceptance
from bsguard.core.errors import StateUnusable
from bsguard.core.events import SessionScored, StateDegraded, printable
from bsguard.core.layer import Layer
from bsguard.core.networks import parse_address
from bsguard.core.secrets import Secrets
from bsguard.core.verdict import ALLOW, Verdict
from bsguard.session.acting import DENIED, Actions
from bsguard.session.config import SessionConfig
from bsguard.session.identity import Identities, Who
from bsguard.session.recorder import Recorder, Scored
from bsguard.session.routes import number_of, route_of
from bsguard.session.rules import RULES, SIGNALS
from bsguard.session.seen import AS_WRITTEN, Seen
from bsguard.session.sequences import Sequences
from bsguard.stores.opening import open_alone
from bsguard.stores.port import Ban, Exchange, Keys

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from bsguard.core.driver import ResponseHead
    from bsguard.core.request import Request
    from bsguard.stores.port import Store

#: Bits of an operation in a trail; the rest is the time in eighths of a second.
_OPERATION_BITS: Final = 18
_OPERATION_MASK: Final = (1 << _OPERATION_BITS) - 1
_TIME_STEPS: Final = 8
#: The year 2105; 32 bits of seconds.
_TIME_MAX: Final = 4_290_000_000.0
_NETWORK_BITS: Final = {4: 16, 6: 32}
_AGENT_CHARS_MAX: Final = 200


class Kept(NamedTuple):
    """What the layer keeps of a request until its answer is complete."""

    who: Who
    time: float
    #: The template of the path, empty where nobody knows it.
    template: str
    #: The operation before, and when.
    before: int
    before_time: float


class Answered(NamedTuple):
    """A request that the application has accepted, until its batch is written."""

    kept: Kept
    sessions: tuple[str, ...]
    status: int
    account: str
    agent: str
    query: str
    #: Id, method, path, client, surface.
    request: tuple[str, str, str, str, str]


class Session(Layer[SessionConfig]):
    """Learns how each session is used, and reports or refuses what is unusual for it.

    *store* is where it keeps what it knows, which :func:`bsguard.guard` gives it. A layer by itself opens the one of
    the setting ``STORE``, by default one that all workers of this machine share, in the folder ``.bsguard``.
    """

    name: ClassVar[str] = "session"
    config_class = SessionConfig
    rules = RULES
    uses_store: ClassVar[bool] = True
    store: Store

    def __init__(self, app: WSGIApplication, config: Any = None, *, store: Store | None = None, **common: Any) -> None:
        self._given = store
        super().__init__(app, config, **common)

    def prepare(self) -> None:
        """Open the store, and derive the keys."""
        config = self.config
        if self._given is not None:
            self.store, secrets = self._given, self.settings.secret_keys or (token_hex(32),)
        else:
            self.store, secrets = open_alone(self.settings, self.clock, self.emit)
        self._keys = Keys(Secrets(secrets))
        self._hash_key = Secrets(secrets).derive("session")[0]
        self._identities = Identities(config.identity, secrets)
        self._acceptance = Acceptance(config.refused_statuses)
        self._sequences = Sequences(config.sequences, self._keys)
        self._actions = Actions(config, self._keys, self.store, enforce=self.mode == "enforce")
        self._recorder = Recorder(self.store, config.profiles_count_max, config.score_min, self._seen, self._report)
        self._hashed = lru_cache(maxsize=4096)(self._hash)
        self._session_keys = lru_cache(maxsize=4096)(self._keys_of)
        self._networks = lru_cache(maxsize=4096)(self._network)
        self._agents = lru_cache(maxsize=1024)(self._agent)
        self._said_unkept = False

    def inspect_head(self, request: Request) -> Verdict:
        """Whether the session is held back, and whether the call is in order: one step of the store."""
        who = self._who(request)
        session = who.sessions[0] if who.sessions else who.credential
        if not session:
            return ALLOW
        now, template = self._now(), request.shared.route
        self._sequences.update(self.overrides.active("sequence", now))
        trail, throttled, bans = self._session_keys(who)
        if not (self._sequences.rules or throttled or bans):  # nothing that the store says could matter
            request.memo[self] = Kept(who, now, template, AS_WRITTEN, 0.0)
            return ALLOW
        asked = self._sequences.ask(request, session)
        operation = self._operation(
            route_of(request.method, request.path, request.header("QUERY_STRING"), template).label
        )
        number = int(now * _TIME_STEPS) << _OPERATION_BITS | operation
        now_us = int(now * 1_000_000)
        marks = (*asked.marks, *throttled) if asked.marks else throttled
        taken = self.store.take(now_us, asked.counters, marks, bans, (Exchange(trail, number),))
        before = taken.before[0] if taken.before else 0
        when = (before >> _OPERATION_BITS) / _TIME_STEPS
        request.memo[self] = Kept(who, now, template, before & _OPERATION_MASK, when)
        if taken.banned_until_us:
            return Verdict((DENIED,))
        found = asked.broken(taken.marks, taken.over, taken.loads_us) if asked.marks or asked.counters else []
        if throttled and any(taken.marks[len(asked.marks) :]):
            slowed = self._actions.slowed(session, now_us)
            found += [slowed] if slowed is not None else []
        return Verdict(tuple(found)) if found else ALLOW

    def observe(self, request: Request, response: ResponseHead) -> None:
        """Add the request to its session, if the application accepted it."""
        kept: Kept | None = request.memo.pop(self, None)
        self._acceptance.refused(request, response)
        if not self._acceptance.accepted(request, response):
            return
        who = kept.who if kept is not None else self._who(request)
        sessions = (
            self._identities.account(request.shared.account or "") if self._identities.by_account else who.sessions
        )
        if not sessions:
            return
        now = self._now()
        if kept is None:
            kept = Kept(who, now, request.shared.route, AS_WRITTEN, 0.0)
        try:
            if 0 < response.status < 400:
                marks = self._sequences.done(request, sessions[0])
                if marks:
                    self.store.settle(int(now * 1_000_000), (), marks)
            placed = request.placement.surface
            self._recorder.add(
                Answered(
                    kept,
                    sessions,
                    response.status,
                    request.shared.account or "",
                    request.header("HTTP_USER_AGENT"),
                    request.header("QUERY_STRING"),
                    (
                        request.shared.id,
                        request.method,
                        request.path,
                        request.client.address,
                        placed.name if placed else "",
                    ),
                ),
                now,
            )
        except StateUnusable as error:
            if not self._said_unkept:
                self._said_unkept = True
                lost = "what sessions did meanwhile"
                self.emit(StateDegraded(time=now, part="store", lost=lost, reason=str(error)))

    def flush(self) -> None:
        """Write what this worker has not written yet."""
        self._recorder.flush()

    def _seen(self, answered: Answered) -> Seen:
        """What profiles take in; made when a batch is written, so that few requests wait for it."""
        kept, sessions, status, account, agent, query, request = answered
        who, time, template, before, before_time = kept
        _, method, path, client, _ = request
        label, found_object = route_of(method, path, query, template)
        network, cloud = self._networks(client)
        return Seen(
            time,
            sessions,
            who.credential,
            account,
            "" if self._identities.by_account else next(iter(self._identities.account(account)), ""),
            self._operation(label),
            label,
            self._hash(found_object) if found_object else 0,
            number_of(found_object) if found_object else -1,
            status,
            network,
            self._agents(agent[:_AGENT_CHARS_MAX]),
            cloud,
            before,
            before_time,
            request,
        )

    def _report(self, one: Scored) -> None:
        action = self._actions.act(one, self._now())
        seen = one.last
        request_id, method, path, client, surface = seen.request
        ranked = sorted(zip(one.score.points, SIGNALS, strict=True), reverse=True)
        self.emit(
            SessionScored(
                time=seen.time,
                request_id=request_id,
                method=printable(method),
                path=printable(path),
                client=client,
                identity=seen.credential or (seen.sessions[0] if self._identities.by_credential else ""),
                account=seen.account,
                surface=surface,
                region=self.settings.region,
                session=seen.sessions[0],
                score=round(one.score.total, 3),
                signals=tuple(f"{name} {points:.0f}" for points, name in ranked if points >= 1),
                facts=one.facts,
                action=action,
            )
        )

    def _who(self, request: Request) -> Who:
        return self._identities.of(request)

    def _now(self) -> float:
        """The time, within what profiles can hold: a clock may be set to anything."""
        return min(max(self.clock.now(), 0.0), _TIME_MAX)

    def _operation(self, label: str) -> int:
        """The number of an operation, as trails and profiles have it; never 0."""
        return self._hashed(label) & _OPERATION_MASK or 1

    def _keys_of(self, who: Who) -> tuple[bytes, tuple[bytes, ...], tuple[Ban, ...]]:
        """Trail, marks and bans of a session, and of the credential behind it; none that no action would set."""
        ids = [*who.sessions[:1], *([who.credential] if who.credential else [])]
        throttled = tuple(self._actions.throttled(one) for one in ids) if self._actions.throttles else ()
        denied = tuple(Ban(self._actions.denied(one)) for one in ids) if self._actions.denies else ()
        return self._keys.trail("session", ids[0]), throttled, denied

    def _network(self, address: str) -> tuple[int, bool]:
        """Hash of the network of *address*, wide enough for the moves of a telephone; whether it is a cloud's."""
        parsed = parse_address(address)
        if parsed is None:
            return self._hash(f"network {address[:64]}"), False
        bits = parsed.max_prefixlen - _NETWORK_BITS[parsed.version]
        return self._hash(f"network {parsed.version} {int(parsed) >> bits}"), parsed in self.config.cloud_networks

    def _agent(self, header: str) -> int:
        """Hash of the kind of an agent."""
        return self._hash("agent " + agent_of(header))

    def _hash(self, text: str) -> int:
        """32 bits of a keyed hash, never 0."""
        data = text.encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(data, digest_size=4, key=self._hash_key).digest(), "big") or 1


def agent_of(header: str) -> str:
    """The kind of an agent: its products without their versions, which change by themselves."""
    return " ".join(word.partition("/")[0] for word in header.split() if word[:1].isalpha())
