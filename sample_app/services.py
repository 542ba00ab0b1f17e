"""The parts of one app that views, commands and the demo share, and where an app keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flask import current_app

from sample_app.leases import give_back_all

if TYPE_CHECKING:
    from sample_app.api_keys import ApiKeyStore
    from sample_app.artifact_pipeline import ArtifactPipeline
    from sample_app.clock import Clock
    from sample_app.config import Settings
    from sample_app.credit_lifecycle import CreditLifecycle
    from sample_app.database import Database
    from sample_app.deliveries import Deliveries
    from sample_app.event_streams import EventStreams
    from sample_app.generations import GenerationStore
    from sample_app.jobs import Jobs, Sweeper
    from sample_app.runner import Runner
    from sample_app.signing import Signing

EXTENSION: Final = "control_plane"


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """One app's parts."""

    settings: Settings
    clock: Clock
    database: Database
    keys: ApiKeyStore
    generations: GenerationStore
    credits: CreditLifecycle
    artifacts: ArtifactPipeline
    deliveries: Deliveries
    signing: Signing
    runner: Runner
    jobs: Jobs
    sweeper: Sweeper
    streams: EventStreams
    #: This process, as leases name it.
    who: str

    def stop(self) -> None:
        """Begin nothing more, end what is being done, and leave the rest to other processes.

        What is still leased then belongs to a thread that did not come back in time; the next one goes on from what
        it has written down.
        """
        self.streams.stopping.set()
        self.sweeper.stop()
        self.runner.stop()
        with self.database.writing() as connection:
            give_back_all(connection, self.who, self.clock())


def control_plane() -> ControlPlane:
    """The parts of the app at work."""
    found = current_app.extensions[EXTENSION]
    if not isinstance(found, ControlPlane):
        raise TypeError(f"app.extensions[{EXTENSION!r}] is not the control plane's")
    return found
