"""What can be generated: models, the providers that offer them, and prices.

A provider's offer is its own; the public contract shows only what *all active* providers of a model have in common,
so that a generation can move to any of them without changing what was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_Value = TypeVar("_Value")


class MediaKind(StrEnum):
    """What a model makes."""

    IMAGE = "image"
    VIDEO = "video"


class Provider(StrEnum):
    """Who can run models."""

    REPLICATE = "replicate"
    FAL = "fal"
    OPENROUTER = "openrouter"


@dataclass(frozen=True, slots=True)
class Options:
    """What can be asked for. The first of each is the default; ``durations`` are seconds, empty for images."""

    ratios: tuple[str, ...]
    output_formats: tuple[str, ...]
    resolutions: tuple[str, ...]
    durations: tuple[int, ...] = ()
    output_number_max: int = 1
    input_file: bool = False
    audio: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """One provider's offer of a model. An inactive one is neither used nor counted."""

    provider: Provider
    options: Options
    active: bool = True


@dataclass(frozen=True, slots=True)
class Price:
    """Prices in whole credits: by resolution for each output and each second, and for each second of sound."""

    per_output: Mapping[str, int]
    per_second: Mapping[str, int]
    per_second_audio: int = 0


@dataclass(frozen=True, slots=True)
class Model:
    """A model as it is sold: its active providers and the options that they all have."""

    name: str
    kind: MediaKind
    title: str
    providers: tuple[Provider, ...]
    options: Options
    price: Price


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The models on sale, in the order in which they are shown."""

    models: tuple[Model, ...]

    def find(self, name: str) -> Model | None:
        """The model with this name."""
        return next((model for model in self.models if model.name == name), None)

    def list(self, kind: MediaKind | None = None) -> tuple[Model, ...]:
        """All models, or those of one kind."""
        return tuple(model for model in self.models if kind in (None, model.kind))


def sell(name: str, kind: MediaKind, title: str, offers: Sequence[Offer], price: Price) -> Model:
    """Make a model out of its providers' offers.

    Raises:
        ValueError: if the active offers have nothing in common, or a common resolution has no price, or none to pay.
    """
    active = [offer for offer in offers if offer.active]
    if not active:
        raise ValueError(f"{name}: no provider is active")
    options = intersect([offer.options for offer in active])
    needed = ("ratios", "output_formats", "resolutions", *(("durations",) if kind is MediaKind.VIDEO else ()))
    if missing := [each for each in needed if not getattr(options, each)]:
        raise ValueError(f"{name}: the active providers have no common {', '.join(missing)}")
    if unpriced := [one for one in options.resolutions if one not in price.per_output or one not in price.per_second]:
        raise ValueError(f"{name}: no price for {', '.join(unpriced)}")
    shortest = min(options.durations, default=0)
    if free := [one for one in options.resolutions if price.per_output[one] + shortest * price.per_second[one] < 1]:
        # A hold of nothing is no hold.
        raise ValueError(f"{name}: {', '.join(free)} would cost nothing")
    return Model(name, kind, title, tuple(offer.provider for offer in active), options, price)


def intersect(options: Sequence[Options]) -> Options:
    """What all of *options* have, in the order of the first."""
    first, *others = options
    return Options(
        ratios=_common(first.ratios, [other.ratios for other in others]),
        output_formats=_common(first.output_formats, [other.output_formats for other in others]),
        resolutions=_common(first.resolutions, [other.resolutions for other in others]),
        durations=_common(first.durations, [other.durations for other in others]),
        output_number_max=min(each.output_number_max for each in options),
        input_file=all(each.input_file for each in options),
        audio=all(each.audio for each in options),
    )


def _common(first: tuple[_Value, ...], others: Sequence[tuple[_Value, ...]]) -> tuple[_Value, ...]:
    return tuple(value for value in first if all(value in other for other in others))
