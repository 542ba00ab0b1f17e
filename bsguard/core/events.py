"""Events: one frozen dataclass per fact. Facts with keys, not sentences; no bodies, no credentials, no query.

An event is handed to ``emit``, a plain callable. Whatever it raises is swallowed and counted by the driver: reporting
never changes an answer. ``docs/reference/events.md`` is generated from this file.
It is longer than others because it is one list.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

_log = logging.getLogger("bsguard.events")

#: Longest text of a path, method or client in an event; the rest is cut.
TEXT_CHARS_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What every event has."""

    name: ClassVar[str] = "event"
    level: ClassVar[int] = logging.INFO
    #: Seconds since the epoch, UTC.
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEvent(Event):
    """What every event of a request has."""

    request_id: str
    #: Method and decoded path, cut to 200 characters, unprintable characters escaped.
    method: str
    path: str
    #: Client address; see ``BSGUARD_TRUSTED_PROXIES``.
    client: str
    #: Keyed hash of the Authorization header, 16 hexadecimal digits; empty without credentials.
    identity: str
    #: The account that the application named with ``bsguard.identify``; empty if it has not (yet).
    account: str
    #: Name of the surface; empty where none is declared.
    surface: str
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingEvent(RequestEvent):
    """What every event about a rule has."""

    layer: str
    #: Id of the rule; exceptions and rule modes name it.
    rule: str
    #: BSE code of the answer that the client got, or would have got.
    code: str
    #: Why, for the operator.
    reason: str
    #: What the guard did: ``denied``, ``would_deny``, ``challenged``, ``would_challenge``, ``logged`` or ``excepted``.
    action: str
    #: Microseconds that the guard had spent on the request so far.
    cost_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDenied(FindingEvent):
    """A request was refused and did not reach the application."""

    name: ClassVar[str] = "request.denied"
    level: ClassVar[int] = logging.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestWouldBeDenied(FindingEvent):
    """A request would have been refused, but the layer or the rule is in monitor mode."""

    name: ClassVar[str] = "request.would_be_denied"
    level: ClassVar[int] = logging.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLogged(FindingEvent):
    """A rule fired that only reports."""

    name: ClassVar[str] = "rule.logged"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleMatched(FindingEvent):
    """A rule of a rule set matched. It may only add to a score, and be one of many that a request is refused for."""

    name: ClassVar[str] = "rule.matched"
    #: What it matched on, such as ``ARGS:q``, at most five; a name with unusual characters as its shape.
    variables: tuple[str, ...]
    #: Where in the first of them, cut: every letter is an ``x``, every digit a ``0``.
    text: str
    #: What it added to the anomaly score.
    score: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyScored(RequestEvent):
    """The scores of all rules that matched a request are over the threshold."""

    name: ClassVar[str] = "anomaly.scored"
    layer: str
    #: The rule that compares the two.
    rule: str
    score: int
    threshold: int
    #: The rules that made the score, each with what it added; at most twenty.
    rules: tuple[str, ...]
    #: As in the event about the rule.
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleExcepted(FindingEvent):
    """A rule fired and an exception covered it."""

    name: ClassVar[str] = "rule.excepted"
    #: The comment of the exception.
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadersStripped(RequestEvent):
    """Headers that a client must not set were removed before the application."""

    name: ClassVar[str] = "headers.stripped"
    layer: str
    #: The environ keys, at most ten, as printable text.
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFailed(RequestEvent):
    """A layer raised an exception it should not have: a bug. The answer is the layer's failure policy."""

    name: ClassVar[str] = "layer.failed"
    level: ClassVar[int] = logging.ERROR
    layer: str
    #: Type of the exception and the innermost frames; never its message, which may hold submitted text.
    where: str
    #: ``denied`` or ``passed``.
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFinished(RequestEvent):
    """A request was answered, by the application or by the guard, to its last byte."""

    name: ClassVar[str] = "request.finished"
    level: ClassVar[int] = logging.DEBUG
    #: HTTP status; 0 if the application never started a response, 500 if it raised before.
    status: int
    #: The layer that refused it; empty when the application answered.
    refused_by: str
    #: Microseconds from the first layer to the end of the response.
    total_us: int
    #: Microseconds of these that the guard spent before the application was called.
    cost_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractViolated(RequestEvent):
    """A request broke the contract of an operation, in the ways that one rule is about."""

    name: ClassVar[str] = "operation.violated"
    #: Id of the operation, the template of its path, and the server's host; empty where any host is served.
    operation: str
    route: str
    host: str
    rule: str
    #: Place, name, pointer and schema keyword of each violation, at most ten; no values.
    violations: tuple[str, ...]
    #: Names of parameters that are not declared, as printable text, cut; for `BSGUARD_CONTRACT_PARAMETERS_IGNORED`.
    undeclared: tuple[str, ...]
    #: As in the event about the rule.
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginesDisagreed(RequestEvent):
    """The reference engine judged a sampled request in another way than the compiled plan did, and the plan counted."""

    name: ClassVar[str] = "operation.disagreed"
    operation: str
    route: str
    #: What each of them found; nothing means that it would let the request pass.
    plan: tuple[str, ...]
    reference: tuple[str, ...]
    #: As in the event about the rule.
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointUnknown(RequestEvent):
    """A request for something that no document describes, within the paths that documents describe: an anomaly."""

    name: ClassVar[str] = "endpoint.unknown"
    #: The path with everything that looks like an id replaced by ``{id}``.
    route: str
    #: As in the event about the rule.
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseViolated(Event):
    """An answer of the application was not as its document declares; see `BSGUARD_CONTRACT_RESPONSE_RATIO`."""

    name: ClassVar[str] = "response.violated"
    request_id: str
    operation: str
    route: str
    status: int
    #: Place, pointer and schema keyword of each violation, at most ten; no values.
    violations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseMatched(Event):
    """A rule matched an answer of the application, which was sent as it was; see `BSGUARD_MANAGED_RESPONSE`."""

    name: ClassVar[str] = "response.matched"
    request_id: str
    layer: str
    rule: str
    status: int
    reason: str
    #: As in ``rule.matched``.
    variables: tuple[str, ...]
    text: str
    score: int
    #: ``logged``, ``excepted``, or ``over_threshold`` for the rule that would have refused the answer.
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointObserved(Event):
    """The shape of a request that was answered with success, once for each shape; see `BSGUARD_CONTRACT_LEARN`."""

    name: ClassVar[str] = "endpoint.observed"
    method: str
    #: The path with everything that looks like an id replaced by ``{id}``.
    route: str
    #: Name and JSON type of each query parameter.
    query: tuple[str, ...]
    media_type: str
    #: A JSON schema of the body's names and types; empty where there was no JSON.
    body: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRecognised(Event):
    """Said once in each process, at its first request: the server, and what it hides."""

    name: ClassVar[str] = "server.recognised"
    server: str
    version: str
    blind_spots: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyUndeclared(Event):
    """Said once in each process: forwarding headers came from a near peer that is not a declared proxy."""

    name: ClassVar[str] = "proxy.undeclared"
    level: ClassVar[int] = logging.WARNING
    #: The peer's address.
    peer: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionScored(RequestEvent):
    """The conduct of a session is unusual, for its own past and for everybody's; see `BSGUARD_SESSION_SCORE_MIN`.

    Said of each session and day (UTC) when the score first reaches the setting, and again when it has grown.
    """

    name: ClassVar[str] = "session.scored"
    level: ClassVar[int] = logging.WARNING
    #: The session's id: a keyed hash, 16 hexadecimal digits, that `flask bsguard sessions show` takes.
    session: str
    #: How unusual, over all signals; 100 and more is an anomaly.
    score: float
    #: The score of each signal that says anything, largest first, such as ``leak 180``.
    signals: tuple[str, ...]
    #: What was seen on this day, with what is usual, such as ``new networks 3 (usual 0.1)``.
    facts: tuple[str, ...]
    #: What follows: ``logged``, ``throttled``, ``denied``, ``revoked``, or ``would_throttle`` … in monitor mode.
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BanSet(Event):
    """A client was banned, or would have been if the rule enforced."""

    name: ClassVar[str] = "ban.set"
    level: ClassVar[int] = logging.WARNING
    #: The request that was one too many; empty for a ban set by hand.
    request_id: str
    #: Whom: ``client 203.0.113.7``, ``network 203.0.113.0/24`` or ``identity …``.
    subject: str
    author: str
    reason: str
    #: For how long; 0 for good.
    seconds: int
    #: ``banned`` or ``would_ban``.
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BanLifted(Event):
    """A ban was deleted before it expired."""

    name: ClassVar[str] = "ban.lifted"
    subject: str
    author: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateDegraded(Event):
    """Said once: something cannot be stored, and what is lost by that."""

    name: ClassVar[str] = "state.degraded"
    level: ClassVar[int] = logging.WARNING
    #: What: ``state_dir``, ``events``, ``overrides``, ``secret``, ``store``.
    part: str
    lost: str
    #: Type of the error and what the operator can do.
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRecovered(Event):
    """What was said to be lost is there again."""

    name: ClassVar[str] = "state.recovered"
    #: What: ``store``.
    part: str
    #: Name of what is in use again.
    used: str


