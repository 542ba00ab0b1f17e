"""What a generation costs: whole credits, from the model and the fields that are priced, and from nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sample_app.catalogue import MediaKind
from sample_app.errors import ApiError, ErrorCode

if TYPE_CHECKING:
    from sample_app.catalogue import Model
    from sample_app.generation_request import GenerationRequest


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The fields that make a price, defaults filled in. ``duration`` is in seconds, 0 for images."""

    output_number: int
    duration: int
    resolution: str
    generate_audio: bool


def dimensions(model: Model, request: GenerationRequest) -> Dimensions:
    """Fill in the model's defaults, after checking that it supports everything that *request* asks for.

    Raises:
        ApiError: 422, naming the field, if the model does not support it.
    """
    options = model.options
    _supports(request.ratio in (None, *options.ratios), "generation_ratio")
    _supports(request.output_format in (None, *options.output_formats), "generation_output_format")
    _supports((request.output_number or 1) <= options.output_number_max, "generation_output_number")
    _supports(request.input_file is None or options.input_file, "generation_input_file")
    _supports(request.duration in (None, *options.durations), "generation_duration")
    _supports(request.resolution in (None, *options.resolutions), "generation_resolution")
    # An image has no sound to leave out either, so even false is a field that it does not have.
    audible = model.kind is MediaKind.VIDEO and (options.audio or not request.generate_audio)
    _supports(request.generate_audio is None or audible, "generation_generate_audio")
    _supports(set(request.provider_order or ()) <= set(model.providers), "generation_provider_order")
    return Dimensions(
        output_number=request.output_number or 1,
        duration=request.duration or (options.durations[0] if options.durations else 0),
        resolution=request.resolution or options.resolutions[0],
        generate_audio=bool(request.generate_audio),
    )


def credits_for(model: Model, priced: Dimensions) -> int:
    """The price in whole credits: outputs × (output + seconds × (second + sound))."""
    sound = model.price.per_second_audio if priced.generate_audio else 0
    second = model.price.per_second[priced.resolution] + sound
    return priced.output_number * (model.price.per_output[priced.resolution] + priced.duration * second)


def _supports(supported: bool, name: str) -> None:
    if not supported:
        raise ApiError(ErrorCode.UNSUPPORTED_OPTION, f"The model does not support this value of {name}.")
