"""Leases: who works on a generation, or on a periodic job, and until when nobody else does.

A lease saves double work; it never guards the customer's money. That is guarded by compare-and-set on the states, so
somebody whose lease ran out while he was away writes nothing when he comes back.
"""

from __future__ import annotations

import os
import secrets
import socket
from typing import TYPE_CHECKING, Final

from sqlalchemy import or_, select, update

from sample_app.database import insert_new
from sample_app.tables import generations, jobs

if TYPE_CHECKING:
    from sqlalchemy import Connection

_HOST_LENGTH_MAX: Final = 32


def owner() -> str:
    """A name for this process that no other has, on any machine."""
    return f"{socket.gethostname()[:_HOST_LENGTH_MAX]}:{os.getpid()}:{secrets.token_hex(4)}"


def thread_of(who: str) -> str:
    """A name for one who works in the process *who*: what one thread has lost another may have taken."""
    return f"{who}/{secrets.token_hex(4)}"


def take(connection: Connection, generation_id: str, who: str, now: int, until: int) -> bool:
    """Take a generation that has something left to do; False if somebody has it."""
    columns = generations.c
    done = connection.execute(
        update(generations)
        .where(
            columns.generation_id == generation_id,
            columns.due_at.is_not(None),
            or_(columns.lease_until.is_(None), columns.lease_until <= now),
        )
        .values(lease_owner=who, lease_until=until)
    )
    return done.rowcount == 1


def held_until(connection: Connection, generation_id: str, who: str) -> int | None:
    """Until when *who* has a generation; None if he has lost it."""
    columns = generations.c
    query = select(columns.lease_until).where(columns.generation_id == generation_id, columns.lease_owner == who)
    found = connection.execute(query).scalar_one_or_none()
    return None if found is None else int(found)


def renew(connection: Connection, generation_id: str, who: str, until: int) -> bool:
    """Keep a generation for longer; False if somebody else has it by now."""
    columns = generations.c
    done = connection.execute(
        update(generations)
        .where(columns.generation_id == generation_id, columns.lease_owner == who)
        .values(lease_until=until)
    )
    return done.rowcount == 1


def signals(connection: Connection, generation_id: str) -> int:
    """How many signals there have been."""
    query = select(generations.c.signals).where(generations.c.generation_id == generation_id)
    return int(connection.execute(query).scalar_one())


def give_back(connection: Connection, generation_id: str, who: str, seen: int, due_at: int | None) -> bool:
    """Let go of a generation until *due_at*. False, and it is kept, if there have been signals beyond those *seen*."""
    columns = generations.c
    done = connection.execute(
        update(generations)
        .where(columns.generation_id == generation_id, columns.lease_owner == who, columns.signals == seen)
        .values(lease_owner=None, lease_until=None, due_at=due_at)
    )
    return done.rowcount == 1


def drop(connection: Connection, generation_id: str, who: str) -> None:
    """Let go of a generation that stays due."""
    connection.execute(
        update(generations)
        .where(generations.c.generation_id == generation_id, generations.c.lease_owner == who)
        .values(lease_owner=None, lease_until=None)
    )


def give_back_all(connection: Connection, who: str, now: int) -> int:
    """Let go of everything that the process *who* has, to be taken up by others; how many."""
    done = connection.execute(
        update(generations)
        .where(generations.c.lease_owner.startswith(f"{who}/", autoescape=True))
        .values(lease_owner=None, lease_until=None, due_at=now)
    )
    return int(done.rowcount)


def signal(connection: Connection, generation_id: str, now: int) -> None:
    """Tell whoever works on a generation that there is news."""
    connection.execute(
        update(generations)
        .where(generations.c.generation_id == generation_id)
        .values(due_at=now, signals=generations.c.signals + 1)
    )


def due(connection: Connection, now: int, rows_max: int) -> tuple[str, ...]:
    """Generations that have waited longest for somebody to look at them, those that somebody works on excepted."""
    columns = generations.c
    query = (
        select(columns.generation_id)
        .where(columns.due_at <= now, or_(columns.lease_until.is_(None), columns.lease_until <= now))
        .order_by(columns.due_at)
        .limit(rows_max)
    )
    return tuple(connection.execute(query).scalars())


def take_job(connection: Connection, job: str, who: str, now: int, until: int) -> bool:
    """Become the one who runs *job*; False if somebody else is."""
    if insert_new(connection, jobs, {"job": job, "owner": who, "until": until}):
        return True
    done = connection.execute(update(jobs).where(jobs.c.job == job, jobs.c.until <= now).values(owner=who, until=until))
    return done.rowcount == 1


def give_job_back(connection: Connection, job: str, who: str) -> None:
    """The job has run."""
    connection.execute(update(jobs).where(jobs.c.job == job, jobs.c.owner == who).values(owner=None, until=0))
