"""What must not cross a fork: locks that a thread of the parent may hold, and database connections."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def in_each_child(method: Callable[[], None]) -> None:
    """Call the bound *method* in every process forked from now on, as long as its object lives."""
    reference = weakref.WeakMethod(method)

    def renew() -> None:
        found = reference()
        if found is not None:
            found()

    os.register_at_fork(after_in_child=renew)
