"""What the control plane asks of a provider, and every answer that it can get.

Adapters translate; they decide nothing and store nothing. They raise for nothing that a provider does: whatever
comes over the wire, or does not come, is one of the answers below. An answer's class says what it means for money:

==================  ================================================  ==========================================
answer              what is known                                     what may be done
==================  ================================================  ==========================================
``Accepted``        the provider has the order and will run it        wait; poll; never order elsewhere meanwhile
``Working``         the same, asked later                             the same
``Finished``        the work is done and the provider charges it      fetch the outputs, settle once
``Refused``         the order was never started, nothing is charged   order elsewhere, or release
``Failed``          it was started and will never have a result       order elsewhere, or release; note the spend
``Absent``          the provider has no order with this token         like ``Refused``
``Unknown``         nothing: it may or may not run and be charged     keep the hold, ask again; never order elsewhere
==================  ================================================  ==========================================
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sample_app.catalogue import MediaKind, Provider


@dataclass(frozen=True, slots=True)
class Order:
    """A generation in the words of the public contract, in its order of fields, defaults filled in.

    ``duration`` is in seconds and 0 for images. ``input_url`` is an address from which the provider can fetch the
    input file for a while, if there is one. Pixels and providers' knobs have no place here: each adapter makes its
    provider's own fields out of these.
    """

    kind: MediaKind
    model: str
    prompt: str
    ratio: str
    output_format: str
    output_number: int
    input_url: str | None
    duration: int
    resolution: str
    generate_audio: bool


@dataclass(frozen=True, slots=True)
class Spend:
    """What an attempt costs the operator, in millionths of a US dollar.

    ``reported`` tells the provider's own figure from one worked out with the operator's price list. Customers never
    see either; they pay the catalogue's price.
    """

    micro_usd: int
    reported: bool


@dataclass(frozen=True, slots=True)
class Output:
    """One finished file. The address is the provider's claim; the artifact pipeline checks it.

    It is a ``data:`` address, which is the file itself, where a dialect answers with the file. Then write it down with
    the answer: nobody can be asked for it again.
    """

    url: str


class Reason(StrEnum):
    """Why there is no result. The value is stored and shown to operators; ``unhealthy`` is for the breaker."""

    INVALID_ORDER = "invalid_order"
    """The provider does not take what was asked for. Another one may."""
    CONTENT_POLICY = "content_policy"
    """The provider will not make this."""
    CREDENTIALS = "credentials"
    """Our token is missing, wrong, or without credit at the provider."""
    OVERLOADED = "overloaded"
    """The provider said to come back later."""
    UNREACHABLE = "unreachable"
    """No connection was made, so nothing was sent."""
    TIMED_OUT = "timed_out"
    """No answer in time. The request was sent."""
    BROKEN = "broken"
    """The connection ended before the answer did. The request was sent."""
    SERVER_ERROR = "server_error"
    """An error of the provider's. The order may have been taken before it."""
    BAD_ANSWER = "bad_answer"
    """An answer that cannot be understood: no id, another shape, too large."""
    PROVIDER_FAILED = "provider_failed"
    """The provider ran the order and says that it failed."""
    CANCELLED = "cancelled"
    """The provider stopped the order, asked or not."""
    EXPIRED = "expired"
    """The provider gave the order up."""
    NOT_FOUND = "not_found"
    """The provider does not know an id that it gave out, or has forgotten it."""
    UNSUPPORTED = "unsupported"
    """The dialect has no such call."""

    @property
    def unhealthy(self) -> bool:
        """Whether it speaks against the provider, rather than against the order or the customer."""
        return self not in (Reason.INVALID_ORDER, Reason.CONTENT_POLICY, Reason.CANCELLED, Reason.UNSUPPORTED)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has the order: it will run, and be charged, under this id. Write the id down, then wait."""

    provider_id: str


@dataclass(frozen=True, slots=True)
class Working:
    """The order is queued or runs. It will be charged unless it fails."""

    provider_id: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The work is done and the operator pays for it. The first of a generation settles; a later one is late.

    ``spend`` is None where the provider does not say what it charges: the attempt's quote stands.
    """

    provider_id: str
    outputs: tuple[Output, ...]
    spend: Spend | None


