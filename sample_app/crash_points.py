"""Named places in a generation's life, where the crash tests end the process. In production the hook is None."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: Every place, in the order in which a generation passes them. ``x.writing`` is before the commit, ``x.done`` after.
POINTS: Final = (
    "start.writing",  # generation, reservation and idempotency key are written
    "start.done",  # the client does not know it yet
    "leased",  # somebody works on it
    "attempt.writing",  # the attempt's row is written
    "attempt.done",  # the attempt's row is there, the provider was not asked
    "called",  # the provider has answered, nobody has written it down
    "answer.writing",
    "answer.done",
    "report.writing",  # a webhook is in the inbox, and what it says is written
    "report.done",  # the provider does not know it yet
    "asked",  # the provider was asked how it stands
    "fetched",  # the outputs are stored, the winner is not
    "won",  # the winner is stored, nothing is settled
    "settle.writing",
    "settle.done",
    "end.writing",  # it ends without success: the hold is released
    "end.done",
    "cancel.writing",
    "cancel.done",
)

hook: Callable[[str], None] | None = None


def passing(name: str) -> None:
    """Tell the hook, if there is one, that the place *name* is reached."""
    if hook is not None:
        hook(name)
