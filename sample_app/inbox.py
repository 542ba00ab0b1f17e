"""The inbox: what providers report, once for each event, in one transaction with what follows from it.

A report is believed only as far as it is signed and names the order of the attempt whose token is in its address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, update

from sample_app import attempts, event_system, leases, lifecycle
from sample_app.clock import DAY_MS
from sample_app.crash_points import passing
from sample_app.database import insert_new
from sample_app.errors import ApiError, ErrorCode
from sample_app.providers.port import Unknown, WebhookRefused
from sample_app.tables import inbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from sample_app.attempts import Attempt
    from sample_app.catalogue import Provider
    from sample_app.clock import Clock
    from sample_app.database import Database
    from sample_app.providers.port import Notice, Progress, ProviderPort

# No provider repeats a report for so long.
KEEP_MS = 7 * DAY_MS
# What became of a report that is about no order of the attempt that it was sent for.
STRANGER = "stranger"


@dataclass(frozen=True, slots=True)
class Report:
    """What the inbox made of a report. ``generation_id`` is None where nobody needs to look at it."""

    stored: bool
    generation_id: str | None


@dataclass(frozen=True, slots=True)
class Inbox:
    """Takes reports of all providers."""

    database: Database
    ports: Mapping[Provider, ProviderPort]
    clock: Clock

    def receive(self, provider: Provider, token: str, headers: Mapping[str, str], raw_body: bytes) -> Report:
        """Store a report and what it says. Once this returns, the provider need not repeat it.

        Raises:
            ApiError: 401 if it is not the provider's own and of now; 404 if the provider is not configured.
        """
        port = self.ports.get(provider)
        if port is None:
            raise ApiError(ErrorCode.NOT_FOUND)
        try:
            notice = port.read_webhook(headers, raw_body)
        except WebhookRefused as refused:
            event_system.tell("webhook.refused", provider=provider, why=refused.why)
            headers = {"WWW-Authenticate": 'webhook-signature realm="control-plane"'}
            raise ApiError(ErrorCode.INVALID_WEBHOOK, headers=headers) from None
        now = self.clock()
        with self.database.writing() as connection:
            values = {
                "provider": provider,
                "event_id": notice.event_id,
                "token": token,
                "outcome": "",
                "received_at": now,
            }
            if not insert_new(connection, inbox, values) and not _was_stray(connection, values):
                return Report(stored=False, generation_id=None)
            outcome, generation_id = _apply(connection, provider, token, notice, now)
            connection.execute(
                update(inbox)
                .where(inbox.c.provider == provider, inbox.c.event_id == notice.event_id)
                .values(outcome=outcome)
            )
            passing("report.writing")
        passing("report.done")
        event_system.tell("webhook.stored", provider=provider, outcome=outcome, generation=generation_id)
        return Report(stored=True, generation_id=generation_id)


def forget(connection: Connection, now: int) -> int:
    """Drop reports that nobody will repeat any more; how many."""
    return int(connection.execute(delete(inbox).where(inbox.c.received_at < now - KEEP_MS)).rowcount)


def _was_stray(connection: Connection, values: Mapping[str, object]) -> bool:
    """Whether the report had come to nobody so far: who has caught one may send it to an address of its own first."""
    stray = update(inbox).where(
        inbox.c.provider == values["provider"],
        inbox.c.event_id == values["event_id"],
        inbox.c.token != values["token"],
        inbox.c.outcome == STRANGER,
    )
    return bool(connection.execute(stray.values(token=values["token"])).rowcount)


def _apply(connection: Connection, provider: Provider, token: str, notice: Notice, now: int) -> tuple[str, str | None]:
    attempt = attempts.by_token(connection, token)
    if attempt is None or attempt.provider is not provider or not _about(attempt, notice.progress):
        return STRANGER, None
    # The generation's row before the attempt's, as everywhere, so that nobody waits in a circle.
    leases.signal(connection, attempt.generation_id, now)
    changed = lifecycle.apply(connection, attempt, notice.progress, now)
    return "applied" if changed else "repeated", attempt.generation_id


def _about(attempt: Attempt, progress: Progress) -> bool:
    """Whether the report names the attempt's order, as far as its id is known yet."""
    if isinstance(progress, Unknown):
        return False
    return attempt.provider_id in (None, progress.provider_id)
