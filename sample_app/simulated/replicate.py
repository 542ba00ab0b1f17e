"""The simulated Replicate."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sample_app.simulated.dialect import (
    RATIOS,
    TIERS,
    Invalid,
    answer_json,
    check,
    media_urls,
    moment,
    price_of,
    read_order,
)
from sample_app.simulated.engine import Engine, Job, State, Wanted
from sample_app.simulated.faults import Fault
from sample_app.webhooks.signatures import StandardWebhooks

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class ReplicateSide:
    """``/v1/models/{owner}/{name}/predictions`` and ``/v1/predictions``; reports signed as Standard Webhooks."""

    engine: Engine
    secret: bytes
    scheme: str = "Bearer"

    def answer(self, request: Request) -> Response | Job | None:
        """Create, get, list and cancel predictions."""
        match (request.method, request.path.strip("/").split("/")):
            case ("POST", ["v1", "models", owner, name, "predictions"]):
                return self._create(request, f"{owner}/{name}")
            case ("GET", ["v1", "predictions"]):
                return self._list(request)
            case ("GET", ["v1", "predictions", job_id]):
                job = self.engine.find(job_id)
                return answer_json({"detail": "not found"}, 404) if job is None else self._show(job)
            case ("POST", ["v1", "predictions", job_id, "cancel"]):
                job = self.engine.find(job_id)
                if job is None:
                    return answer_json({"detail": "not found"}, 404)
                self.engine.cancel(job)
                return self._show(job)
        return None

    def taken(self, job: Job) -> Response:
        """201 with the prediction; 202 is for those that were not waited for to the end."""
        return answer_json(self._prediction(job), 201)

    def without_id(self) -> Response:
        """A prediction without an id."""
        return answer_json({"status": "starting", "output": None})

    def report(self, job: Job, kind: str) -> tuple[dict[str, str], bytes] | None:
        """A prediction; the id is the event's, in every delivery of it."""
        prediction = self._prediction(job)
        if kind == "start":
            prediction |= {"status": "processing", "output": None}
        if kind == "forged":
            prediction |= {"status": "failed", "output": None, "error": "forged"}
        body = json.dumps(prediction).encode()
        event_id, seconds = f"msg_{job.job_id}_{kind}", int(time.time())
        signer = StandardWebhooks((b"f" * 32 if kind == "forged" else self.secret,))
        headers = {
            "webhook-id": event_id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": signer.sign(event_id, seconds, body),
        }
        return headers, body

    def _create(self, request: Request, model: str) -> Job | Response:
        body = read_order(request)
        given = body.get("input")
        if set(body) - {"input", "webhook", "webhook_events_filter"} or not isinstance(given, dict):
            raise Invalid
        formats = {"png": "png", "jpg": "jpeg", "webp": "webp", "mp4": "mp4", "webm": "webm"}
        check(
            given,
            {
                "prompt": str,
                "aspect_ratio": RATIOS,
                "output_format": formats,
                "num_outputs": range(1, 5),
                "resolution": TIERS,
                "image": str,
                "duration": range(1, 61),
                "generate_audio": bool,
            },
        )
        number, media_format = given.get("num_outputs", 1), formats[given.get("output_format", "png")]
        price = price_of(number, given.get("duration", 0))
        wanted = Wanted(model, given["prompt"], media_format, number, price, body.get("webhook", ""), given)
        job = self.engine.take(wanted, self.engine.fault_of(wanted.prompt))
        prefer = request.headers.get("Prefer", "")
        if prefer.startswith("wait="):
            job.ended.wait(min(int(prefer.removeprefix("wait=")), 60))
        return job

    def _show(self, job: Job) -> Response:
        return answer_json(self._prediction(job))

    def _list(self, request: Request) -> Response:
        since = datetime.fromisoformat(request.args.get("created_after", "1970-01-01T00:00:00+00:00")).timestamp()
        found = [job for job in self.engine.newest() if job.created_at >= since]
        at = int(request.args.get("cursor", "0"))
        following = f"{self.engine.base}/v1/predictions?cursor={at + PAGE}&created_after={moment(since)}"
        return answer_json(
            {
                "next": following if len(found) > at + PAGE else None,
                "previous": None,
                "results": [self._prediction(job) for job in found[at : at + PAGE]],
            }
        )

    def _prediction(self, job: Job) -> dict[str, Any]:
        states = {State.QUEUED: "starting", State.RUNNING: "processing", State.CANCELLED: "canceled"}
        error = {Fault.FAILS: "CUDA out of memory", Fault.FLAGGED: "The output was flagged as sensitive. (E005)"}
        shown = {
            "id": job.job_id,
            "model": job.wanted.model,
            "version": "hidden",
            "input": job.wanted.given,
            "output": media_urls(job, self.engine.base) if job.state is State.SUCCEEDED else None,
            "error": error.get(job.fault) if job.state is State.FAILED else None,
            "status": states.get(job.state, job.state.value),
            "created_at": moment(job.created_at),
            "metrics": {"predict_time": self.engine.pace.run} if job.state.final else {},
            "urls": {
                "get": f"{self.engine.base}/v1/predictions/{job.job_id}",
                "cancel": f"{self.engine.base}/v1/predictions/{job.job_id}/cancel",
            },
        }
        return shown | ({"webhook": job.wanted.webhook_url} if job.wanted.webhook_url else {})
