"""Policy routing: which provider is asked next.

The order is the client's or the model's. Health moves a provider back and never takes one away: if all are in trouble,
all are tried. Health is read from the attempts themselves, so all workers of all machines on the database agree, and
nobody has to be told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from sample_app.attempts import AttemptState
from sample_app.catalogue import Provider
from sample_app.clock import SECOND_MS
from sample_app.providers.port import Reason
from sample_app.tables import attempts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

# The breaker: of the attempts that ended or went silent within the last minute, more than half went wrong, and there
# were at least five. A provider that is passed over has no attempts, so after a minute it is tried again.
WINDOW_MS: Final = 60 * SECOND_MS
ATTEMPTS_MIN: Final = 5
TROUBLE_PERCENT_MAX: Final = 50

_ENDED: Final = (
    AttemptState.FINISHED,
    AttemptState.WON,
    AttemptState.LATE,
    AttemptState.FAILED,
    AttemptState.UNKNOWN,
    AttemptState.ABANDONED,
)
_TROUBLE: Final = (AttemptState.FAILED, AttemptState.UNKNOWN, AttemptState.ABANDONED)

# What went wrong through the order or the customer says nothing about the provider.
_HARMLESS: Final = tuple(reason.value for reason in Reason if not reason.unhealthy)


@dataclass(frozen=True, slots=True)
class Health:
    """What the last minute says about one provider."""

    attempts: int = 0
    trouble: int = 0

    @property
    def healthy(self) -> bool:
        """Whether it keeps its place."""
        return self.attempts < ATTEMPTS_MIN or self.trouble * 100 <= self.attempts * TROUBLE_PERCENT_MAX


def health(connection: Connection, now: int) -> dict[Provider, Health]:
    """The health of every provider that was asked within the last minute."""
    columns = attempts.c
    trouble = func.count().filter(columns.state.in_(_TROUBLE))
    query = (
        select(columns.provider, func.count().label("attempts"), trouble.label("trouble"))
        .where(
            columns.updated_at > now - WINDOW_MS,
            columns.state.in_(_ENDED),
            columns.reason.is_(None) | columns.reason.not_in(_HARMLESS),
        )
        .group_by(columns.provider)
    )
    return {Provider(row.provider): Health(row.attempts, row.trouble) for row in connection.execute(query)}


def reorder(order: Sequence[Provider], known: dict[Provider, Health]) -> tuple[Provider, ...]:
    """*order* with the healthy ones first; otherwise as it was."""
    return tuple(sorted(order, key=lambda provider: not known.get(provider, Health()).healthy))
