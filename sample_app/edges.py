"""Everything that lies outside: providers, the storage of artifacts, and customers' servers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sample_app.artifacts.local_folder import LocalFolder
from sample_app.artifacts.pipeline import Pipeline
from sample_app.outbound.addresses import Reach
from sample_app.outbound.exchange import Bounds, Outbound
from sample_app.providers.build import adapters
from sample_app.webhooks.sender import WebhookSender

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sample_app.artifact_pipeline import ArtifactPipeline
    from sample_app.artifacts.store import Store
    from sample_app.catalogue import Provider
    from sample_app.clock import Clock
    from sample_app.deliveries import Sender
    from sample_app.edge_settings import EdgeSettings
    from sample_app.providers.port import ProviderPort


@dataclass(frozen=True, slots=True)
class Edges:
    """What the control plane calls. A provider that is not in ``ports`` is not configured."""

    ports: Mapping[Provider, ProviderPort]
    artifacts: ArtifactPipeline
    sender: Sender


# A large video over a thin line; a lease may end meanwhile, which only means that somebody else tries too.
DOWNLOAD_SECONDS_MAX: Final = 120.0


def open_edges(settings: EdgeSettings, clock: Clock) -> Edges:
    """The edges that the settings name. Nothing is connected to yet."""
    ports = adapters(settings, clock)
    bounds = Bounds(total_seconds=DOWNLOAD_SECONDS_MAX, answer_bytes_max=settings.artifact_bytes_max)
    downloads = {
        provider: Outbound(Reach(given.output_hosts, private=settings.private_providers), bounds)
        for provider, given in settings.providers.items()
    }
    return Edges(
        ports=ports,
        artifacts=Pipeline(_store(settings.artifacts), ports, downloads, settings.artifact_bytes_max),
        sender=WebhookSender(Outbound(Reach(private=settings.private_webhooks))),
    )


def _store(place: str) -> Store:
    if not place.startswith("s3://"):
        return LocalFolder(Path(place))
    # Imported here, since it is an extra.
    from sample_app.artifacts.s3 import S3

    return S3(place)
