"""Orders, and placing them with a simulated provider."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sample_app.catalogue import MediaKind
from sample_app.providers.port import Order

if TYPE_CHECKING:
    from sample_app.providers.port import ProviderPort
    from sample_app.simulated.process import Simulated
    from tests.sample_app.providers.conftest import Receiver

    Ports = dict[str, ProviderPort]
    Providers = dict[str, Simulated]

JOBS = [
    ("replicate", "reef-1"),
    ("fal", "reef-1"),
    ("replicate", "current-1"),
    ("fal", "current-1"),
    ("openrouter", "lagoon-3"),
]
IDS = [f"{provider}-{model}" for provider, model in JOBS]


def order(model: str, prompt: str = "A reef at dawn", **changed: object) -> Order:
    video = not model.startswith(("reef", "pearl"))
    values: dict[str, object] = {
        "kind": MediaKind.VIDEO if video else MediaKind.IMAGE,
        "model": model,
        "prompt": prompt,
        "ratio": "16:9",
        "output_format": "mp4" if video else "png",
        "output_number": 1,
        "input_url": None,
        "duration": 8 if video else 0,
        "resolution": "1080p" if video else "1K",
        "generate_audio": video,
    }
    return Order(**values | changed)  # type: ignore[arg-type]


def place(port: ProviderPort, receiver: Receiver, placed: Order) -> tuple[str, object]:
    token = secrets.token_hex(16)
    return token, port.submit(placed, token, receiver.address(token))


def jobs_of(simulated: Simulated, token: str) -> list[dict[str, object]]:
    return [job for job in simulated.ledger()["jobs"] if job["token"] == token]
