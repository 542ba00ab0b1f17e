"""Webhooks to customers on the wire: signed, to checked addresses only, each try once. When to try again is data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sample_app.clock import SECOND_MS
from sample_app.deliveries import Sent
from sample_app.outbound.exchange import Bounds, Lost, NotSent
from sample_app.webhooks.signatures import StandardWebhooks, read_secret

if TYPE_CHECKING:
    from sample_app.outbound.exchange import Outbound

# Standard Webhooks, "Deliverability and reliability": the wait after each try that was not taken. After the tenth try
# nothing more is sent; the first is made at once.
WAITS_SECONDS: Final = (
    5.0,
    5.0 * 60,
    30.0 * 60,
    2.0 * 60 * 60,
    5.0 * 60 * 60,
    10.0 * 60 * 60,
    14.0 * 60 * 60,
    20.0 * 60 * 60,
    24.0 * 60 * 60,
)

# "between 15s and 30s". Of the answer only the status counts.
BOUNDS: Final = Bounds(connect_seconds=5.0, total_seconds=15.0, answer_bytes_max=65_536)

_GONE: Final = 410


@dataclass(frozen=True, slots=True)
class WebhookSender:
    """The sender. *outbound* has the reach that customers' addresses may have."""

    outbound: Outbound

    def send(self, url: str, secret: str, event_id: str, sent_at: int, body: bytes) -> Sent:
        """Try once. ``secret`` may be several, separated by spaces: each signs, newest first."""
        try:
            signer = StandardWebhooks(tuple(read_secret(each) for each in secret.split()))
        except ValueError:
            return Sent(delivered=False, outcome="unusable_secret")
        seconds = sent_at // SECOND_MS
        headers = {
            "Content-Type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": signer.sign(event_id, seconds, body),
        }
        try:
            with self.outbound.open("POST", url, headers, body, bounds=BOUNDS) as answer:
                # A receiver that streams at us is not listened to.
                status = answer.status
        except (NotSent, Lost) as failure:
            return Sent(delivered=False, outcome=failure.why)
        return Sent(delivered=200 <= status <= 299, outcome=str(status), gone=status == _GONE)

    def wait_seconds(self, tries: int) -> float | None:
        """The wait after so many tries; None after the last."""
        return WAITS_SECONDS[tries - 1] if 1 <= tries <= len(WAITS_SECONDS) else None
