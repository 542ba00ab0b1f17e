"""The one place with effects: runs the phases of fused layers, acts on their verdicts, calls the application.

Order: every head phase, outermost layer first; then every body phase in the same order; then the application; then,
when the response is complete, every ``observe``. So a banned client or a bad header never costs a body read. The
driver that first sees a request owns it: it adds the request id to the response, reports the end and frees the body.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bsguard.core import codes
from bsguard.core.errors import BodyError
from bsguard.core.reporting import Reporter
from bsguard.core.request import ENVIRON_KEY, Request
from bsguard.core.respond import refusal
from bsguard.core.verdict import ALLOW, Finding, Verdict
from bsguard.core.wire import recognise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from bsguard.core.layer import Layer

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
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


class Driver:
    """Drives *layers*, outermost first, in front of *app*."""

    def __init__(self, layers: tuple[Layer[Any], ...], app: WSGIApplication) -> None:
        self.layers = layers
        self.app = app
        self._settings = layers[0].settings
        active = [layer for layer in layers if layer.mode != "off"]
        self._head = tuple((layer, layer.inspect_head) for layer in active if layer.defines("inspect_head"))
        self._body = tuple((layer, layer.inspect_body) for layer in active if layer.defines("inspect_body"))
        self._observers = tuple(layer for layer in active if layer.defines("observe"))
        self._reporter = Reporter(layers[0].emit, layers[0].clock, self._settings)
        #: Who answers for a chunked body that breaks where no layer asked for it: the strictest there is.
        self._reader = next((layer for layer in active if layer.mode == "enforce"), next(iter(active), None))

    @classmethod
    def around(cls, layer: Layer[Any], app: WSGIApplication) -> Driver:
        """The driver of *layer* in front of *app*; layers that are directly inside it join, if they share settings."""
        inner = getattr(app, "driver", app)
        if isinstance(inner, Driver) and inner._settings == layer.settings:
            return cls((layer, *inner.layers), inner.app)
        return cls((layer,), app)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request as WSGI."""
        request, owner = Request.of(environ, self._settings)
        if owner:
            self._reporter.recognise_once(request)
        denial = self.judge(request) if self._reader is not None else None
        cost_us = (time.perf_counter_ns() - request.shared.started_ns) // 1000
        if denial is not None:
            return self._refuse(request, denial, start_response, owner, cost_us)
        request.shared.body.rewind(environ)
        if not owner and not self._observers:
            return self.app(environ, start_response)
        return self._serve(request, start_response, owner, cost_us)

    def judge(self, request: Request) -> Denial | None:
        """Run both phases; the denial, or None when the request may pass. Removes what verdicts say to remove."""
        for layer, inspect in self._head:
            try:
                verdict = inspect(request)
            except Exception as error:
                verdict = self._failed(layer, error, request)
            if verdict is not ALLOW and (denial := self._act(layer, verdict, request)) is not None:
                return denial
        if request.streaming:
            return None
        for layer, inspect in self._body:
            try:
                verdict = inspect(request)
            except BodyError as error:
                verdict = _body_verdict(error)
            except Exception as error:
                verdict = self._failed(layer, error, request)
            if verdict is not ALLOW and (denial := self._act(layer, verdict, request)) is not None:
                return denial
        return self._drain(request) if request.shared.body.chunked else None

    def _drain(self, request: Request) -> Denial | None:
        """Read a chunked body to its end: only there does a malformed one show."""
        try:
            request.body.load()
        except BodyError as error:
            if self._reader is not None:
                return self._act(self._reader, _body_verdict(error), request)
        return None

    def _act(self, layer: Layer[Any], verdict: Verdict, request: Request) -> Denial | None:
        """Apply a verdict's edits, report its findings, and pick the one that refuses."""
        if verdict.remove:
            for key in verdict.remove:
                request.environ.pop(key, None)
            self._reporter.stripped(layer.name, verdict.remove, request, layer.emit)
        denial: Denial | None = None
        for finding in verdict.findings:
            ruling = layer.policy.rule_on(finding, request)
            if ruling.outcome == "refuse" and denial is None:
                denial = Denial(layer.name, finding)
            self._reporter.finding(layer.name, finding, ruling, request, layer.emit)
        return denial

    def _failed(self, layer: Layer[Any], error: Exception, request: Request) -> Verdict:
        """A bug in a layer: report it, and answer by the layer's failure policy."""
        closed = layer.config.on_failure == "closed" and layer.mode == "enforce"
        self._reporter.layer_failed(layer.name, error, "denied" if closed else "passed", request, layer.emit)
        if not closed:
            return ALLOW
        return Verdict((Finding("guard.layer-failed", codes.GUARD_FAILED, f"the {layer.name} layer failed"),))

    def _refuse(
        self, request: Request, denial: Denial, start_response: StartResponse, owner: bool, cost_us: int
    ) -> Iterable[bytes]:
        request.shared.refused_by = denial.layer
        finding = denial.finding
        close = recognise(request.environ).honours_close
        status, headers, body = refusal(request, finding.code, finding.headers, close=close)
        start_response(status, headers)
        self._finish(request, ResponseHead(finding.code.status, tuple(headers), denial.layer), owner, cost_us)
        return [body] if body else []

    def _serve(self, request: Request, start_response: StartResponse, owner: bool, cost_us: int) -> Iterable[bytes]:
        """Call the application, and see the response to its end."""
        started: list[tuple[str, list[tuple[str, str]]]] = []
        id_name = self._settings.request_id_header

        def starting(
            status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /
        ) -> Callable[[bytes], object]:
            started[:] = [(status, headers)]
            if owner and id_name.lower() not in [name.lower() for name, _ in headers]:
                headers = [*headers, (id_name, request.id)]
            return start_response(status, headers) if exc_info is None else start_response(status, headers, exc_info)

        def finish(failed: bool = False) -> None:
            status, headers = started[-1] if started else ("500" if failed else "0", [])
            head = ResponseHead(_status_number(status), tuple(headers), request.shared.refused_by)
            self._finish(request, head, owner, cost_us)

        if owner:
            current_request.set(request)
        try:
            chunks = self.app(request.environ, starting)
        except BaseException:
            finish(failed=True)
            raise
        if started and type(chunks) is request.environ.get("wsgi.file_wrapper"):
            finish()  # handed on as it is, so that the server can send the file by itself
            return chunks
        return Finishing(chunks, finish)

    def _finish(self, request: Request, head: ResponseHead, owner: bool, cost_us: int) -> None:
        for layer in self._observers:
            try:
                layer.observe(request, head)
            except Exception as error:
                self._reporter.layer_failed(layer.name, error, "passed", request, layer.emit)
        if owner:
            current_request.set(None)
            request.environ.pop(ENVIRON_KEY, None)  # an environ that is used again is another request
            self._reporter.finished(request, head.status, cost_us)
            request.body.close()


@dataclass(frozen=True, slots=True)
class Denial:
    """The finding that refuses a request, and the layer that made it."""

    layer: str
    finding: Finding


class Finishing:
    """The application's iterable, with one more thing to do on ``close``. Has no length, whatever it wraps."""

    __slots__ = ("_chunks", "_finish")

    def __init__(self, chunks: Iterable[bytes], finish: Callable[[], None]) -> None:
        self._chunks = chunks
        self._finish: Callable[[], None] | None = finish

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)

    def close(self) -> None:
        """Close what is wrapped, then finish; once."""
        try:
            close = getattr(self._chunks, "close", None)
            if close is not None:
                close()
        finally:
            finish, self._finish = self._finish, None
            if finish is not None:
                finish()


def _body_verdict(error: BodyError) -> Verdict:
    return Verdict((Finding(error.rule, error.code, error.reason),))


def _status_number(status: str) -> int:
    return int(status[:3]) if status[:3].isdigit() else 0
