"""Makes the adapters that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sample_app.catalogue import Provider
from sample_app.outbound.addresses import Reach
from sample_app.outbound.exchange import Bounds, Outbound
from sample_app.providers.calls import Api
from sample_app.providers.fal import Fal
from sample_app.providers.offers import OFFERS
from sample_app.providers.openrouter import OpenRouter
from sample_app.providers.replicate import Replicate
from sample_app.webhooks.key_set import KeySet
from sample_app.webhooks.signatures import StandardWebhooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sample_app.clock import Clock
    from sample_app.edge_settings import EdgeSettings
    from sample_app.providers.port import ProviderPort


def adapters(settings: EdgeSettings, clock: Clock) -> Mapping[Provider, ProviderPort]:
    """An adapter for each provider in *settings*."""
    # The operator names these addresses, so the hosts are free; what is private is the operator's word too.
    bounds = Bounds(total_seconds=settings.provider_seconds_max + settings.replicate_wait_seconds)
    outbound = Outbound(Reach(private=settings.private_providers), bounds)
    made: dict[Provider, ProviderPort] = {}
    for provider, given in settings.providers.items():
        scheme = "Key" if provider is Provider.FAL else "Bearer"
        api, offers = Api(given.url, f"{scheme} {given.token}", outbound), OFFERS[provider]
        match provider:
            case Provider.REPLICATE:
                signatures = StandardWebhooks(given.webhook_secrets)
                made[provider] = Replicate(api, offers, signatures, clock, settings.replicate_wait_seconds)
            case Provider.FAL:
                made[provider] = Fal(api, offers, KeySet(given.keys_url, outbound, clock), clock)
            case Provider.OPENROUTER:
                made[provider] = OpenRouter(api, offers, given.webhook_secrets, clock)
    return made
