"""The catalogue's models in the providers' names, and what the operator pays for them: data only.

Prices are in millionths of a US dollar for each output, each second, and each second of sound. They fill in where a
provider does not report what it charged. Replace names and prices by those of your own contracts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sample_app.catalogue import Provider

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Offered:
    """One model at one provider."""

    name: str
    output_micro_usd: int = 0
    second_micro_usd: int = 0
    audio_second_micro_usd: int = 0


OFFERS: Final[Mapping[Provider, Mapping[str, Offered]]] = {
    Provider.REPLICATE: {
        "reef-1": Offered("reef-labs/reef-1", output_micro_usd=3_000),
        "reef-1-pro": Offered("reef-labs/reef-1-pro", output_micro_usd=40_000),
        "current-1": Offered("tidal/current-1", second_micro_usd=100_000, audio_second_micro_usd=50_000),
        "current-1-fast": Offered("tidal/current-1-fast", second_micro_usd=40_000),
    },
    Provider.FAL: {
        "reef-1": Offered("fal-ai/reef/v1", output_micro_usd=4_000),
        "reef-1-pro": Offered("fal-ai/reef/v1/pro", output_micro_usd=45_000),
        "current-1": Offered("fal-ai/current/v1", second_micro_usd=120_000, audio_second_micro_usd=40_000),
        "lagoon-3": Offered("fal-ai/lagoon/v3", second_micro_usd=250_000, audio_second_micro_usd=80_000),
    },
    Provider.OPENROUTER: {
        "pearl-2": Offered("pearl/pearl-2", output_micro_usd=39_000),
        "current-1-fast": Offered("tidal/current-1-fast", second_micro_usd=45_000),
        "lagoon-3": Offered("lagoon/lagoon-3", second_micro_usd=230_000, audio_second_micro_usd=70_000),
    },
}