#: Where events go.
Emit = Callable[[Event], None]

#: Every kind of event, for the reference and for readers of stored events.
EVENTS: Final[tuple[type[Event], ...]] = (
    RequestDenied,
    RequestWouldBeDenied,
    RuleLogged,
    RuleMatched,
    RuleExcepted,
    AnomalyScored,
    HeadersStripped,
    LayerFailed,
    RequestFinished,
    ContractViolated,
    EnginesDisagreed,
    EndpointUnknown,
    EndpointObserved,
    ResponseViolated,
    SessionScored,
    ResponseMatched,
    ServerRecognised,
    ProxyUndeclared,
    BanSet,
    BanLifted,
    StateDegraded,
    StateRecovered,
)


class LogSink:
    """The default sink: one line to the logger ``bsguard.events``, the event itself in ``record.bsguard``."""

    __slots__ = ()

    def __call__(self, event: Event) -> None:
        """Log *event* at its level."""
        if _log.isEnabledFor(event.level):
            _log.log(event.level, "%s %s", event.name, _words(event), extra={"bsguard": event})

    def wants(self, kind: type[Event]) -> bool:
        """Whether the logger would take an event of *kind*."""
        return _log.isEnabledFor(kind.level)


class FanOut:
    """One sink that hands each event to several; one that raises does not rob the others."""

    __slots__ = ("_sinks",)

    def __init__(self, sinks: Iterable[Emit]) -> None:
        self._sinks = tuple(sinks)

    def __call__(self, event: Event) -> None:
        """Hand *event* on; raises the last failure when all have had it."""
        failure: Exception | None = None
        for sink in self._sinks:
            try:
                sink(event)
            except Exception as error:
                failure = error
        if failure is not None:
            raise failure

    def wants(self, kind: type[Event]) -> bool:
        """Whether any of them wants events of *kind*."""
        return any(wanted(sink, kind) for sink in self._sinks)


log_event: Final = LogSink()


def wanted(sink: Emit, kind: type[Event]) -> bool:
    """Whether *sink* wants events of *kind*. A plain callable wants all; one with a ``wants`` method says so itself.

    Asked only for the events that come with every request, so that nobody pays for what nobody keeps.
    """
    wants = getattr(sink, "wants", None)
    return wants is None or bool(wants(kind))


def as_mapping(event: Event) -> dict[str, object]:
    """The event as a flat mapping, ``event`` holding its name; for JSON lines and storage."""
    return {"event": event.name, **{f.name: getattr(event, f.name) for f in dataclasses.fields(event)}}


def printable(text: str) -> str:
    """*text* cut to :data:`TEXT_CHARS_MAX`, everything that is not printable escaped, so that it cannot forge lines."""
    cut = text[:TEXT_CHARS_MAX]
    return (
        cut
        if cut.isascii() and cut.isprintable()
        else "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in cut)
    )


def _words(event: Event) -> str:
    facts = ((f.name, getattr(event, f.name)) for f in dataclasses.fields(event) if f.name != "time")
    return " ".join(f"{name}={value!r}" for name, value in facts if value not in ("", ()))
