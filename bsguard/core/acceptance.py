"""Whether the application took a credential for good, as its answer shows.

It did when it named the account (:func:`bsguard.identify`), or answered with success on a path that is known to
refuse. An answer of success alone proves nothing: public paths give it to anybody, and a path may refuse some requests
and serve others to everybody. So once the application has named an account, only that counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bsguard.core.driver import ResponseHead
    from bsguard.core.request import Request

#: Paths that a process remembers; then it begins anew.
_REMEMBERED_MAX: Final = 4096


class Acceptance:
    """What one process has seen of the application's answers."""

    def __init__(self, refused_statuses: Iterable[int]) -> None:
        self._refused_statuses = frozenset(refused_statuses)
        #: Hashes of methods and paths on which this process has seen the application refuse.
        self._refusing: set[int] = set()
        #: Whether the application names accounts; then success alone is no proof.
        self._names_accounts = False

    def refused(self, request: Request, response: ResponseHead) -> bool:
        """Whether the application itself refused the request for want of a good credential."""
        if response.refused_by or response.status not in self._refused_statuses:
            return False
        if len(self._refusing) >= _REMEMBERED_MAX:
            self._refusing.clear()
        self._refusing.add(hash((request.method, request.path)))
        return True

    def accepted(self, request: Request, response: ResponseHead) -> bool:
        """Whether the answer shows that the application took the credential for good."""
        if response.refused_by:
            return False
        if request.shared.account:
            self._names_accounts = True
            return True
        if self._names_accounts:
            return False
        return 0 < response.status < 400 and hash((request.method, request.path)) in self._refusing
