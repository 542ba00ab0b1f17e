"""What a stored generation asks of providers, in the public contract's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from sample_app.generation_request import read_fields
from sample_app.pricing import dimensions
from sample_app.protocol_translation import order_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sample_app.catalogue import Catalogue, Model, Provider
    from sample_app.generations import Generation
    from sample_app.providers.port import Order


@dataclass(frozen=True, slots=True)
class Orders:
    """Reads stored requests again, with the model's defaults filled in.

    ``public_url`` is where providers reach this service; empty where they do not, and then they are only asked.
    ``link`` makes an address under which a provider can fetch an input file.
    """

    catalogue: Catalogue
    public_url: str
    link: Callable[[str], str]

    def known(self, generation: Generation) -> bool:
        """Whether its model is still in the catalogue: a new version of the service may have none of that name."""
        return self.catalogue.find(generation.model) is not None

    def providers(self, generation: Generation) -> tuple[Provider, ...]:
        """Who may be asked, in the client's order or else the model's; nobody for a model that was removed."""
        if not self.known(generation):
            return ()
        return read_fields(generation.request).provider_order or self._model(generation).providers

    def order(self, generation: Generation) -> Order:
        """The order, the same for every provider."""
        request = read_fields(generation.request)
        input_url = None if request.input_file is None else self.link(request.input_file)
        return order_of(self._model(generation), request, input_url)

    def output_number(self, generation: Generation) -> int:
        """How many outputs were asked and paid for."""
        return dimensions(self._model(generation), read_fields(generation.request)).output_number

    def output_format(self, generation: Generation) -> str:
        """Which format the outputs must have."""
        return read_fields(generation.request).output_format or self._model(generation).options.output_formats[0]

    def price_of(self, generation: Generation, delivered: int) -> int:
        """What is charged when so many outputs came: each costs the same, so that fewer cost less."""
        return generation.credits * delivered // self.output_number(generation)

    def webhook_url(self, provider: Provider, token: str) -> str:
        """Where the provider reports on the attempt; empty if it cannot reach us."""
        if not self.public_url:
            return ""
        return f"{self.public_url}/v1/webhooks/{quote(provider)}?attempt={token}"

    def _model(self, generation: Generation) -> Model:
        model = self.catalogue.find(generation.model)
        if model is None:
            raise LookupError("a model with unfinished generations was taken out of the catalogue")
        return model
