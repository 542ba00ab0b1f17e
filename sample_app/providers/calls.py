"""Calls to a provider's API, and reading its answers without trusting their shape. No dialect is in here."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

from sample_app.outbound.exchange import Answer, Bounds, Lost, NotSent, Outbound
from sample_app.providers.port import Output, Reason, Refused, Spend, Unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sample_app.providers.offers import Offered
    from sample_app.providers.port import Order

# An id that a provider gives out goes into addresses and rows.
ID_LENGTH_MAX: Final = 128
# The contract asks for four at most; what is more is noticed by the count, not read to the end.
OUTPUTS_MAX: Final = 16

Json: TypeAlias = "Mapping[str, object]"

_REFUSALS: Final = {
    400: Reason.INVALID_ORDER,
    401: Reason.CREDENTIALS,
    402: Reason.CREDENTIALS,
    403: Reason.CREDENTIALS,
    404: Reason.INVALID_ORDER,
    405: Reason.INVALID_ORDER,
    410: Reason.INVALID_ORDER,
    413: Reason.INVALID_ORDER,
    415: Reason.INVALID_ORDER,
    422: Reason.INVALID_ORDER,
    429: Reason.OVERLOADED,
    451: Reason.CONTENT_POLICY,
}
_ASKING: Final = {
    401: Reason.CREDENTIALS,
    403: Reason.CREDENTIALS,
    404: Reason.NOT_FOUND,
    410: Reason.NOT_FOUND,
    429: Reason.OVERLOADED,
}
_LOST: Final = {"timed_out": Reason.TIMED_OUT, "broken": Reason.BROKEN, "too_large": Reason.BAD_ANSWER}


@dataclass(frozen=True, slots=True)
class Api:
    """One provider's API: where it is, and how it is told who asks."""

    url: str
    authorization: str = field(repr=False)
    outbound: Outbound

    def send(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        bounds: Bounds | None = None,
    ) -> Answer:
        """Call the API. Raises what `Outbound.exchange` raises."""
        sent = {"Authorization": self.authorization, "Accept": "application/json", **(headers or {})}
        raw = b""
        if body is not None:
            sent["Content-Type"] = "application/json"
            raw = json.dumps(body, separators=(",", ":")).encode()
        return self.outbound.exchange(method, self.url.rstrip("/") + path, sent, raw, bounds=bounds)

    def is_own(self, url: str) -> bool:
        """Whether *url* is of this API, so that our token may be sent there."""
        try:
            ours, theirs = urlsplit(self.url), urlsplit(url)
            same = (ours.scheme, ours.hostname, ours.port) == (theirs.scheme, theirs.hostname, theirs.port)
        except ValueError:
            return False
        return same and theirs.path.startswith(ours.path.rstrip("/") + "/")


def submitted(call: NotSent | Lost | Answer) -> Refused | Unknown | Json:
    """What a submit came to: a definite refusal, nobody knows, or the object in a success.

    A 4xx says that the order was not taken. Anything else that is no success says nothing: a 500 may come from
    behind the place where the order was written down.
    """
    if isinstance(call, NotSent):
        return Refused(Reason.UNREACHABLE)
    if isinstance(call, Lost):
        return Unknown(_LOST[call.why])
    if call.status in _REFUSALS:
        return Refused(_REFUSALS[call.status])
    if not 200 <= call.status <= 299:
        return Unknown(Reason.SERVER_ERROR if call.status >= 500 else Reason.BAD_ANSWER)
    return read_object(call.body) or Unknown(Reason.BAD_ANSWER)


def asked(call: NotSent | Lost | Answer) -> Unknown | Json:
    """What a question came to: nobody knows, or the object in a success."""
    if isinstance(call, NotSent):
        return Unknown(Reason.UNREACHABLE)
    if isinstance(call, Lost):
        return Unknown(_LOST[call.why])
    if not 200 <= call.status <= 299:
        default = Reason.SERVER_ERROR if call.status >= 500 else Reason.BAD_ANSWER
        return Unknown(_ASKING.get(call.status, default))
    return read_object(call.body) or Unknown(Reason.BAD_ANSWER)


def attempt(
    api: Api,
    method: str,
    path: str,
    body: Json | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    bounds: Bounds | None = None,
) -> NotSent | Lost | Answer:
    """Call, with what went wrong as a value."""
    try:
        return api.send(method, path, body, headers, bounds=bounds)
    except (NotSent, Lost) as failure:
        return failure


def read_object(raw: bytes) -> Json | None:
    """The JSON object in *raw*; None if it is anything else, or empty."""
    try:
        loaded = json.loads(raw)
    except (ValueError, RecursionError):
        # ValueError is also bad UTF-8 and integers of thousands of digits.
        return None
    return loaded if isinstance(loaded, dict) and loaded else None


def text(fields: Json, name: str) -> str:
    """A field that is text; empty if it is missing or anything else."""
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def inner(fields: Json, name: str) -> Json:
    """A field that is an object; empty if it is missing or anything else."""
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def identifier(fields: Json, name: str) -> str:
    """A field that is an id fit for an address; empty if it is not."""
    value = text(fields, name)
    fit = 0 < len(value) <= ID_LENGTH_MAX and value.isascii() and all(one.isalnum() or one in "-_." for one in value)
    return value if fit and value.strip(".") else ""


def addresses(values: object) -> tuple[Output, ...]:
    """Outputs out of an address, or a list of addresses or of objects with a ``url``."""
    listed = values if isinstance(values, list) else [values]
    urls = [one.get("url") if isinstance(one, dict) else one for one in listed[:OUTPUTS_MAX]]
    return tuple(Output(url) for url in urls if isinstance(url, str) and url)


def reported_spend(fields: Json) -> Spend | None:
    """``usage.cost``, in US dollars, if the provider says it and it makes sense."""
    cost = inner(fields, "usage").get("cost")
    # NaN compares false, infinity is past the bound.
    if isinstance(cost, (int, float)) and not isinstance(cost, bool) and 0 <= cost <= 1_000_000:
        return Spend(round(cost * 1_000_000), reported=True)
    return None


def tariff(offered: Offered | None, order: Order) -> Spend:
    """What *order* costs by the operator's price list; nothing for what is not offered, since it is not ordered."""
    if offered is None:
        return Spend(0, reported=False)
    second = offered.second_micro_usd + (offered.audio_second_micro_usd if order.generate_audio else 0)
    return Spend(order.output_number * (offered.output_micro_usd + order.duration * second), reported=False)
