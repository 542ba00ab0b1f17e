"""Replicate's dialect: predictions.

An order is ``POST /v1/models/{owner}/{name}/predictions``. Replicate has no idempotency key, but lists predictions
with the webhook address that they were made with, and that carries our token: so a lost answer can be looked up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from sample_app.catalogue import MediaKind, Provider
from sample_app.clock import SECOND_MS, rfc3339
from sample_app.providers.calls import (
    Api,
    Json,
    addresses,
    asked,
    attempt,
    identifier,
    read_object,
    submitted,
    tariff,
    text,
)
from sample_app.providers.port import (
    Absent,
    Accepted,
    CancelRequested,
    Failed,
    Finished,
    Found,
    Notice,
    Reason,
    Refused,
    Spend,
    TooLate,
    Unknown,
    WebhookRefused,
    Working,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sample_app.clock import Clock
    from sample_app.providers.offers import Offered
    from sample_app.providers.port import Cancelled, Order, Progress, Submitted
    from sample_app.webhooks.signatures import StandardWebhooks

# A request that we gave up on may still be on its way; before that many times the longest that one waits for an
# answer, an order that is not listed is not absent.
ABSENT_AFTER_TIMES: Final = 4
# A hundred predictions a page. More of them since one order was placed are not looked through.
PAGES_MAX: Final = 20
# Clocks differ. An order that is overlooked is placed a second time, so this is far more than clocks should.
_CLOCKS_MS: Final = 600 * SECOND_MS

_FORMATS: Final = {"jpeg": "jpg"}


@dataclass(frozen=True, slots=True)
class Replicate:
    """The adapter. ``wait_seconds`` is how long a submit waits for an inline result; 0 does not wait."""

    api: Api
    offers: Mapping[str, Offered]
    signatures: StandardWebhooks
    clock: Clock
    wait_seconds: int = 0

    @property
    def provider(self) -> Provider:
        """Which provider this is."""
        return Provider.REPLICATE

    def quote(self, order: Order) -> Spend:
        """By the price list: Replicate reports seconds of hardware, not money."""
        return tariff(self.offers.get(order.model), order)

    def submit(self, order: Order, token: str, webhook_url: str) -> Submitted:
        """Create a prediction. *token* is not sent by itself; *webhook_url* carries it."""
        del token
        offered = self.offers.get(order.model)
        if offered is None:
            return Refused(Reason.INVALID_ORDER)
        body: dict[str, object] = {"input": _input(order)}
        if webhook_url:
            body |= {"webhook": webhook_url, "webhook_events_filter": ["start", "completed"]}
        headers = {"Prefer": f"wait={self.wait_seconds}"} if self.wait_seconds else {}
        answer = submitted(attempt(self.api, "POST", f"/v1/models/{offered.name}/predictions", body, headers=headers))
        if isinstance(answer, (Refused, Unknown)):
            return answer
        progress = _read(answer)
        # One that has failed while we waited was taken all the same; asking tells how it ended.
        return Accepted(progress.provider_id) if isinstance(progress, (Working, Failed)) else progress

    def poll(self, model: str, provider_id: str) -> Progress:
        """Get the prediction."""
        del model
        answer = asked(attempt(self.api, "GET", f"/v1/predictions/{quote(provider_id, safe='')}"))
        return answer if isinstance(answer, Unknown) else _read(answer)

    def find(self, model: str, token: str, submitted_at: int) -> Found:
        """Look through the predictions made since then for the one whose webhook carries the token."""
        del model
        complete, path = True, f"/v1/predictions?created_after={quote(rfc3339(submitted_at - _CLOCKS_MS))}"
        for _ in range(PAGES_MAX):
            answer = asked(attempt(self.api, "GET", path))
            if isinstance(answer, Unknown):
                return answer
            listed = answer.get("results")
            if not isinstance(listed, list):
                return Unknown(Reason.BAD_ANSWER)
            for entry in listed:
                webhook = text(entry, "webhook") if isinstance(entry, dict) else ""
                if token in webhook:
                    return _read(entry)
                # Without its webhook, a prediction may be ours.
                complete = complete and bool(webhook)
            following = text(answer, "next")
            if not following:
                waited = ABSENT_AFTER_TIMES * self.api.outbound.bounds.total_seconds * SECOND_MS
                late = self.clock() - submitted_at >= waited
                return Absent() if complete and late else Unknown(Reason.NOT_FOUND)
            parts = urlsplit(following) if self.api.is_own(following) else None
            if parts is None:
                return Unknown(Reason.BAD_ANSWER)
            path = f"/v1/predictions?{parts.query}"
        return Unknown(Reason.NOT_FOUND)

    def cancel(self, model: str, provider_id: str) -> Cancelled:
        """Cancel the prediction; the answer is the prediction as it stands."""
        del model
        answer = asked(attempt(self.api, "POST", f"/v1/predictions/{quote(provider_id, safe='')}/cancel"))
        if isinstance(answer, Unknown):
            return answer
        ended = text(answer, "status") in ("succeeded", "failed")
        return TooLate() if ended else CancelRequested()

    def download_headers(self, url: str) -> Mapping[str, str]:
        """Outputs lie on a delivery host and need no token."""
        del url
        return {}

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notice:
        """A prediction, signed as Standard Webhooks say."""
        event_id = self.signatures.verify(headers, raw_body, self.clock())
        prediction = read_object(raw_body)
        if prediction is None:
            raise WebhookRefused("unreadable")
        return Notice(event_id, _read(prediction))


def _read(prediction: Json) -> Progress:
    provider_id, status = identifier(prediction, "id"), text(prediction, "status")
    if not provider_id:
        return Unknown(Reason.BAD_ANSWER)
    if status in ("starting", "processing"):
        return Working(provider_id)
    if status == "succeeded":
        # Its metrics are seconds of hardware; it does not say money.
        return Finished(provider_id, addresses(prediction.get("output")), None)
    if status == "failed":
        return Failed(provider_id, _failure(text(prediction, "error")), Spend(0, reported=False))
    if status in ("canceled", "aborted"):
        return Failed(provider_id, Reason.CANCELLED, Spend(0, reported=False))
    return Unknown(Reason.BAD_ANSWER)


def _failure(error: str) -> Reason:
    lowered = error[:500].lower()
    flagged = any(word in lowered for word in ("sensitive", "nsfw", "safety", "flagged"))
    return Reason.CONTENT_POLICY if flagged else Reason.PROVIDER_FAILED


def _input(order: Order) -> dict[str, object]:
    """Ratios by name, resolution tiers by name, ``jpg`` for jpeg; the picture to start from is ``image``."""
    fields: dict[str, object] = {
        "prompt": order.prompt,
        "aspect_ratio": order.ratio,
        "output_format": _FORMATS.get(order.output_format, order.output_format),
        "num_outputs": order.output_number,
        "resolution": order.resolution,
    }
    if order.input_url is not None:
        fields["image"] = order.input_url
    if order.kind is MediaKind.VIDEO:
        fields |= {"duration": order.duration, "generate_audio": order.generate_audio}
    return fields
