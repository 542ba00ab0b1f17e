"""What the three dialects have in common on the provider's side: addresses, fields, states, errors, signatures.

What a field may be is checked strictly, so that a wrong translation is a refusal here and not a surprise later.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from werkzeug.wrappers import Response

from sample_app.simulated.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug.wrappers import Request

    from sample_app.simulated.engine import Job

POLL_ERRORS: Final = 3
OUTPUT_PRICE_MICRO_USD: Final = 10_000
SECOND_PRICE_MICRO_USD: Final = 50_000

RATIOS: Final = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "21:9")
TIERS: Final = ("1K", "2K", "4K", "480p", "720p", "1080p")


class Invalid(Exception):
    """The order has a field that this model does not take."""


class Dialect(Protocol):
    """One provider's side."""

    @property
    def scheme(self) -> str:
        """The word before the token in ``Authorization``."""

    def answer(self, request: Request) -> Response | Job | None:
        """Answer a call; a job that was just taken; None if there is no such address."""

    def taken(self, job: Job) -> Response:
        """The answer to an order that was taken."""

    def without_id(self) -> Response:
        """The same, as it must not be."""

    def report(self, job: Job, kind: str) -> tuple[dict[str, str], bytes] | None:
        """A webhook's headers and body: kind ``start``, ``end`` or ``forged``. None where there is none of the kind."""


def answer_json(body: object, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(json.dumps(body), status=status, content_type="application/json")


def read_order(request: Request) -> dict[str, Any]:
    """The body, a JSON object."""
    try:
        loaded = json.loads(request.get_data())
    except ValueError:
        raise Invalid from None
    if not isinstance(loaded, dict):
        raise Invalid
    return loaded


def check(given: Mapping[str, Any], allowed: Mapping[str, Any]) -> None:
    """Every field must be allowed, and be one of the values or of the type that is said."""
    for name, value in given.items():
        wanted = allowed.get(name)
        fits = type(value) is wanted if isinstance(wanted, type) else wanted is not None and value in wanted
        if not fits:
            raise Invalid(name)
    if not given.get("prompt"):
        raise Invalid("prompt")


def price_of(number: int, seconds: int) -> int:
    """What an order costs, in millionths of a US dollar."""
    return number * (OUTPUT_PRICE_MICRO_USD + seconds * SECOND_PRICE_MICRO_USD)


def moment(seconds: float) -> str:
    """A moment as the dialects write it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def media_urls(job: Job, base: str) -> list[str]:
    """Where the outputs of a job are."""
    if job.fault is Fault.OUTPUT_ELSEWHERE:
        return ["http://169.254.169.254/latest/meta-data/iam"] * job.outputs
    return [f"{base}/media/{job.job_id}/{index}.{job.wanted.media_format}" for index in range(job.outputs)]
