"""Rules that belong to no layer: the driver's own, reported under the layer that met them."""

from __future__ import annotations

from typing import Final

RULES: Final[dict[str, str]] = {
    "body.framing": "A body was to be read, and its framing cannot be relied on.",
    "body.size": "The body is over the inspection limit or the hard maximum.",
    "body.incomplete": "The body ended before its declared length.",
    "body.broken": "Reading the body failed: malformed chunks, a reset, a time-out.",
    "body.spool": "There was no room to keep the body for checking.",
    "guard.layer-failed": "A layer raised an exception it should not have, and its failure policy is closed.",
}
