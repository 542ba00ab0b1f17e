"""A first glance at a request, for the many in which there is nothing that any rule waits for.

A request is looked at piece by piece: each header, the target, the cookies. Each piece is shown to the
prefilter in a transaction that holds nothing else, so it is read as the engine reads it, and what comes of a piece
is remembered where requests repeat it. A rule needs the bits of all its gates, and a value is in one piece or another;
so where all pieces together lack the bits of every rule, no rule can match the head. Without a body the engine need not
be set up then; with one it goes on from what was found.

Nothing here knows a rule. A set of rules has no glance if one of them runs whatever a request holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bsguard.seclang.prefilter import EVERYTHING, line_key
from bsguard.seclang.prefilter.recall import Recall, digest
from bsguard.seclang.request import Request
from bsguard.seclang.transaction import Transaction

if TYPE_CHECKING:
    from bsguard.seclang.bodies import Limits
    from bsguard.seclang.compiler import Plan
    from bsguard.seclang.model import Options
    from bsguard.seclang.prefilter import Prefilter

#: The phases before the application runs.
_PHASES: Final = (1, 2)
#: Targets and cookies that are remembered, each at most twice.
_REMEMBERED: Final = 2048


class Glance:
    """Says of a request whether any rule of a set can match it, without the engine. One object serves all threads."""

    def __init__(self, prefilter: Prefilter, limits: Limits) -> None:
        self._prefilter = prefilter
        self._limits = limits
        phases = [prefilter.phases[number] for number in _PHASES]
        self._waiting = sum(phase.waiting << phase.offset for phase in phases)
        #: By the bit that a rule waits for, the others that it needs.
        self._needs = {1 << phase.offset + place: need for phase in phases for place, need in enumerate(phase.needs)}
        self._targets = Recall[int](_REMEMBERED)
        self._cookies = Recall[int](_REMEMBERED)

    @classmethod
    def of(cls, plan: Plan, options: Options, limits: Limits) -> Glance | None:
        """The glance of a plan, None if some rule may match, or change something, without having been found."""
        shortcuts = plan.shortcuts
        if shortcuts is None or plan.phases[3] or plan.phases[4] or not options.request_body:
            return None
        prefilter = shortcuts.prefilter
        if prefilter.body_scalars or any(prefilter.phases[number].always for number in _PHASES):
            return None
        return cls(prefilter, limits)

    def of_head(self, request: Request) -> int | None:
        """What the head has of what rules wait for, as bits; None if one of them may match, or it cannot be read."""
        found = self._prefilter.of_repeated(request) | self._of_target(request)
        for name, value in request.headers:
            if name.lower() == b"cookie":
                found |= self._of_cookies(name, value)
        return found if self._is_clear(found) else None

    def _is_clear(self, found: int) -> bool:
        """Whether these bits make no rule one that can match."""
        possible = found & self._waiting
        while possible:
            bit = possible & -possible
            possible ^= bit
            if not self._needs[bit] & ~found:
                return False
        return True

    def _of_target(self, request: Request) -> int:
        """What the request line has; all bits where the query is more than rules look at."""
        key = line_key(request)
        found = None if key is None else self._targets.get(key)
        if found is None:
            alone = Transaction(Request(request.method, request.target, protocol=request.protocol), self._limits, {})
            of_parts = self._prefilter.of_parts(alone) if alone.unread is None else EVERYTHING
            found = self._prefilter.of_line(alone) | of_parts
            if key is not None:
                self._targets.put(key, found)
        return found

    def _of_cookies(self, name: bytes, value: bytes) -> int:
        key = digest(value)
        found = self._cookies.get(key)
        if found is None:
            alone = Transaction(Request(headers=((name, value),)), self._limits, {})
            found = self._prefilter.of_parts(alone)
            self._cookies.put(key, found)
        return found
