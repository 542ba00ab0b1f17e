"""Where a request falls among the documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bsguard.contract.config import Action
    from bsguard.contract.operations import Operation, PathEntry
    from bsguard.contract.routing import Mount


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request falls: on an operation, or beside all of them for a reason."""

    problem: Literal["", "host", "endpoint", "method", "outside"]
    action: Action = "none"
    mount: Mount[PathEntry] | None = None
    entry: PathEntry | None = None
    operation: Operation | None = None
    taken: tuple[str, ...] = ()
