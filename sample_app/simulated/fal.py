"""The simulated fal."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sample_app.simulated.dialect import (
    RATIOS,
    TIERS,
    Invalid,
    answer_json,
    check,
    media_urls,
    price_of,
    read_order,
)
from sample_app.simulated.engine import Engine, Job, State, Wanted
from sample_app.simulated.faults import Fault
from sample_app.webhooks.signatures import fal_signed

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

_USER: Final = "user_simulated"


@dataclass(frozen=True, slots=True)
class FalSide:
    """The queue: ``/{model}``, ``/{owner}/{name}/requests/{id}``; reports signed with Ed25519."""

    engine: Engine
    key: Ed25519PrivateKey
    scheme: str = "Key"

    def answer(self, request: Request) -> Response | Job | None:
        """Submit; status, result and cancelling; the keys."""
        match (request.method, request.path.strip("/").split("/")):
            case ("GET", [".well-known", "jwks.json"]):
                return answer_json({"keys": [self._public()]})
            case ("GET", [_, _, "requests", job_id, "status"]):
                job = self.engine.find(job_id)
                return answer_json({"detail": "not found"}, 404) if job is None else self._status(job)
            case ("GET", [_, _, "requests", job_id]):
                job = self.engine.find(job_id)
                return answer_json({"detail": "not found"}, 404) if job is None else self._result(job)
            case ("PUT", [_, _, "requests", job_id, "cancel"]):
                job = self.engine.find(job_id)
                if job is None:
                    return answer_json({"status": "NOT_FOUND"}, 404)
                asked = self.engine.cancel(job)
                return answer_json({"status": "CANCELLATION_REQUESTED"}, 202) if asked else self._too_late()
            case ("POST", [owner, name, *rest]) if "requests" not in rest:
                return self._submit(request, "/".join([owner, name, *rest]))
        return None

    def taken(self, job: Job) -> Response:
        """In the queue."""
        owner, name, *_ = job.wanted.model.split("/")
        place = f"{self.engine.base}/{owner}/{name}/requests/{job.job_id}"
        return answer_json(
            {
                "status": "IN_QUEUE",
                "request_id": job.job_id,
                "response_url": place,
                "status_url": f"{place}/status",
                "cancel_url": f"{place}/cancel",
                "queue_position": 0,
            }
        )

    def without_id(self) -> Response:
        """In the queue, nobody knows as what."""
        return answer_json({"status": "IN_QUEUE", "queue_position": 0})

    def report(self, job: Job, kind: str) -> tuple[dict[str, str], bytes] | None:
        """The result or the error; the beginning is not reported."""
        if kind == "start":
            return None
        report: dict[str, Any] = {"request_id": job.job_id, "gateway_request_id": job.job_id}
        if kind == "end" and job.state is State.SUCCEEDED:
            report |= {"status": "OK", "payload": self._payload(job)}
        else:
            report |= {"status": "ERROR", "error": "Invalid status code: 422", "payload": {"detail": self._detail(job)}}
        body, seconds = json.dumps(report).encode(), str(int(time.time()))
        key = Ed25519PrivateKey.generate() if kind == "forged" else self.key
        headers = {
            "X-Fal-Webhook-Request-Id": job.job_id,
            "X-Fal-Webhook-User-Id": _USER,
            "X-Fal-Webhook-Timestamp": seconds,
            "X-Fal-Webhook-Signature": key.sign(fal_signed(job.job_id, _USER, seconds, body)).hex(),
        }
        return headers, body

    def _submit(self, request: Request, model: str) -> Job:
        given = read_order(request)
        size = given.get("image_size", {"width": 16, "height": 16})
        if not isinstance(size, dict) or set(size) != {"width", "height"} or any(side % 16 for side in size.values()):
            raise Invalid("image_size")
        check(
            {name: value for name, value in given.items() if name != "image_size"},
            {
                "prompt": str,
                "aspect_ratio": RATIOS,
                "output_format": ("png", "jpeg", "webp", "mp4", "webm"),
                "num_images": range(1, 5),
                "num_videos": range(1, 5),
                "resolution": TIERS,
                "image_url": str,
                "duration": [f"{seconds}s" for seconds in range(1, 61)],
                "generate_audio": bool,
            },
        )
        number = given.get("num_images", given.get("num_videos", 1))
        seconds = int(given.get("duration", "0s").removesuffix("s"))
        webhook = request.args.get("fal_webhook", "")
        media_format = given.get("output_format", "png")
        wanted = Wanted(model, given["prompt"], media_format, number, price_of(number, seconds), webhook, given)
        return self.engine.take(wanted, self.engine.fault_of(wanted.prompt))

    def _status(self, job: Job) -> Response:
        shown: dict[str, Any] = {"request_id": job.job_id, "response_url": f"{self.engine.base}/requests/{job.job_id}"}
        if not job.state.final:
            waiting = "IN_QUEUE" if job.state is State.QUEUED else "IN_PROGRESS"
            return answer_json(shown | {"status": waiting, "queue_position": 0}, 202)
        shown |= {"status": "COMPLETED", "metrics": {"inference_time": self.engine.pace.run}}
        if job.state is State.CANCELLED:
            shown |= {"error": "The request was cancelled", "error_type": "client_cancelled"}
        return answer_json(shown)

    def _result(self, job: Job) -> Response:
        if job.state is State.SUCCEEDED:
            return answer_json(self._payload(job))
        return answer_json({"detail": self._detail(job)}, 422 if job.state.final else 400)

    def _too_late(self) -> Response:
        return answer_json({"status": "ALREADY_COMPLETED"}, 400)

    def _detail(self, job: Job) -> list[dict[str, Any]]:
        kinds = {Fault.FLAGGED: "content_policy_violation"}
        kind = "request_cancelled" if job.state is State.CANCELLED else kinds.get(job.fault, "generation_failed")
        return [{"loc": ["body", "prompt"], "msg": "the model failed", "type": kind}]

    def _payload(self, job: Job) -> dict[str, Any]:
        field = "videos" if job.wanted.media_format in ("mp4", "webm") else "images"
        return {field: [{"url": url, "file_name": url.rpartition("/")[2]} for url in media_urls(job, self.engine.base)]}

    def _public(self) -> dict[str, str]:
        raw = self.key.public_key().public_bytes_raw()
        return {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(raw).decode().rstrip("=")}
