"""How the API shows things. Events and stored answers show them in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sample_app.catalogue import MediaKind
from sample_app.clock import rfc3339

if TYPE_CHECKING:
    from sample_app.catalogue import Model
    from sample_app.generations import Generation


def show_generation(generation: Generation) -> dict[str, Any]:
    """The contract's `Generation`."""
    failure = generation.failure
    return {
        "generation_id": generation.generation_id,
        "kind": generation.kind,
        "model": generation.model,
        "status": generation.status,
        "version": generation.version,
        "request": generation.request,
        "credits": generation.credits,
        "provider": generation.provider,
        "outputs": [{"file_id": file_id, "url": f"/v1/files/{file_id}"} for file_id in generation.outputs],
        "failure": None if failure is None else {"code": failure[0], "message": failure[1]},
        "created_at": rfc3339(generation.created_at),
        "updated_at": rfc3339(generation.updated_at),
    }


def show_model(model: Model) -> dict[str, Any]:
    """The contract's `Model`."""
    options, price = model.options, model.price
    video = model.kind is MediaKind.VIDEO
    return {
        "model": model.name,
        "kind": model.kind,
        "title": model.title,
        "providers": model.providers,
        "ratios": options.ratios,
        "output_formats": options.output_formats,
        "output_number_max": options.output_number_max,
        "input_file": options.input_file,
        "durations": options.durations,
        "resolutions": options.resolutions,
        "audio": options.audio,
        "defaults": {
            "generation_ratio": options.ratios[0],
            "generation_output_format": options.output_formats[0],
            "generation_output_number": 1,
            "generation_duration": options.durations[0] if video else None,
            "generation_resolution": options.resolutions[0],
            "generation_generate_audio": False if video else None,
        },
        "pricing": {
            "resolutions": [
                {
                    "generation_resolution": resolution,
                    "credits_per_output": price.per_output[resolution],
                    "credits_per_second": price.per_second[resolution],
                }
                for resolution in options.resolutions
            ],
            "credits_per_second_audio": price.per_second_audio,
        },
    }
