"""Everything that lies outside: providers, the storage of artifacts, and customers' servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sample_app.providers.build import adapters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sample_app.artifact_pipeline import ArtifactPipeline
    from sample_app.catalogue import Provider
    from sample_app.clock import Clock
    from sample_app.config import Settings
    from sample_app.deliveries import Sender
    from sample_app.providers.port import ProviderPort


@dataclass(frozen=True, slots=True)
class Edges:
    """What the control plane calls. A provider that is not in ``ports`` is not configured."""

    ports: Mapping[Provider, ProviderPort]
    artifacts: ArtifactPipeline
    sender: Sender


def open_edges(settings: Settings, clock: Clock) -> Edges:
    """The edges that the settings name."""
    return Edges(adapters(settings.edges, clock), None, None)  # type: ignore[arg-type]
