"""Probing: a client that asks for one missing path after another is looking for something.

Only answers of the application count, each shape of path once in a while, and none that came with a credential which
the application has accepted: an integration that polls for what is not there yet is no scanner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bsguard.core import codes
from bsguard.core.verdict import Finding
from bsguard.limiter.step import SECOND_US, Limit, named
from bsguard.limiter.subjects import shape_of
from bsguard.stores.port import Counter

if TYPE_CHECKING:
    from bsguard.core.driver import ResponseHead
    from bsguard.core.request import Request
    from bsguard.limiter.config import LimiterConfig
    from bsguard.limiter.step import Step, Who
    from bsguard.stores.port import Keys, Store

_MISSING: Final = 404

PROBED: Final = Finding("limiter.probing", codes.RATE_LIMITED, "the client asks for too many paths that do not exist")


class Probing:
    """Looks at the counter before a request, and fills it when its answer says that there is nothing."""

    def __init__(self, config: LimiterConfig, keys: Keys) -> None:
        self._keys = keys
        quota = config.probing_rate
        self._limit = Limit("probing", quota.rate, PROBED)
        self._again_us = quota.seconds * SECOND_US

    def plan(self, step: Step, who: Who, known: tuple[int, ...], *, hard: bool | None) -> str:
        """Look whether there is room for one more missing path; the name of the counter, empty when switched off."""
        if hard is None:
            return ""
        name = named("probing", hard=hard)
        key = self._keys.counter(name, who.client)
        step.charge(self._limit, Counter(key, self._limit.rate, cost=0, soft=not hard, unless=known))
        return name

    def missed(self, response: ResponseHead) -> bool:
        """Whether the application itself says that there is nothing."""
        return response.status == _MISSING and not response.refused_by

    def count(self, store: Store, now_us: int, request: Request, name: str, client: str) -> None:
        """Count the path under *name*, unless one of its shape was counted lately."""
        shape = self._keys.mark(name, f"{client}\0{shape_of(request.path)}")
        counter = Counter(
            self._keys.counter(name, client), self._limit.rate, soft=True, unless=(0,), mark=0, mark_us=self._again_us
        )
        store.take(now_us, (counter,), (shape,))
