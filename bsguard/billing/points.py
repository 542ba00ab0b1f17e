"""Named places between the steps of an operation, where the crash tests end the process.

Nothing is done there in production: the hook is None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: Every place, in the order in which an operation passes them.
POINTS: Final = (
    "before",  # nothing was sent
    "locked",  # the write lock, or the account's lock, is held
    "settled",  # the hold is updated, on SQLite
    "moved",  # the balance is updated, on SQLite
    "held",  # the hold is written, on SQLite
    "given",  # the grant is written, on SQLite
    "burning",  # what came from grants is written, on SQLite
    "burnt",  # grants are updated, on SQLite
    "returned",  # credits went back to their grants, on SQLite
    "emptied",  # an expired grant is emptied, on SQLite
    "recorded",  # the ledger row is written, on SQLite
    "written",  # everything is written and not committed
    "committed",  # the caller does not know it yet
)

hook: Callable[[str], None] | None = None


def passing(name: str) -> None:
    """Tell the hook, if there is one, that the place *name* is reached."""
    if hook is not None:
        hook(name)
