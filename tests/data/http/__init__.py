"""Raw HTTP/1 requests, ours: what must never reach an app as accepted, and what must reach it unchanged.

Tables by family; near-identical cases come out of loops. What belongs here is bytes, the reason and the expectation.
How a request is sent and judged is `tests/servers/`.
"""

from __future__ import annotations

from tests.data.http import (
    hostile_chunks,
    hostile_framing,
    hostile_head,
    hostile_identity,
    hostile_json,
    hostile_media,
    hostile_target,
    legal_bodies,
    legal_heads,
    legal_targets,
)
from tests.data.http.case import CANARY, CLOSED, Defused, Hostile, Legal, Seen

HOSTILE: dict[str, tuple[Hostile, ...]] = {
    **hostile_framing.FAMILIES,
    **hostile_chunks.FAMILIES,
    **hostile_head.FAMILIES,
    **hostile_target.FAMILIES,
    **hostile_identity.FAMILIES,
    **hostile_media.FAMILIES,
    **hostile_json.FAMILIES,
}
LEGAL: dict[str, tuple[Legal, ...]] = {
    **legal_heads.FAMILIES,
    **legal_targets.FAMILIES,
    **legal_bodies.FAMILIES,
}

__all__ = ["CANARY", "CLOSED", "HOSTILE", "LEGAL", "Defused", "Hostile", "Legal", "Seen"]
