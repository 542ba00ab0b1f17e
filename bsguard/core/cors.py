"""CORS on refusals (Fetch standard §3.2): without these headers a browser shows a refusal as a network error.

Only the guard's own answers are touched; what the application answers is its own affair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bsguard.core.request import Request


def refusal_headers(request: Request) -> list[tuple[str, str]]:
    """The CORS headers of a refusal for the request's origin; empty where the origin is not allowed."""
    settings = request.settings
    if not settings.cors_origins:
        return []
    origin = request.header("HTTP_ORIGIN")
    if origin and origin in settings.cors_origins:
        headers = [("Access-Control-Allow-Origin", origin)]
        if settings.cors_credentials:
            headers.append(("Access-Control-Allow-Credentials", "true"))
    elif origin and "*" in settings.cors_origins:
        headers = [("Access-Control-Allow-Origin", "*")]
    else:
        return [("Vary", "Origin")]
    exposed = f"{settings.request_id_header}, Retry-After, RateLimit, RateLimit-Policy, Allow"
    return [*headers, ("Access-Control-Expose-Headers", exposed), ("Vary", "Origin")]
