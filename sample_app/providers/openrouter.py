"""OpenRouter's dialect: videos as jobs, images in the answer itself.

There is no idempotency key, nothing to look an order up by, and no way to cancel. Images are made while the request
waits and come back as base64: a lost answer is a lost image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from sample_app.catalogue import MediaKind, Provider
from sample_app.outbound.exchange import Answer, Bounds
from sample_app.providers.calls import (
    Api,
    Json,
    addresses,
    asked,
    attempt,
    identifier,
    inner,
    read_object,
    reported_spend,
    submitted,
    tariff,
    text,
)
from sample_app.providers.port import (
    Accepted,
    Failed,
    Finished,
    Found,
    Notice,
    Output,
    Reason,
    Refused,
    Spend,
    Unknown,
    WebhookRefused,
    Working,
)
from sample_app.webhooks.signatures import openrouter_verify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sample_app.clock import Clock
    from sample_app.providers.offers import Offered
    from sample_app.providers.port import Cancelled, Order, Progress, Submitted

# Four images of 4K in base64 stay below; they are all held in memory, so it is not more.
IMAGES_BYTES_MAX: Final = 64 * 1024 * 1024
# Below the lease of whoever works on a generation, so that nobody else looks at it meanwhile.
IMAGES_SECONDS_MAX: Final = 55.0

_INLINE: Final = "inline-"
_MEDIA_TYPES: Final = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
_EVENT_ID_LENGTH_MAX: Final = 255
_ENDS: Final = {"failed": Reason.PROVIDER_FAILED, "cancelled": Reason.CANCELLED, "expired": Reason.EXPIRED}


@dataclass(frozen=True, slots=True)
class OpenRouter:
    """The adapter."""

    api: Api
    offers: Mapping[str, Offered]
    webhook_secrets: tuple[bytes, ...] = field(repr=False)
    clock: Clock

    @property
    def provider(self) -> Provider:
        """Which provider this is."""
        return Provider.OPENROUTER

    def quote(self, order: Order) -> Spend:
        """By the price list; what was charged comes with the result."""
        return tariff(self.offers.get(order.model), order)

    def submit(self, order: Order, token: str, webhook_url: str) -> Submitted:
        """Start a video, or make images and wait for them."""
        offered = self.offers.get(order.model)
        if offered is None:
            return Refused(Reason.INVALID_ORDER)
        if order.kind is MediaKind.IMAGE:
            return self._images(order, offered.name, token)
        if order.output_number != 1:
            # A job makes one video.
            return Refused(Reason.INVALID_ORDER)
        body = {"model": offered.name, **_video(order)} | ({"callback_url": webhook_url} if webhook_url else {})
        answer = self._order("/api/v1/videos", body, None)
        if isinstance(answer, (Refused, Unknown)):
            return answer
        job_id = identifier(answer, "id")
        return Accepted(job_id) if job_id else Unknown(Reason.BAD_ANSWER)

    def poll(self, model: str, provider_id: str) -> Progress:
        """Ask for the job."""
        del model
        if provider_id.startswith(_INLINE):
            return Unknown(Reason.UNSUPPORTED)
        answer = asked(attempt(self.api, "GET", f"/api/v1/videos/{quote(provider_id, safe='')}"))
        return answer if isinstance(answer, Unknown) else _read(answer)

    def find(self, model: str, token: str, submitted_at: int) -> Found:
        """Not in this dialect."""
        del model, token, submitted_at
        return Unknown(Reason.UNSUPPORTED)

    def cancel(self, model: str, provider_id: str) -> Cancelled:
        """Not in this dialect: the job runs on and is charged."""
        del model, provider_id
        return Unknown(Reason.UNSUPPORTED)

    def download_headers(self, url: str) -> Mapping[str, str]:
        """A video's content is served by the API itself, to our token; nowhere else does the token go."""
        return {"Authorization": self.api.authorization} if self.api.is_own(url) else {}

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notice:
        """A job's end, signed by timestamp and body."""
        openrouter_verify(self.webhook_secrets, headers, raw_body, self.clock())
        event = read_object(raw_body)
        if event is None:
            raise WebhookRefused("unreadable")
        job = inner(event, "data")
        job_id, status = identifier(job, "id"), text(job, "status")
        # The signature does not cover the idempotency header, so the id of the event is made of what it covers.
        event_id = f"{job_id}-{status}"
        if not job_id or len(event_id) > _EVENT_ID_LENGTH_MAX:
            raise WebhookRefused("unreadable")
        return Notice(event_id, _read(job))

    def _order(self, path: str, body: Json, bounds: Bounds | None) -> Refused | Unknown | Json:
        call = attempt(self.api, "POST", path, body, bounds=bounds)
        answer = submitted(call)
        # 403 is both a key that may not and a prompt that is not wanted; only the latter says what was flagged.
        if answer == Refused(Reason.CREDENTIALS) and isinstance(call, Answer) and call.status == 403:
            metadata = inner(inner(read_object(call.body) or {}, "error"), "metadata")
            if "flagged_input" in metadata:
                return Refused(Reason.CONTENT_POLICY)
        return answer

    def _images(self, order: Order, name: str, token: str) -> Submitted:
        bounds = Bounds(
            self.api.outbound.bounds.connect_seconds,
            max(IMAGES_SECONDS_MAX, self.api.outbound.bounds.total_seconds),
            IMAGES_BYTES_MAX,
        )
        answer = self._order("/api/v1/images", {"model": name, **_image(order)}, bounds)
        if isinstance(answer, (Refused, Unknown)):
            return answer
        listed = answer.get("data")
        media_type = _MEDIA_TYPES.get(order.output_format, "application/octet-stream")
        texts = (
            [text(one, "b64_json") for one in listed[:16] if isinstance(one, dict)] if isinstance(listed, list) else []
        )
        outputs = tuple(Output(f"data:{media_type};base64,{one}") for one in texts if one)
        # Charged, and nothing to show for it: nobody can tell which of both it was.
        return Finished(f"{_INLINE}{token}", outputs, reported_spend(answer)) if outputs else Unknown(Reason.BAD_ANSWER)


