"""The one place with effects: runs the phases of fused layers, acts on their verdicts, calls the application.

Order: every head phase, outermost layer first; then every body phase in the same order; then the application; then,
when the response is complete, every ``observe``. So a banned client or a bad header never costs a body read. The
driver that first sees a request owns it: it adds the request id to the response, reports the end and frees the body.
"""

from __future__ import annotations

import time
import weakref
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bsguard.core import codes
from bsguard.core.errors import BodyError
from bsguard.core.exchange import Exchange, missing
from bsguard.core.reporting import Reporter
from bsguard.core.request import Request
from bsguard.core.respond import refusal
from bsguard.core.verdict import ALLOW, Detail, Finding, Verdict, body_finding
from bsguard.core.wire import recognise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from bsguard.core.layer import Layer

    Phase = Callable[[Request], Verdict]

#: The request that the application is serving in this context, for :func:`bsguard.identify`.
current_request: ContextVar[Request | None] = ContextVar("bsguard.current_request", default=None)


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """What ``observe`` sees of the answer."""

    #: 0 if the application never started a response, 500 if it raised before it did.
    status: int
    headers: tuple[tuple[str, str], ...]
    #: The layer that refused the request; empty when the application answered.
    refused_by: str
    #: The body, where a layer asked for it and it was short enough; never that of a refusal.
    body: bytes | None = None


