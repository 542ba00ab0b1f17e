"""Deliveries: customers' webhooks. Every event goes to every subscription of its account, until somebody takes it.

The bytes on the wire (signature, time-outs, where nothing is sent to) are `sample_app.outbound`'s; here is what is
written down: which event goes where, how often it was tried, and when it is tried next.
"""

from __future__ import annotations

import itertools
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from sqlalchemy import delete, insert, select, update

from sample_app.clock import DAY_MS, SECOND_MS
from sample_app.tables import deliveries, outbox, subscriptions

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sample_app.clock import Clock
    from sample_app.database import Database

SUBSCRIPTION_ID: Final = re.compile(r"whs_[0-9a-f]{32}", re.ASCII)

BATCH: Final = 100

# After that, no other try is begun: who works here has generations to look after, and receivers may be slow.
WORK_MS: Final = 20 * SECOND_MS

# Nobody else tries the same delivery meanwhile.
_TRY_MS: Final = 60 * SECOND_MS

KEEP_MS: Final = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one try. ``outcome`` is a status or a fixed word; ``gone`` means that nobody wants any more."""

    delivered: bool
    outcome: str
    gone: bool = False


class Sender(Protocol):
    """Puts one signed event on the wire."""

    def send(self, url: str, secret: str, event_id: str, sent_at: int, body: bytes) -> Sent:
        """Try once. Raises for nothing that the network or the receiver does."""

    def wait_seconds(self, tries: int) -> float | None:
        """How long to wait after so many tries; None when it is given up."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where an account wants its events."""

    subscription_id: str
    account_id: str
    url: str
    secret: str
    created_at: int
    disabled_at: int | None


@dataclass(frozen=True, slots=True)
class Deliveries:
    """The subscriptions of all accounts, and what goes to them."""

    database: Database
    sender: Sender
    clock: Clock

    def subscribe(self, account_id: str, url: str, secret: str) -> Subscription:
        """Send an account's events to *url* from now on, signed with *secret*."""
        made = Subscription(f"whs_{secrets.token_hex(16)}", account_id, url, secret, self.clock(), None)
        with self.database.writing() as connection:
            connection.execute(
                insert(subscriptions).values(**{name: getattr(made, name) for name in Subscription.__slots__})
            )
        return made

    def list(self, account_id: str | None = None) -> tuple[Subscription, ...]:
        """All subscriptions, or one account's, oldest first."""
        query = select(subscriptions).order_by(subscriptions.c.created_at, subscriptions.c.subscription_id)
        if account_id is not None:
            query = query.where(subscriptions.c.account_id == account_id)
        with self.database.reading() as connection:
            return tuple(Subscription(**row._mapping) for row in connection.execute(query))

    def disable(self, subscription_id: str) -> bool:
        """Send nothing there any more; False if there is no such subscription."""
        with self.database.writing() as connection:
            return _disable(connection, subscription_id, self.clock())

    def work(self) -> int:
        """Hand out new events, and try deliveries that are due, for a while; how many were tried."""
        self._hand_out()
        end = self.clock() + WORK_MS
        with self.database.reading() as connection:
            found = connection.execute(
                select(deliveries.c.event_id, deliveries.c.subscription_id)
                .where(deliveries.c.due_at <= self.clock())
                .order_by(deliveries.c.due_at)
                .limit(BATCH)
            ).all()
        in_time = itertools.takewhile(lambda _row: self.clock() < end, found)
        return sum(self._try(row.event_id, row.subscription_id) for row in in_time)

    def _hand_out(self) -> None:
        now = self.clock()
        with self.database.writing() as connection:
            rows = connection.execute(
                select(outbox.c.event_id, outbox.c.account_id)
                .where(outbox.c.dispatched.is_(False))
                .order_by(outbox.c.event_id)
                .limit(BATCH)
            ).all()
            if not rows:
                return
            accounts = {row.account_id for row in rows}
            wanted = connection.execute(
                select(subscriptions.c.subscription_id, subscriptions.c.account_id).where(
                    subscriptions.c.account_id.in_(accounts), subscriptions.c.disabled_at.is_(None)
                )
            ).all()
            values = [
                {"event_id": row.event_id, "subscription_id": one.subscription_id, "tries": 0, "due_at": now}
                for row in rows
                for one in wanted
                if one.account_id == row.account_id
            ]
            if values:
                connection.execute(insert(deliveries), values)
            connection.execute(
                update(outbox).where(outbox.c.event_id.in_([row.event_id for row in rows])).values(dispatched=True)
            )

    def _try(self, event_id: int, subscription_id: str) -> bool:
        now = self.clock()
        with self.database.writing() as connection:
            row = _claim(connection, event_id, subscription_id, now)
        if row is None:
            return False
        sent = self.sender.send(row.url, row.secret, f"evt_{event_id}", now, row.payload.encode())
        wait = None if sent.delivered else self.sender.wait_seconds(row.tries)
        with self.database.writing() as connection:
            _set(
                connection,
                event_id,
                subscription_id,
                last_outcome=sent.outcome,
                delivered_at=now if sent.delivered else None,
                due_at=None if wait is None or sent.gone else now + int(wait * SECOND_MS),
            )
            if sent.gone:
                _disable(connection, subscription_id, now)
        return True


def forget(connection: Connection, now: int) -> int:
    """Drop events, and what became of them, that are too old to be asked for; how many events."""
    old = select(outbox.c.event_id).where(outbox.c.created_at < now - KEEP_MS)
    connection.execute(delete(deliveries).where(deliveries.c.event_id.in_(old)))
    return int(connection.execute(delete(outbox).where(outbox.c.created_at < now - KEEP_MS)).rowcount)


def _claim(connection: Connection, event_id: int, subscription_id: str, now: int) -> Any:
    """Keep others from trying meanwhile; what to send and where, or None if there is nothing to try."""
    columns = deliveries.c
    claimed = connection.execute(
        update(deliveries)
        .where(columns.event_id == event_id, columns.subscription_id == subscription_id, columns.due_at <= now)
        .values(tries=columns.tries + 1, due_at=now + _TRY_MS)
    )
    if claimed.rowcount != 1:
        return None
    row = connection.execute(
        select(
            outbox.c.payload, subscriptions.c.url, subscriptions.c.secret, subscriptions.c.disabled_at, columns.tries
        )
        .select_from(deliveries)
        .join(outbox, outbox.c.event_id == columns.event_id)
        .join(subscriptions, subscriptions.c.subscription_id == columns.subscription_id)
        .where(columns.event_id == event_id, columns.subscription_id == subscription_id)
    ).one()
    if row.disabled_at is not None:
        _set(connection, event_id, subscription_id, last_outcome="disabled", due_at=None)
        return None
    return row


def _set(connection: Connection, event_id: int, subscription_id: str, **values: object) -> None:
    columns = deliveries.c
    connection.execute(
        update(deliveries)
        .where(columns.event_id == event_id, columns.subscription_id == subscription_id)
        .values(**values)
    )


def _disable(connection: Connection, subscription_id: str, now: int) -> bool:
    done = connection.execute(
        update(subscriptions).where(subscriptions.c.subscription_id == subscription_id).values(disabled_at=now)
    )
    return done.rowcount == 1
