"""The account behind a request, as the application's own access control names it."""

from __future__ import annotations

from bsguard.core.driver import current_request


def identify(account_id: str) -> None:
    """Tell the guard which account the current request belongs to.

    Call it from the application's access control, after the credential was accepted. The account then stands in the
    request's events and is what per-customer views go by. No client header can set it. Without a guard around the
    application (``BSGUARD_ENABLED = False``) the call does nothing.
    """
    request = current_request.get()
    if request is not None:
        request.shared.account = account_id