@dataclass(frozen=True, slots=True)
class Failed:
    """Definite: the order was started and will never have a result. The spend may be more than nothing."""

    provider_id: str
    reason: Reason
    spend: Spend


@dataclass(frozen=True, slots=True)
class Refused:
    """Definite: the order was not taken. Nothing runs and nothing is charged."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Absent:
    """Definite: the provider has looked and has no order with the token. Nothing runs and nothing is charged."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing is known: the order may run and be charged. Keep the hold, ask again, order nowhere else.

    After a submit whose answer was lost this is the only honest answer; ``find`` or the webhook may resolve it.
    """

    reason: Reason


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """The provider will stop if it still can. Only ``poll`` or a webhook tells whether it did: it may yet finish."""


@dataclass(frozen=True, slots=True)
class TooLate:
    """The order had ended, one way or the other, before the cancellation came. ``poll`` tells which."""


Submitted: TypeAlias = Accepted | Finished | Refused | Unknown
"""What ``submit`` can answer. ``Finished`` is an inline result."""

Progress: TypeAlias = Working | Finished | Failed | Unknown
"""What ``poll`` and a webhook can tell of an order with a known id."""

Found: TypeAlias = Working | Finished | Failed | Absent | Unknown
"""What ``find`` can answer. ``Unknown(Reason.UNSUPPORTED)`` means that the dialect cannot look up a token at all."""

Cancelled: TypeAlias = CancelRequested | TooLate | Unknown
"""What ``cancel`` can answer. ``Unknown(Reason.UNSUPPORTED)``: the dialect cannot cancel, the order runs on."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A verified webhook. ``event_id`` is the same in every delivery of one event: the inbox's unique key."""

    event_id: str
    progress: Progress


class WebhookRefused(Exception):
    """The webhook is not the provider's, or not of now. Answer 401, store nothing, record an event.

    ``why`` is one of a few fixed words (`missing_headers`, `stale`, `bad_signature`, …) and repeats nothing sent.
    """

    def __init__(self, why: str) -> None:
        """Remember *why*."""
        self.why = why
        super().__init__(f"webhook refused: {why}")


class ProviderPort(Protocol):
    """One provider. Adapters are shared by threads and keep no state about orders.

    No method raises for what a provider or the network does, waits longer than the configured time-outs, follows a
    redirect, or reads more than the configured size.
    """

    @property
    def provider(self) -> Provider:
        """Which provider this is."""

    def quote(self, order: Order) -> Spend:
        """What the attempt will cost at most by the operator's price list. Asks nobody."""

    def submit(self, order: Order, token: str, webhook_url: str) -> Submitted:
        """Give the order to the provider, once.

        *token* is the attempt's own random token; commit the attempt's row with it before calling. *webhook_url* is
        where the provider reports; it must carry the token. Never call twice for one attempt: after ``Unknown`` call
        ``find``. A time-out or a broken connection after sending is ``Unknown``, never ``Refused``.
        """

    def poll(self, model: str, provider_id: str) -> Progress:
        """How the order stands. *model* is the catalogue's. ``Unknown`` changes nothing: ask again later."""

    def find(self, model: str, token: str, submitted_at: int) -> Found:
        """Look an order up by the attempt's token, for a submit whose answer was lost.

        *submitted_at* is the attempt's moment in milliseconds; orders of before it are not looked through.
        """

    def cancel(self, model: str, provider_id: str) -> Cancelled:
        """Ask the provider to stop. Saves money at best; settles nothing."""

    def download_headers(self, url: str) -> Mapping[str, str]:
        """The headers that an output's address needs: our token, where the address is the provider's own API."""

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notice:
        """Verify a report on its raw bytes and read it.

        *headers* are looked up without regard to case. The report names the provider's order; that the order belongs
        to the attempt whose token is in the address is for the caller to compare.

        Raises:
            WebhookRefused: if it is unsigned, forged, stale, or cannot be read.
        """
