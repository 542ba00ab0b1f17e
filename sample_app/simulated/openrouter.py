"""The simulated OpenRouter."""

from __future__ import annotations

import base64
import json
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sample_app.simulated.dialect import (
    RATIOS,
    TIERS,
    answer_json,
    check,
    media_urls,
    moment,
    price_of,
    read_order,
)
from sample_app.simulated.engine import Engine, Job, State, Wanted
from sample_app.simulated.faults import Fault
from sample_app.webhooks.signatures import openrouter_sign

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response


@dataclass(frozen=True, slots=True)
class OpenRouterSide:
    """``/api/v1/videos`` as jobs, ``/api/v1/images`` in the answer; reports signed over timestamp and body."""

    engine: Engine
    secret: bytes
    scheme: str = "Bearer"

    def answer(self, request: Request) -> Response | Job | None:
        """Submit and get videos, their content, and images."""
        match (request.method, request.path.strip("/").split("/")):
            case ("POST", ["api", "v1", "videos"]):
                return self._submit(request)
            case ("POST", ["api", "v1", "images"]):
                return self._images(request)
            case ("GET", ["api", "v1", "videos", job_id]):
                job = self.engine.find(job_id)
                return answer_json({"error": {"code": 404}}, 404) if job is None else answer_json(self._job(job))
        return None

    def taken(self, job: Job) -> Response:
        """A video's job, or the images themselves."""
        if job.wanted.media_format in ("mp4", "webm"):
            polling = f"/api/v1/videos/{job.job_id}"
            return answer_json({"id": job.job_id, "polling_url": polling, "status": "pending"}, 202)
        if job.state is not State.SUCCEEDED:
            if job.fault is Fault.FLAGGED:
                metadata = {"reasons": ["violence"], "flagged_input": "A"}
                return answer_json({"error": {"code": 403, "message": "moderated", "metadata": metadata}}, 403)
            return answer_json({"error": {"code": 502, "message": "the model failed"}}, 502)
        files = [{"b64_json": base64.b64encode(job.content(index)).decode()} for index in range(job.outputs)]
        return answer_json({"created": int(job.created_at), "data": files, "usage": self._usage(job)})

    def without_id(self) -> Response:
        """A job without an id."""
        return answer_json({"status": "pending"}, 202)

    def report(self, job: Job, kind: str) -> tuple[dict[str, str], bytes] | None:
        """The end of a video's job; images are not reported."""
        if kind == "start" or job.wanted.media_format not in ("mp4", "webm"):
            return None
        shown = self._job(job)
        if kind == "forged":
            shown = {"id": job.job_id, "status": "failed", "error": "forged"}
        event = {"type": f"video.generation.{shown['status']}", "created_at": moment(time.time()), "data": shown}
        body, seconds = json.dumps(event).encode(), int(time.time())
        signature = openrouter_sign(b"f" * 32 if kind == "forged" else self.secret, seconds, body)
        headers = {
            "X-OpenRouter-Signature": f"t={seconds},v1={signature}",
            "X-OpenRouter-Idempotency-Key": f"{job.job_id}-{shown['status']}",
        }
        return headers, body

    def _submit(self, request: Request) -> Job:
        given = read_order(request)
        check(
            {name: value for name, value in given.items() if name != "frame_images"},
            {
                "model": str,
                "prompt": str,
                "aspect_ratio": RATIOS,
                "duration": range(1, 61),
                "resolution": TIERS,
                "generate_audio": bool,
                "output_format": ("mp4", "webm"),
                "callback_url": str,
            },
        )
        return self._take(given, given.get("output_format", "mp4"), given.get("duration", 5))

    def _images(self, request: Request) -> Job:
        given = read_order(request)
        check(
            {name: value for name, value in given.items() if name != "input_references"},
            {
                "model": str,
                "prompt": str,
                "aspect_ratio": RATIOS,
                "resolution": TIERS,
                "output_format": ("png", "jpeg", "webp"),
                "n": range(1, 5),
            },
        )
        job = self._take(given, given.get("output_format", "png"), 0)
        job.ended.wait(self.engine.pace.hold + self.engine.pace.slow)
        return job

    def _take(self, given: dict[str, Any], media_format: str, seconds: int) -> Job:
        number, webhook = given.get("n", 1), given.get("callback_url", "")
        price = price_of(number, seconds)
        wanted = Wanted(given["model"], given["prompt"], media_format, number, price, webhook, given)
        return self.engine.take(wanted, self.engine.fault_of(wanted.prompt))

    def _job(self, job: Job) -> dict[str, Any]:
        states = {State.QUEUED: "pending", State.RUNNING: "in_progress", State.SUCCEEDED: "completed"}
        shown: dict[str, Any] = {
            "id": job.job_id,
            "polling_url": f"/api/v1/videos/{job.job_id}",
            "status": states.get(job.state, job.state.value),
        }
        if job.state is State.SUCCEEDED:
            content = f"{self.engine.base}/api/v1/videos/{job.job_id}/content?index="
            urls = [f"{content}{index}" for index in range(job.outputs)]
            elsewhere = job.fault is Fault.OUTPUT_ELSEWHERE
            shown |= {
                "generation_id": f"gen-{uuid.uuid5(uuid.NAMESPACE_URL, job.job_id).hex}",
                "unsigned_urls": media_urls(job, self.engine.base) if elsewhere else urls,
                "usage": self._usage(job),
            }
        if job.state is State.FAILED:
            shown["error"] = "the model failed"
        return shown

    def _usage(self, job: Job) -> dict[str, Any]:
        return {"cost": job.charged_micro_usd / 1_000_000, "is_byok": False}
