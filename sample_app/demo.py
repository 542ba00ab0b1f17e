"""A demo account to try requests with: credits, one key, and a few generations in different states.

Running it again adds nothing twice. It makes a new key each time and revokes the one before, since a stored key's
secret cannot be shown again.
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bsguard import testing
from sample_app import event_system, files, generations
from sample_app.api_keys import API_SCOPES
from sample_app.artifact_pipeline import Winner
from sample_app.catalogue import MediaKind
from sample_app.clock import DAY_MS, SECOND_MS
from sample_app.generations import Generation, Status
from sample_app.simulated import media

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from sample_app.api_keys import IssuedKey
    from sample_app.artifact_pipeline import Stored
    from sample_app.services import ControlPlane

ACCOUNT_ID: Final = "demo"
LABEL: Final = "demo"

# Enough for everything that the tour does.
CREDITS: Final = 10_000

# A demo key can do everything, so it does not outlive the day it was made for.
KEY_LIFETIME_MS: Final = DAY_MS

_MINUTE_MS: Final = 60 * SECOND_MS


@dataclass(frozen=True, slots=True)
class _Sample:
    kind: MediaKind
    model: str
    status: Status
    credits: int
    provider: str | None
    request: Mapping[str, object]
    outputs: int = 0
    output_format: str = "png"
    failure: tuple[str, str] | None = None


_SAMPLES: Final = (
    _Sample(
        MediaKind.IMAGE,
        "reef-1",
        Status.SUCCEEDED,
        6,
        "replicate",
        {"generation_prompt": "A lighthouse in fog", "generation_ratio": "16:9", "generation_output_number": 2},
        outputs=2,
    ),
    _Sample(
        MediaKind.VIDEO,
        "current-1",
        Status.SUCCEEDED,
        245,
        "fal",
        {
            "generation_prompt": "Waves rolling over a pier at dawn",
            "generation_duration": 8,
            "generation_resolution": "720p",
            "generation_generate_audio": True,
        },
        outputs=1,
        output_format="mp4",
    ),
    _Sample(
        MediaKind.IMAGE,
        "pearl-2",
        Status.FAILED,
        12,
        "openrouter",
        {"generation_prompt": "A poster that says OPEN", "generation_output_format": "png"},
        failure=("provider_failed", "No provider could make this."),
    ),
    _Sample(
        MediaKind.VIDEO,
        "lagoon-3",
        Status.RUNNING,
        600,
        "openrouter",
        {"generation_prompt": "A slow flight over a reef", "generation_duration": 10},
    ),
    _Sample(
        MediaKind.IMAGE,
        "reef-1-pro",
        Status.CANCELLED,
        40,
        None,
        {"generation_prompt": "A map of an island", "generation_resolution": "4K"},
    ),
)


def seed_demo(parts: ControlPlane) -> IssuedKey:
    """Make sure that the demo account has credits and generations, and give it a new key in place of the one before.

    What the guard has counted so far is forgotten, so that a demo can be given twice in a minute.
    """
    testing.reset()
    now = parts.clock()
    with parts.database.writing() as connection:
        parts.credits.topup(connection, ACCOUNT_ID, CREDITS, LABEL)
    for number, sample in enumerate(_SAMPLES, start=1):
        made = _generation(number, sample, now)
        if parts.generations.find(ACCOUNT_ID, made.generation_id) is None:
            stored = tuple(_store(parts, made, sample, index) for index in range(sample.outputs))
            with parts.database.writing() as connection:
                _add(connection, parts, made, stored)
    return parts.keys.replace_labelled(ACCOUNT_ID, API_SCOPES, label=LABEL, expires_at=now + KEY_LIFETIME_MS)


def _store(parts: ControlPlane, generation: Generation, sample: _Sample, index: int) -> Stored:
    name = f"{generation.generation_id}/{index}"
    made = media.make(sample.output_format, name)
    # A name that nobody has used: whoever was interrupted while seeding begins again.
    key = f"{ACCOUNT_ID}/{generation.generation_id}/demo-{secrets.token_hex(8)}/{index}.{sample.output_format}"
    return parts.artifacts.put(key, [made], f"{sample.kind}/{sample.output_format}", len(made))


def _add(connection: Connection, parts: ControlPlane, generation: Generation, stored: tuple[Stored, ...]) -> None:
    """Add a generation with its files and its hold, settled as its state says; nobody works on the unfinished one."""
    if not generations.add(connection, generation, due_at=None):
        return
    files.add_outputs(connection, generation, Winner(1, stored), generation.updated_at)
    event_system.record(connection, generation)
    parts.credits.reserve(connection, generation)
    if generation.status is Status.SUCCEEDED:
        parts.credits.charge(connection, generation)
    elif generation.status.final:
        parts.credits.release(connection, generation)


def _generation(number: int, sample: _Sample, now: int) -> Generation:
    created = now - number * _MINUTE_MS
    # The same on every run, so that the second run finds what the first one added.
    generation_id = f"gen_{uuid.uuid5(uuid.NAMESPACE_URL, f'https://api.us.babysea.ai/demo/generation/{number}').hex}"
    return Generation(
        generation_id=generation_id,
        account_id=ACCOUNT_ID,
        kind=sample.kind,
        model=sample.model,
        status=sample.status,
        # One change for each state that a generation passes on its way.
        version=4 if sample.status.final else 3,
        request=sample.request,
        credits=sample.credits,
        provider=sample.provider,
        outputs=files.output_ids(generation_id, 1, sample.outputs),
        failure=sample.failure,
        created_at=created,
        updated_at=created + 30 * SECOND_MS,
    )
