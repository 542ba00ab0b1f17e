"""The port to what is changed at run time: exceptions, bans and rule actions, shared by all workers, durable.

The implementation is in :mod:`bsguard.stores.overrides`. Each entry has a scope, an author and a comment, and may
expire; entries are added and deleted, never edited.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from bsguard.core.errors import StateUnusable

Kind = Literal["exception", "ban", "rule_action", "sequence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One entry. ``value`` is what the kind's reader wants, as JSON-compatible data."""

    #: Given by the table; 0 before the entry is added.
    id: int = 0
    kind: Kind
    value: dict[str, object]
    author: str
    comment: str
    #: Seconds since the epoch, UTC.
    created: float
    expires: float | None = None


class Overrides(Protocol):
    """The table as layers see it: they read it, and the limiter adds its bans."""

    def active(self, kind: Kind, now: float, /) -> tuple[Override, ...]:
        """The entries of *kind* that have not expired, oldest first. Cheap: polled, not read at each call."""
        ...

    def add(self, override: Override, /) -> int:
        """Add an entry durably and return its id; raises :class:`~bsguard.core.errors.StateUnusable`."""
        ...

    def delete(self, override_id: int, /) -> bool:
        """Delete an entry; whether there was one. Raises :class:`~bsguard.core.errors.StateUnusable`."""
        ...


class NoOverrides:
    """The table of a guard without a state directory: always empty."""

    __slots__ = ()

    def active(self, _kind: Kind, _now: float, /) -> tuple[Override, ...]:
        """Always empty."""
        return ()

    def add(self, _override: Override, /) -> int:
        """There is no table to add to."""
        raise StateUnusable("there is no overrides table, because there is no state directory")

    def delete(self, _override_id: int, /) -> bool:
        """There is nothing to delete."""
        return False


NO_OVERRIDES = NoOverrides()
