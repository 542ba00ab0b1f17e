"""Every way the control plane says no: one table, one exception.

A code is never reused for something else. Its row says what the client is told and when; the same rows are in the
OpenAPI document, and a test compares them. Messages never repeat what was submitted.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class ErrorCode(Enum):
    """One row: code, HTTP status, type, default message, and when it happens.

    20xx is access control, 21xx the shape of requests, 22xx the catalogue and generations, 29xx the service itself.
    """

    MISSING_KEY = ("BSE2001", 401, "unauthorized", "An API key is needed.", "No API key was sent.")
    INVALID_KEY = (
        "BSE2002",
        401,
        "unauthorized",
        "The API key is not valid.",
        "The API key is malformed, unknown or has a wrong secret.",
    )
    EXPIRED_KEY = ("BSE2003", 401, "unauthorized", "The API key has expired.", "The API key has expired.")
    REVOKED_KEY = ("BSE2004", 401, "unauthorized", "The API key was revoked.", "The API key was revoked.")
    MISSING_SCOPE = (
        "BSE2005",
        403,
        "forbidden",
        "The API key does not have the scope that this operation needs.",
        "The API key is valid but lacks the scope that the operation needs.",
    )
    INVALID_CRON_SECRET = (
        "BSE2006",
        401,
        "unauthorized",
        "The cron secret is not valid.",
        "The cron secret is missing or wrong, or the operator has set none.",
    )
    BAD_REQUEST = (
        "BSE2100",
        400,
        "bad_request",
        "The request cannot be understood.",
        "The request cannot be understood at all.",
    )
    NOT_FOUND = ("BSE2101", 404, "not_found", "There is nothing at this path.", "No operation has this path.")
    METHOD_NOT_ALLOWED = (
        "BSE2102",
        405,
        "method_not_allowed",
        "This path does not take this method.",
        "The path exists, but not with this method.",
    )
    INVALID_JSON = (
        "BSE2103",
        400,
        "invalid_json",
        "A JSON body is needed.",
        "The body is missing or is not JSON.",
    )
    UNSUPPORTED_MEDIA_TYPE = (
        "BSE2104",
        415,
        "unsupported_media_type",
        "The body must be declared as application/json.",
        "The body is not declared as JSON.",
    )
    PAYLOAD_TOO_LARGE = (
        "BSE2105",
        413,
        "payload_too_large",
        "The body is too large.",
        "The body is larger than the service takes.",
    )
    INVALID_BODY = (
        "BSE2106",
        422,
        "invalid_body",
        "The body has a field that cannot be used.",
        "The body is JSON, but a field is missing, unknown or out of range.",
    )
    INVALID_PARAMETER = (
        "BSE2107",
        422,
        "invalid_parameter",
        "A query parameter cannot be used.",
        "A query parameter is unknown, repeated or out of range.",
    )
    INVALID_CURSOR = (
        "BSE2108",
        422,
        "invalid_cursor",
        "The cursor is not one that was handed out here.",
        "The cursor is not one that this service handed out.",
    )
    MODEL_NOT_FOUND = (
        "BSE2201",
        404,
        "model_not_found",
        "There is no such model.",
        "The catalogue has no such model.",
    )
    UNSUPPORTED_OPTION = (
        "BSE2202",
        422,
        "unsupported_option",
        "The model does not support an option that was asked for.",
        "The model exists but does not support an option that was asked for.",
    )
    GENERATION_NOT_FOUND = (
        "BSE2203",
        404,
        "generation_not_found",
        "There is no such generation.",
        "The account has no such generation.",
    )
    PLAN_LIMIT_REACHED = (
        "BSE2204",
        429,
        "plan_limit_reached",
        "The account's plan allows no more of these now.",
        "The account starts generations faster than its plan allows.",
    )
    NOT_IMPLEMENTED = (
        "BSE2901",
        501,
        "not_implemented",
        "This operation is not available yet.",
        "The operation is part of the contract but not built yet.",
    )
    SERVICE_UNAVAILABLE = (
        "BSE2902",
        503,
        "service_unavailable",
        "The service cannot answer at the moment.",
        "The database does not answer.",
    )
    INTERNAL_ERROR = (
        "BSE2903",
        500,
        "internal_error",
        "Something went wrong on our side.",
        "A fault in the service. It is logged under the request id.",
    )

    def __init__(self, code: str, status: int, kind: str, message: str, when: str) -> None:
        """Name the columns of the row."""
        self.code = code
        self.status = status
        self.kind = kind
        self.message = message
        self.when = when


class ApiError(Exception):
    """Ends a request with a row of the table.

    ``message`` replaces the row's message where more can be said (field names of the contract, never submitted
    values); ``headers`` go on the answer.
    """

    def __init__(
        self, error: ErrorCode, message: str | None = None, *, headers: Mapping[str, str] | None = None
    ) -> None:
        """Choose the row, and what to say instead of or beside it."""
        super().__init__(message or error.message)
        self.error = error
        self.message = message or error.message
        self.headers = dict(headers or {})
