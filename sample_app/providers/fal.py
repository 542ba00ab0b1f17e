"""fal's dialect: the queue.

An order is ``POST /{model}?fal_webhook=…`` at the queue's host. There is no idempotency key and nothing to look an
order up by, so an order whose answer was lost is only found by its webhook. Sizes are pixels here, and only here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from sample_app.catalogue import MediaKind, Provider
from sample_app.providers.calls import (
    Api,
    Json,
    addresses,
    asked,
    attempt,
    identifier,
    inner,
    read_object,
    submitted,
    tariff,
    text,
)
from sample_app.providers.port import (
    Accepted,
    CancelRequested,
    Failed,
    Finished,
    Found,
    Notice,
    Output,
    Reason,
    Refused,
    Spend,
    TooLate,
    Unknown,
    WebhookRefused,
    Working,
)
from sample_app.webhooks.signatures import FalHeaders, ed25519_verifies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sample_app.clock import Clock
    from sample_app.outbound.exchange import Answer, Lost, NotSent
    from sample_app.providers.offers import Offered
    from sample_app.providers.port import Cancelled, Order, Progress, Submitted
    from sample_app.webhooks.key_set import KeySet

# The side of a square of each tier. Other ratios get about as many pixels.
SIDES: Final = {"1K": 1_024, "2K": 2_048, "4K": 4_096}
# Image models work in blocks; sides that are not whole blocks are refused by some.
BLOCK: Final = 16

_OUTPUT_FIELDS: Final = ("images", "image", "videos", "video")


@dataclass(frozen=True, slots=True)
class Fal:
    """The adapter."""

    api: Api
    offers: Mapping[str, Offered]
    key_set: KeySet
    clock: Clock

    @property
    def provider(self) -> Provider:
        """Which provider this is."""
        return Provider.FAL

    def quote(self, order: Order) -> Spend:
        """By the price list: fal's answers do not say what was charged."""
        return tariff(self.offers.get(order.model), order)

    def submit(self, order: Order, token: str, webhook_url: str) -> Submitted:
        """Put the order into the queue. *token* is not sent by itself; *webhook_url* carries it."""
        del token
        offered = self.offers.get(order.model)
        if offered is None:
            return Refused(Reason.INVALID_ORDER)
        query = f"?fal_webhook={quote(webhook_url, safe='')}" if webhook_url else ""
        answer = submitted(attempt(self.api, "POST", f"/{offered.name}{query}", _input(order)))
        if isinstance(answer, (Refused, Unknown)):
            return answer
        request_id = identifier(answer, "request_id")
        return Accepted(request_id) if request_id else Unknown(Reason.BAD_ANSWER)

    def poll(self, model: str, provider_id: str) -> Progress:
        """Ask for the status, and for the result once there is one."""
        place = self._place(model, provider_id)
        if place is None:
            return Unknown(Reason.UNSUPPORTED)
        answer = asked(attempt(self.api, "GET", f"{place}/status"))
        if isinstance(answer, Unknown):
            return answer
        status = text(answer, "status")
        if status in ("IN_QUEUE", "IN_PROGRESS"):
            return Working(provider_id)
        if status != "COMPLETED":
            return Unknown(Reason.BAD_ANSWER)
        if text(answer, "error") or text(answer, "error_type"):
            return Failed(provider_id, _failure(answer), Spend(0, reported=False))
        return self._result(provider_id, attempt(self.api, "GET", place))

    def find(self, model: str, token: str, submitted_at: int) -> Found:
        """Not in this dialect."""
        del model, token, submitted_at
        return Unknown(Reason.UNSUPPORTED)

    def cancel(self, model: str, provider_id: str) -> Cancelled:
        """Ask the queue to stop: 202 if it will try, 400 if it is too late."""
        place = self._place(model, provider_id)
        if place is None:
            return Unknown(Reason.UNSUPPORTED)
        call = attempt(self.api, "PUT", f"{place}/cancel")
        if _status(call) == 400:
            return TooLate()
        answer = asked(call)
        return answer if isinstance(answer, Unknown) else CancelRequested()

    def download_headers(self, url: str) -> Mapping[str, str]:
        """Outputs lie on a media host and need no token."""
        del url
        return {}

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notice:
        """A result, signed with one of fal's published keys. One order has one event."""
        seen = FalHeaders.read(headers, raw_body, self.clock())
        # Keys of a moment ago may have been replaced; asking for newer ones is limited there.
        for keys in (self.key_set.keys, self.key_set.newer_keys):
            if any(ed25519_verifies(key, seen.signature, seen.signed) for key in keys()):
                break
        else:
            raise WebhookRefused("bad_signature")
        report = read_object(raw_body)
        if report is None or identifier(report, "request_id") != seen.request_id:
            raise WebhookRefused("unreadable")
        return Notice(seen.request_id, self._reported(seen.request_id, report))

    def _reported(self, request_id: str, report: Json) -> Progress:
        status = text(report, "status")
        if status == "OK" and not text(report, "payload_error"):
            return Finished(request_id, _outputs(inner(report, "payload")), None)
        if status == "OK":
            # The result was too odd for the webhook; polling gets it.
            return Working(request_id)
        if status == "ERROR":
            return Failed(request_id, _failure(report), Spend(0, reported=False))
        return Unknown(Reason.BAD_ANSWER)

    def _result(self, provider_id: str, call: NotSent | Lost | Answer) -> Progress:
        status = _status(call)
        if status in (400, 422):
            # The model's own error is the result. Other errors are the queue's and say nothing.
            return Failed(
                provider_id, _failure(read_object(getattr(call, "body", b"")) or {}), Spend(0, reported=False)
            )
        answer = asked(call)
        if isinstance(answer, Unknown):
            return answer
        return Finished(provider_id, _outputs(answer), None)

    def _place(self, model: str, provider_id: str) -> str | None:
        """Status, result and cancelling are at the model's first two path segments only."""
        offered = self.offers.get(model)
        if offered is None or not provider_id:
            return None
        owner, name, *_ = offered.name.split("/")
        return f"/{owner}/{name}/requests/{quote(provider_id, safe='')}"