class Driver:
    """Drives *layers*, outermost first, in front of *app*."""

    def __init__(self, layers: tuple[Layer[Any], ...], app: WSGIApplication) -> None:
        self.layers = layers
        self.app = app
        self._settings = layers[0].settings
        active = [layer for layer in layers if layer.mode != "off"]
        self._head = tuple((layer, layer.inspect_head) for layer in active if layer.defines("inspect_head"))
        self._body = tuple((layer, layer.inspect_body) for layer in active if layer.defines("inspect_body"))
        self._keepers = tuple(layer for layer in active if layer.defines("response_bytes_kept"))
        self._observers = tuple(layer for layer in active if layer.defines("observe"))
        self._reporter = Reporter(layers[0].emit, layers[0].clock, self._settings)
        #: Who answers for a chunked body that breaks where no layer asked for it: the strictest there is.
        self._reader = next((layer for layer in active if layer.mode == "enforce"), next(iter(active), None))

    @classmethod
    def around(cls, layer: Layer[Any], app: WSGIApplication, inner: Driver | None) -> Driver:
        """The driver of *layer* in front of *app*; the layers of *inner* join, if they share settings."""
        if inner is not None and inner._settings == layer.settings:
            return cls((layer, *inner.layers), inner.app)
        return cls((layer,), app)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request as WSGI."""
        request, owner = Request.of(environ, self._settings)
        if owner:
            self._reporter.recognise_once(request)
        denial = self.judge(request) if self._reader is not None else None
        if owner:
            request.shared.cost_us = (time.perf_counter_ns() - request.shared.started_ns) // 1000
        if denial is not None:
            return self._refuse(request, denial, start_response, owner)
        request.body.rewind(environ)
        if not owner and not self._observers:
            return self.app(environ, start_response)
        return self._serve(request, start_response, owner)

    def judge(self, request: Request) -> Denial | None:
        """Run both phases; the denial, or None when the request may pass. Removes what verdicts say to remove."""
        for layer, inspect in self._head:
            try:
                verdict = inspect(request)
            except Exception as error:
                verdict = self._failed(layer, error, request)
            if verdict is not ALLOW and (denial := self._heed(layer, verdict, request)) is not None:
                return denial
        if request.streaming:
            return None
        unreadable = False
        for layer, inspect in self._body:
            try:
                verdict = inspect(request)
            except BodyError as error:
                verdict = _body_verdict(error, request)
            except Exception as error:
                verdict = self._failed(layer, error, request)
            if verdict is ALLOW:
                continue
            unreadable = unreadable or getattr(verdict, "unreadable", False)  # a layer with a bug returns anything
            if (denial := self._heed(layer, verdict, request)) is not None:
                return denial
        return self._drain(request) if request.body.chunked and not unreadable else None

    def _drain(self, request: Request) -> Denial | None:
        """Read a chunked body to its end: only there does a malformed one show."""
        try:
            request.body.load(self._settings.body_bytes_max)
        except BodyError as error:
            if self._reader is not None:
                return self._act(self._reader, _body_verdict(error, request), request)
        return None

    def _heed(self, layer: Layer[Any], verdict: Verdict, request: Request) -> Denial | None:
        """Act on a verdict; one that cannot be acted on is a bug of its layer."""
        try:
            return self._act(layer, verdict, request)
        except Exception as error:
            return self._act(layer, self._failed(layer, error, request), request)

    def _act(self, layer: Layer[Any], verdict: Verdict, request: Request) -> Denial | None:
        """Apply a verdict's edits, report its findings, and pick the one that refuses."""
        if verdict.remove:
            for key in verdict.remove:
                request.environ.pop(key, None)
            self._reporter.stripped(layer.name, verdict.remove, request, layer.emit)
        if verdict.respond:
            request.shared.respond += verdict.respond
        refusing: list[Finding] = []
        for finding in verdict.findings:
            ruling = layer.policy.rule_on(finding, request)
            if ruling.outcome == "refuse":
                refusing.append(finding)
            self._reporter.finding(layer.name, finding, ruling, request, layer.emit)
        if not refusing:
            return None
        return Denial(layer.name, refusing[0], tuple(one for finding in refusing for one in finding.details))

    def _failed(self, layer: Layer[Any], error: Exception, request: Request) -> Verdict:
        """A bug in a layer: report it, and answer by the layer's failure policy."""
        closed = layer.config.on_failure == "closed" and layer.mode == "enforce"
        self._reporter.layer_failed(layer.name, error, "denied" if closed else "passed", request, layer.emit)
        if not closed:
            return ALLOW
        return Verdict((Finding("guard.layer-failed", codes.GUARD_FAILED, f"the {layer.name} layer failed"),))

    def _refuse(self, request: Request, denial: Denial, start_response: StartResponse, owner: bool) -> Iterable[bytes]:
        request.shared.refused_by = denial.layer
        finding = denial.finding
        close = recognise(request.environ).honours_close
        status, headers, body = refusal(request, finding.code, finding.headers, denial.details, close=close)
        headers += missing(request.shared.respond, headers)
        start_response(status, headers)
        finish = self._finish_owned if owner else self._observe
        finish(request, finding.code.status, headers, None)
        return [body] if body else []

    def _serve(self, request: Request, start_response: StartResponse, owner: bool) -> Iterable[bytes]:
        """Call the application, and see the response to its end."""
        if owner:
            # An application may call a guarded application, itself even: when that is done, this one goes on. Weak,
            # so that a server that never closes its responses does not string up all requests there ever were.
            request.outer = weakref.ref(outer) if (outer := current_request.get()) is not None else None
            current_request.set(request)
        keep = max((self._wanted_bytes(layer, request) for layer in self._keepers), default=0)
        exchange = Exchange(request, start_response, owner, self._finish_owned if owner else self._observe, keep)
        try:
            chunks = self.app(request.environ, exchange.start)
        except BaseException:
            exchange.fail()
            raise
        return exchange.carry(chunks)

    def _wanted_bytes(self, layer: Layer[Any], request: Request) -> int:
        try:
            return layer.response_bytes_kept(request)
        except Exception as error:
            self._reporter.layer_failed(layer.name, error, "passed", request, layer.emit)
            return 0

    def _observe(self, request: Request, status: int, headers: list[tuple[str, str]], body: bytes | None) -> None:
        if self._observers:
            head = ResponseHead(status, tuple(headers), request.shared.refused_by, body)
            for layer in self._observers:
                try:
                    layer.observe(request, head)
                except Exception as error:
                    self._reporter.layer_failed(layer.name, error, "passed", request, layer.emit)

    def _finish_owned(self, request: Request, status: int, headers: list[tuple[str, str]], body: bytes | None) -> None:
        self._observe(request, status, headers, body)
        if current_request.get() is request:
            current_request.set(request.outer() if request.outer is not None else None)
        self._reporter.finished(request, status)
        request.close()


@dataclass(frozen=True, slots=True)
class Denial:
    """The finding that refuses a request, and the layer that made it."""

    layer: str
    finding: Finding
    #: The details of everything that refuses it, not only of the first.
    details: tuple[Detail, ...] = ()


def _body_verdict(error: BodyError, request: Request) -> Verdict:
    return Verdict((body_finding(error),), unreadable=request.body.failed)
