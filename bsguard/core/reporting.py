"""Turns what happened to a request into events and hands them out; never raises, never changes an answer."""

from __future__ import annotations

import logging
import time
import traceback
from typing import TYPE_CHECKING, Any, Final

from bsguard.core import events
from bsguard.core.events import printable, wanted
from bsguard.core.wire import recognise

if TYPE_CHECKING:
    from bsguard.core.clock import Clock
    from bsguard.core.events import Emit, Event
    from bsguard.core.policy import Ruling
    from bsguard.core.request import Request
    from bsguard.core.settings import Settings
    from bsguard.core.verdict import Finding

_log = logging.getLogger("bsguard")

_FRAMES_MAX: Final = 4
_KEYS_MAX: Final = 10
_ACTIONS: Final = {
    ("refuse", "deny"): "denied",
    ("refuse", "challenge"): "challenged",
    ("report", "deny"): "would_deny",
    ("report", "challenge"): "would_challenge",
}


class Reporter:
    """Makes the events of one driver."""

    def __init__(self, emit: Emit, clock: Clock, settings: Settings) -> None:
        self._emit = emit
        self._clock = clock
        self._region = settings.region
        self._recognised = False
        self._proxy_said = False
        #: Events that a sink refused by raising.
        self.lost = 0

    def finding(self, layer: str, finding: Finding, ruling: Ruling, request: Request, emit: Emit) -> None:
        """One rule fired, and this became of it."""
        if ruling.outcome == "ignore":
            return
        common = self._facts(request)
        facts = common | {
            "layer": layer,
            "rule": finding.rule,
            "code": finding.code.id,
            "reason": finding.reason,
            "action": _ACTIONS.get((ruling.outcome, finding.action), "logged"),
            "cost_us": (time.perf_counter_ns() - request.shared.started_ns) // 1000,
        }
        note = finding.note
        if note is not None and ruling.outcome != "except":
            whole = issubclass(note.event, events.FindingEvent)
            noted = facts if whole else common | {"action": facts["action"]}
            self.send(note.event(**noted | dict(note.facts)), emit)
            if whole and ruling.outcome == "log":  # it says all that there is to say
                return
        if ruling.outcome == "except":
            self.send(events.RuleExcepted(**facts | {"action": "excepted", "comment": ruling.comment}), emit)
        elif ruling.outcome == "refuse":
            self.send(events.RequestDenied(**facts), emit)
        elif ruling.outcome == "report":
            self.send(events.RequestWouldBeDenied(**facts), emit)
        else:
            self.send(events.RuleLogged(**facts), emit)

    def stripped(self, layer: str, keys: tuple[str, ...], request: Request, emit: Emit) -> None:
        """Headers were removed."""
        shown = tuple(printable(key) for key in keys[:_KEYS_MAX])
        self.send(events.HeadersStripped(**self._facts(request) | {"layer": layer, "keys": shown}), emit)

    def layer_failed(self, layer: str, error: Exception, action: str, request: Request, emit: Emit) -> None:
        """A layer raised what it should not."""
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_MAX:]
        where = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
        facts = self._facts(request) | {"layer": layer, "where": f"{type(error).__name__} at {where}", "action": action}
        self.send(events.LayerFailed(**facts), emit)

    def finished(self, request: Request, status: int) -> None:
        """The response is complete."""
        if not self._wants_finished():
            return
        total_us = (time.perf_counter_ns() - request.shared.started_ns) // 1000
        facts = self._facts(request) | {
            "status": status,
            "refused_by": request.shared.refused_by,
            "total_us": total_us,
            "cost_us": request.shared.cost_us,
        }
        self.send(events.RequestFinished(**facts), self._emit)

    def _wants_finished(self) -> bool:
        try:
            return wanted(self._emit, events.RequestFinished)
        except Exception:
            return True  # the sink's own fault; sending says so

    def recognise_once(self, request: Request) -> None:
        """Say once in each process what the server hides, and that a proxy is undeclared."""
        if not self._recognised:
            self._recognised = True
            server = recognise(request.environ)
            said = events.ServerRecognised(
                time=self._clock.now(), server=server.name, version=server.version, blind_spots=server.blind_spots
            )
            self.send(said, self._emit)
        if not self._proxy_said and request.client.undeclared_proxy:
            self._proxy_said = True
            remedy = (
                "name the proxy's network in BSGUARD_TRUSTED_PROXIES; until then its word on HTTPS and clients is void"
            )
            said_proxy = events.ProxyUndeclared(time=self._clock.now(), peer=request.client.address, remedy=remedy)
            self.send(said_proxy, self._emit)

    def send(self, event: Event, emit: Emit) -> None:
        """Hand an event to a sink; a sink that raises costs the event, not the request."""
        try:
            emit(event)
        except Exception:
            self.lost += 1
            if self.lost == 1:
                _log.exception("an event sink raised; its events are lost, and this is said once")

    def _facts(self, request: Request) -> dict[str, Any]:
        placement = request.placement
        return {
            "time": self._clock.now(),
            "request_id": request.id,
            "method": printable(request.method),
            "path": printable(request.path),
            "client": request.client.address,
            "identity": request.identity,
            "account": request.shared.account or "",
            "surface": placement.surface.name if placement.surface else "",
            "region": self._region,
        }