def _status(call: NotSent | Lost | Answer) -> int:
    return getattr(call, "status", 0)


def _outputs(payload: Json) -> tuple[Output, ...]:
    return next((addresses(payload[name]) for name in _OUTPUT_FIELDS if payload.get(name)), ())


def _input(order: Order) -> dict[str, object]:
    """Images have a size in pixels, videos a ratio and a tier; seconds are text with their unit."""
    fields: dict[str, object] = {"prompt": order.prompt}
    if order.input_url is not None:
        fields["image_url"] = order.input_url
    if order.kind is MediaKind.VIDEO:
        return fields | {
            "aspect_ratio": order.ratio,
            "output_format": order.output_format,
            "num_videos": order.output_number,
            "duration": f"{order.duration}s",
            "resolution": order.resolution,
            "generate_audio": order.generate_audio,
        }
    width, height = pixels(order.ratio, order.resolution)
    return fields | {
        "image_size": {"width": width, "height": height},
        "output_format": order.output_format,
        "num_images": order.output_number,
    }


def _failure(report: Json) -> Reason:
    words = f"{text(report, 'error_type')} {text(report, 'error')} {report.get('detail') or report.get('payload')}"
    lowered = words[:2_000].lower()
    if "cancel" in lowered:
        return Reason.CANCELLED
    return Reason.CONTENT_POLICY if "content_policy" in lowered else Reason.PROVIDER_FAILED


def pixels(ratio: str, tier: str) -> tuple[int, int]:
    """Width and height in whole blocks: the tier's number of pixels, in the ratio."""
    across, down = (int(part) for part in ratio.split(":"))
    side = SIDES[tier]
    width = side * (across / down) ** 0.5
    height = side * (down / across) ** 0.5
    return BLOCK * round(width / BLOCK), BLOCK * round(height / BLOCK)
