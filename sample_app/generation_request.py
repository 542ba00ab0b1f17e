"""The common fields of a generation, read out of a JSON body.

The fields and their order are the contract's: prompt, ratio, output format, output number, input file, duration,
resolution, audio, provider order. Pixels, seeds and other providers' knobs have no place here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sample_app.catalogue import Provider
from sample_app.errors import ApiError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

RATIOS: Final = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "21:9")
OUTPUT_FORMATS: Final = ("png", "jpeg", "webp", "mp4", "webm")
RESOLUTIONS: Final = ("1K", "2K", "4K", "480p", "720p", "1080p")
PROMPT_LENGTH_MAX: Final = 4_000
OUTPUT_NUMBER_MAX: Final = 4
DURATION_SECONDS_MAX: Final = 60

FIELDS: Final = (
    "generation_prompt",
    "generation_ratio",
    "generation_output_format",
    "generation_output_number",
    "generation_input_file",
    "generation_duration",
    "generation_resolution",
    "generation_generate_audio",
    "generation_provider_order",
)

_FILE_ID: Final = re.compile(r"file_[0-9a-f]{32}", re.ASCII)
MODEL_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """The common fields; None is a field that was left out. ``duration`` is in seconds."""

    prompt: str | None = None
    ratio: str | None = None
    output_format: str | None = None
    output_number: int | None = None
    input_file: str | None = None
    duration: int | None = None
    resolution: str | None = None
    generate_audio: bool | None = None
    provider_order: tuple[Provider, ...] | None = None


def read_named(body: object) -> tuple[str, GenerationRequest]:
    """The model's name and the common fields of a body that has both.

    Raises:
        ApiError: 422, naming the field and what it must be.
    """
    fields = _object(body, ("model", *FIELDS))
    model = _matching(fields, "model", MODEL_NAME)
    if model is None:
        raise ApiError(ErrorCode.INVALID_BODY, "model is missing.")
    return model, read_fields(fields)


def read_generation(body: object) -> GenerationRequest:
    """The common fields of a body that has nothing else.

    Raises:
        ApiError: 422, naming the field and what it must be.
    """
    return read_fields(_object(body, FIELDS))


def read_fields(body: Mapping[str, object]) -> GenerationRequest:
    """The common fields of *body*.

    Raises:
        ApiError: 422, naming the field and what it must be.
    """
    return GenerationRequest(
        prompt=_text(body, "generation_prompt", PROMPT_LENGTH_MAX),
        ratio=_choice(body, "generation_ratio", RATIOS),
        output_format=_choice(body, "generation_output_format", OUTPUT_FORMATS),
        output_number=_integer(body, "generation_output_number", OUTPUT_NUMBER_MAX),
        input_file=_matching(body, "generation_input_file", _FILE_ID),
        duration=_integer(body, "generation_duration", DURATION_SECONDS_MAX),
        resolution=_choice(body, "generation_resolution", RESOLUTIONS),
        generate_audio=_flag(body, "generation_generate_audio"),
        provider_order=_providers(body, "generation_provider_order"),
    )


def show_fields(request: GenerationRequest) -> dict[str, object]:
    """The fields that were sent, in the contract's order, under the contract's names."""
    values = (
        request.prompt,
        request.ratio,
        request.output_format,
        request.output_number,
        request.input_file,
        request.duration,
        request.resolution,
        request.generate_audio,
        request.provider_order,
    )
    return {name: value for name, value in zip(FIELDS, values, strict=True) if value is not None}


def _object(body: object, allowed: Collection[str]) -> Mapping[str, object]:
    if not isinstance(body, dict):
        raise ApiError(ErrorCode.INVALID_BODY, "The body must be a JSON object.")
    if any(name not in allowed for name in body):
        raise ApiError(ErrorCode.INVALID_BODY, "The body has a field that is not part of the contract.")
    return body


def _text(body: Mapping[str, object], name: str, length_max: int) -> str | None:
    if name not in body:
        return None
    value = body[name]
    if not isinstance(value, str) or not 1 <= len(value) <= length_max:
        raise _unusable(name, f"a text of 1 to {length_max} characters")
    return value


def _choice(body: Mapping[str, object], name: str, choices: Collection[str]) -> str | None:
    if name not in body:
        return None
    value = body[name]
    if not isinstance(value, str) or value not in choices:
        raise _unusable(name, f"one of {', '.join(choices)}")
    return value


def _matching(body: Mapping[str, object], name: str, pattern: re.Pattern[str]) -> str | None:
    if name not in body:
        return None
    value = body[name]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _unusable(name, f"a text of the form {pattern.pattern}")
    return value


def _integer(body: Mapping[str, object], name: str, maximum: int) -> int | None:
    if name not in body:
        return None
    value = body[name]
    # JSON Schema counts 2.0 as an integer, and JSON does not tell it from 2; Python counts True as one, JSON does not.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= maximum:
        raise _unusable(name, f"an integer from 1 to {maximum}")
    return value


def _flag(body: Mapping[str, object], name: str) -> bool | None:
    if name not in body:
        return None
    value = body[name]
    if not isinstance(value, bool):
        raise _unusable(name, "true or false")
    return value


def _providers(body: Mapping[str, object], name: str) -> tuple[Provider, ...] | None:
    if name not in body:
        return None
    value = body[name]
    known = [provider.value for provider in Provider]
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(one, str) and one in known for one in value)
        or len(set(value)) != len(value)
    ):
        raise _unusable(name, f"a list of different providers out of {', '.join(known)}")
    return tuple(Provider(one) for one in value)


def _unusable(name: str, rule: str) -> ApiError:
    return ApiError(ErrorCode.INVALID_BODY, f"{name} must be {rule}.")
