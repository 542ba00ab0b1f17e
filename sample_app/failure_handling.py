"""Failure handling: how long one waits, how often one asks, and when a question is left to people.

A time-out is no failure. An attempt of which nothing is known keeps its hold and is asked again, ever more seldom;
past its deadline the generation is marked for reconciling and still asked; only when no provider would tell any more
does it expire, and the hold goes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sample_app.clock import DAY_MS, SECOND_MS


@dataclass(frozen=True, slots=True)
class Timing:
    """All waiting, in milliseconds."""

    #: How long one works on a generation before others may. Longer than any call of a provider.
    lease: int = 60 * SECOND_MS
    #: How long a call whose caller is gone may still be under way. Before that, "no such order" proves nothing.
    submit: int = 60 * SECOND_MS
    #: Between two questions: first, then twice as long each time, up to a maximum.
    poll_first: int = 2 * SECOND_MS
    poll_max: int = 30 * SECOND_MS
    #: Longer than any provider runs a generation.
    attempt: int = 15 * 60 * SECOND_MS
    #: Longer than providers repeat webhooks and keep results; between two questions in that time.
    reconcile: int = DAY_MS
    reconcile_poll: int = 10 * 60 * SECOND_MS

    def next_poll(self, polls: int, now: int, deadline_at: int) -> int:
        """When to ask again after *polls* questions."""
        if now >= deadline_at:
            return now + self.reconcile_poll
        # Never beyond the deadline, at which the generation changes its state.
        return min(now + min(self.poll_first << min(polls, _DOUBLINGS_MAX), self.poll_max), deadline_at)


_DOUBLINGS_MAX: Final = 20

FAILED: Final = ("provider_failed", "No provider could make this.")
REFUSED: Final = ("content_refused", "The providers do not make this.")
EXPIRED: Final = ("outcome_unknown", "It could not be found out whether this was made. Nothing was charged.")
UNAVAILABLE: Final = ("provider_unavailable", "No provider is configured for this model.")