def _read(job: Json) -> Progress:
    job_id, status = identifier(job, "id"), text(job, "status")
    if not job_id:
        return Unknown(Reason.BAD_ANSWER)
    if status in ("pending", "queued", "in_progress"):
        return Working(job_id)
    if status == "completed":
        # The signed addresses where there are some, else those that want our token.
        outputs = addresses(job.get("urls") or []) or addresses(job.get("unsigned_urls") or [])
        return Finished(job_id, outputs, reported_spend(job))
    if status in _ENDS:
        return Failed(job_id, _ENDS[status], reported_spend(job) or Spend(0, reported=False))
    return Unknown(Reason.BAD_ANSWER)


def _video(order: Order) -> dict[str, object]:
    """Ratio, tier and seconds as they are; the picture to start from is the first frame."""
    fields: dict[str, object] = {
        "prompt": order.prompt,
        "aspect_ratio": order.ratio,
        "duration": order.duration,
        "resolution": order.resolution,
        "generate_audio": order.generate_audio,
        "output_format": order.output_format,
    }
    if order.input_url is not None:
        frame = {"type": "image_url", "image_url": {"url": order.input_url}, "frame_type": "first_frame"}
        fields["frame_images"] = [frame]
    return fields


def _image(order: Order) -> dict[str, object]:
    fields: dict[str, object] = {
        "prompt": order.prompt,
        "aspect_ratio": order.ratio,
        "resolution": order.resolution,
        "output_format": order.output_format,
        "n": order.output_number,
    }
    if order.input_url is not None:
        fields["input_references"] = [{"type": "image_url", "image_url": {"url": order.input_url}}]
    return fields
