"""One simulated provider as a WSGI application: its dialect, its media, its webhooks, and the control address.

The control address is for tests and the tour, at ``/_control``: ``GET /_control/ledger``, ``POST /_control/rules`` with
``{"contains": …, "fault": …}``, ``POST /_control/reset``. It has no credentials, so serve this on loopback only.
"""

from __future__ import annotations

import itertools
import json
import socket
import time
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from werkzeug.wrappers import Request, Response

from sample_app.outbound.addresses import Reach
from sample_app.outbound.exchange import Bounds, Lost, NotSent, Outbound
from sample_app.simulated.dialect import POLL_ERRORS, Dialect, Invalid, answer_json
from sample_app.simulated.engine import Engine, Job, Pace
from sample_app.simulated.fal import FalSide
from sample_app.simulated.faults import Fault
from sample_app.simulated.openrouter import OpenRouterSide
from sample_app.simulated.replicate import ReplicateSide

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIEnvironment

# Tried so often, with growing waits, until the other side says 2xx; the real ones go on for minutes or hours.
REPORT_TRIES: Final = 5
REPORT_WAIT_SECONDS: Final = 0.2
_OUTBOUND: Final = Outbound(Reach(private=True), Bounds(total_seconds=15.0))
_TYPES: Final = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "webm": "video/webm",
}


class SimulatedProvider:
    """The application. *secret* signs webhooks where the dialect has one; fal makes its own key and publishes it."""

    def __init__(self, provider: str, token: str, secret: bytes, pace: Pace) -> None:
        """Make the engine and the dialect."""
        self.engine = Engine(provider, pace)
        self._token = token
        self._dialect = _dialect(provider, self.engine, secret)
        self._answers: list[int] = []
        self.engine.tell = self._report

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        request = Request(environ)
        try:
            response = self._answer(request)
        except Invalid as invalid:
            self.engine.refuse()
            response = answer_json({"detail": f"invalid input {invalid}"}, 422)
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        place = request.path.strip("/").split("/")
        if place[0] == "_control":
            return self._control(request, place[-1])
        if place[0] == "media" and len(place) == 3:
            return self._media(self.engine.find(place[1]), place[2].partition(".")[0])
        if (
            place[0] != ".well-known"
            and request.headers.get("Authorization") != f"{self._dialect.scheme} {self._token}"
        ):
            return answer_json({"detail": "unauthorized"}, 401)
        if place[-1] == "content":
            return self._media(self.engine.find(place[-2]), request.args.get("index", "0"))
        if request.method == "POST" and place[-1] != "cancel":
            return self._order(request)
        return self._ask(request, place)

    def _order(self, request: Request) -> Response:
        fault = self.engine.fault_of(_prompt(request))
        if not fault.runs:
            self.engine.refuse()
            status = {Fault.REFUSES: 422, Fault.OVERLOADED: 429}.get(fault, 500)
            return answer_json({"detail": "told to refuse"}, status)
        taken = self._dialect.answer(request)
        if not isinstance(taken, Job):
            return taken or answer_json({"detail": "no such address"}, 404)
        match fault:
            case Fault.SERVER_ERROR_AFTER_WORK:
                return answer_json({"detail": "internal error"}, 500)
            case Fault.TIMES_OUT_AFTER_WORK:
                time.sleep(self.engine.pace.hold)
                return answer_json({"detail": "gateway time-out"}, 504)
            case Fault.HANGS_UP_AFTER_WORK:
                request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                return Response()
            case Fault.NO_ID:
                return self._dialect.without_id()
            case Fault.GARBAGE:
                return Response("<html>It works!</html>", content_type="text/html")
        return self._dialect.taken(taken)

    def _ask(self, request: Request, place: list[str]) -> Response:
        job = next((found for part in place if (found := self.engine.find(part)) is not None), None)
        if job is not None and request.method == "GET":
            job.polls += 1
            if job.fault is Fault.POLL_ERRORS and job.polls <= POLL_ERRORS:
                return answer_json({"detail": "internal error"}, 500)
            if job.fault is Fault.FORGETS and job.state.final:
                return answer_json({"detail": "not found"}, 404)
        answer = self._dialect.answer(request)
        return answer if isinstance(answer, Response) else answer_json({"detail": "no such address"}, 404)

    def _control(self, request: Request, verb: str) -> Response:
        if verb == "ledger":
            return answer_json(self.engine.ledger() | {"report_answers": self._answers})
        if verb == "rules" and request.method == "POST":
            rule = json.loads(request.get_data())
            self.engine.add_rule(str(rule["contains"]), Fault(rule["fault"]))
            return answer_json({})
        if verb == "reset" and request.method == "POST":
            self.engine.reset()
            self._answers.clear()
            return answer_json({})
        return answer_json({"detail": "no such control"}, 404)

    def _media(self, job: Job | None, index: str) -> Response:
        if job is None or not index.isdecimal() or int(index) >= job.outputs or job.fault is Fault.OUTPUT_GONE:
            return Response("gone", status=404)
        job.downloads += 1
        if job.fault is Fault.OUTPUT_ERRORS and job.downloads <= POLL_ERRORS:
            return Response("busy", status=503)
        if job.fault is Fault.OUTPUT_REDIRECTS:
            return Response(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data/"})
        content, kind = job.content(int(index)), _TYPES[job.wanted.media_format]
        if job.fault is Fault.OUTPUT_ENDLESS:
            return Response(_endless(content), content_type=kind)
        response = Response(content, content_type=kind)
        if job.fault is Fault.OUTPUT_CUT:
            response.automatically_set_content_length = False
            response.headers["Content-Length"] = str(len(content) + 100)
        return response

    def _report(self, job: Job, kind: str) -> None:
        """Send a webhook until it is taken."""
        if not job.wanted.webhook_url:
            return
        for number in range(REPORT_TRIES):
            # Signed anew each time: the timestamp is that of the delivery.
            made = self._dialect.report(job, kind)
            if made is None:
                return
            headers, body = made
            try:
                sent = {**headers, "Content-Type": "application/json"}
                status = _OUTBOUND.exchange("POST", job.wanted.webhook_url, sent, body).status
            except (NotSent, Lost):
                status = 0
            self._answers.append(status)
            if 200 <= status <= 299 or kind == "forged":
                return
            time.sleep(REPORT_WAIT_SECONDS * 2**number)


def _dialect(provider: str, engine: Engine, secret: bytes) -> Dialect:
    if provider == "replicate":
        return ReplicateSide(engine, secret)
    if provider == "fal":
        return FalSide(engine, Ed25519PrivateKey.generate())
    if provider == "openrouter":
        return OpenRouterSide(engine, secret)
    raise ValueError("not a provider")


def _prompt(request: Request) -> str:
    try:
        body: Any = json.loads(request.get_data())
        return str(body.get("prompt") or body["input"]["prompt"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def _endless(first: bytes) -> Iterator[bytes]:
    yield first
    for _ in itertools.count():
        yield bytes(65_536)
