"""The account behind a request, as the application's own access control names it."""

from __future__ import annotations

from bsguard.core.driver import current_request
from bsguard.core.events import printable


def identify(account_id: object) -> None:
    """Tell the guard which account the current request belongs to.

    Call it from the application's access control, after the credential was accepted. The account then stands in the
    request's events and is what per-customer views go by. No client header can set it. Without a guard around the
    application (``BSGUARD_ENABLED = False``) the call does nothing. What is no text, such as a UUID,
    stands by its text.
    """
    request = current_request.get()
    if request is not None:
        request.shared.account = printable(str(account_id))
