"""What an account's plan allows: counted by Flask-Limiter, per account, once access control has said who is asking.

The guard's own limits are about clients and come before anything else. These are about customers. Both count in the
state directory, so they hold across all workers without a server.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from flask import g
from flask_limiter import Limiter
from flask_limiter.errors import RateLimitExceeded

from sample_app.errors import ApiError, ErrorCode

if TYPE_CHECKING:
    from flask import Flask, Response

    from sample_app.access_control import Principal
    from sample_app.operations import AccountView

#: Generations that one account may start. A video costs about forty times what an image costs.
IMAGES: Final = "60 per minute; 2000 per day"
VIDEOS: Final = "6 per minute; 200 per day"

_WAIT_SECONDS: Final = 60


class PlanLimits:
    """Limits for views that act for an account."""

    def __init__(self, app: Flask) -> None:
        self._limiter = Limiter(_account, app=app, strategy="moving-window")

    def limited(self, rates: str, scope: str, view: AccountView) -> AccountView:
        """*view*, refused with 429 when the account asks for it more often than *rates*.

        Flask-Limiter knows what it counts by the function's name, so each view has one of its own.

        Raises:
            ApiError: with ``Retry-After``, when it does.
        """
        counted = self._limiter.shared_limit(rates, scope=scope)(view)

        def ask(principal: Principal, **path: str) -> Response:
            g.account_id = principal.account_id
            try:
                return counted(principal, **path)
            except RateLimitExceeded:
                limit = self._limiter.current_limit
                seconds = _WAIT_SECONDS if limit is None else max(1, math.ceil(limit.reset_at - time.time()))
                raise ApiError(ErrorCode.PLAN_LIMIT_REACHED, headers={"Retry-After": str(seconds)}) from None

        return ask


def _account() -> str:
    return str(g.account_id)
