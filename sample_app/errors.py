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

    20xx is access control, 21xx the shape of requests, 22xx the catalogue and generations, 23xx periodic jobs,
    29xx the service itself.
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
    INVALID_WEBHOOK = (
        "BSE2007",
        401,
        "unauthorized",
        "The report is not signed by the provider, or is not of now.",
        "A provider's report has no valid signature, or is too old.",
    )
    INVALID_PLAYGROUND_ACCESS = (
        "BSE2008",
        401,
        "unauthorized",
        "A playground key, or a dashboard session with its anti-forgery token, is needed.",
        "Neither a working playground key nor a dashboard session with its token was sent.",
    )
    INVALID_SIGNATURE = (
        "BSE2009",
        401,
        "unauthorized",
        "The signature of this address is not valid, or its time is over.",
        "A file's address has a wrong signature, or was used after its time.",
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
    MISSING_IDEMPOTENCY_KEY = (
        "BSE2109",
        400,
        "missing_idempotency_key",
        "The header Idempotency-Key is needed.",
        "The operation needs an Idempotency-Key, and none was sent, or one that cannot be used.",
    )
    IDEMPOTENCY_KEY_REUSED = (
        "BSE2110",
        422,
        "idempotency_key_reused",
        "The Idempotency-Key was used for another request.",
        "The Idempotency-Key was used before with another body.",
    )
    REQUEST_RUNNING = (
        "BSE2111",
        409,
        "request_running",
        "The first request with this Idempotency-Key is still running.",
        "The first request with this Idempotency-Key has not been answered in time.",
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
    INSUFFICIENT_CREDITS = (
        "BSE2205",
        402,
        "insufficient_credits",
        "The account does not have enough credits.",
        "The account cannot pay for the generation. Nothing was started.",
    )
    TOO_MANY_RUNNING = (
        "BSE2206",
        429,
        "too_many_running",
        "The account has as many unfinished generations as it may have.",
        "The account has too many generations that have not ended.",
    )
    STREAM_LIMIT_REACHED = (
        "BSE2207",
        429,
        "stream_limit_reached",
        "There are too many event streams open.",
        "The key, or all keys together, have too many event streams open.",
    )
    FILE_NOT_FOUND = ("BSE2208", 404, "file_not_found", "There is no such file.", "The account has no such file.")
    ALREADY_ENDED = (
        "BSE2209",
        409,
        "already_ended",
        "The generation has ended.",
        "The generation has ended in another way and cannot be cancelled.",
    )
    INPUT_FILE_NOT_FOUND = (
        "BSE2210",
        422,
        "input_file_not_found",
        "generation_input_file must be a file of this account.",
        "The account has no such input file, or its time is over.",
    )
    FILE_REFUSED = (
        "BSE2211",
        422,
        "file_refused",
        "The bytes are not of the declared type.",
        "The uploaded bytes are not of the type that they are declared to be.",
    )
    JOB_RUNNING = (
        "BSE2301",
        409,
        "job_running",
        "The job is running already.",
        "The periodic job is running already.",
    )
    SERVICE_UNAVAILABLE = (
        "BSE2902",
        503,
        "service_unavailable",
        "The service cannot answer at the moment.",
        "The database, or the storage of files, does not answer.",
    )
    NO_PROVIDER = (
        "BSE2904",
        503,
        "no_provider",
        "None of the providers can be asked at the moment.",
        "The operator has configured none of the providers that were asked for.",
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
    values); ``headers`` go on the answer, ``details`` beside the message.
    """

    def __init__(
        self,
        error: ErrorCode,
        message: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        """Choose the row, and what to say instead of or beside it."""
        super().__init__(message or error.message)
        self.error = error
        self.message = message or error.message
        self.headers = dict(headers or {})
        self.details = dict(details or {})
