"""Protocol translation: from the public schema to an order in its words. The adapters turn that into dialects.

What the contract has is what an order has; a provider's own fields come in nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sample_app.pricing import dimensions
from sample_app.providers.port import Order

if TYPE_CHECKING:
    from sample_app.catalogue import Model
    from sample_app.generation_request import GenerationRequest


def order_of(model: Model, request: GenerationRequest, input_url: str | None) -> Order:
    """The order for *request*, with the model's defaults for what was left out."""
    priced = dimensions(model, request)
    return Order(
        kind=model.kind,
        model=model.name,
        prompt=request.prompt or "",
        ratio=request.ratio or model.options.ratios[0],
        output_format=request.output_format or model.options.output_formats[0],
        output_number=priced.output_number,
        input_url=input_url,
        duration=priced.duration,
        resolution=priced.resolution,
        generate_audio=priced.generate_audio,
    )
