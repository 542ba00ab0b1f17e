"""The parts of one app that views, commands and the demo share, and where an app keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flask import current_app

if TYPE_CHECKING:
    from sample_app.api_keys import ApiKeyStore
    from sample_app.clock import Clock
    from sample_app.config import Settings
    from sample_app.database import Database
    from sample_app.generations import GenerationStore

EXTENSION: Final = "control_plane"


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """One app's parts."""

    settings: Settings
    clock: Clock
    database: Database
    keys: ApiKeyStore
    generations: GenerationStore


def control_plane() -> ControlPlane:
    """The parts of the app at work."""
    found = current_app.extensions[EXTENSION]
    if not isinstance(found, ControlPlane):
        raise TypeError(f"app.extensions[{EXTENSION!r}] is not the control plane's")
    return found
