"""The two envelopes, and the way every error takes into the second one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from flask import Flask, jsonify, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, InternalServerError

from bsguard.billing import BillingError
from sample_app.artifacts.store import StoreUnavailable
from sample_app.errors import ApiError, ErrorCode

if TYPE_CHECKING:
    from flask import Response

# What to tell a client when the database is busy or away. Long enough not to add to the trouble.
RETRY_AFTER_SECONDS: Final = 5

# The framework's own refusals that have a row. Its other ones mean that the request could not be understood.
_BY_STATUS: Final = {
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    413: ErrorCode.PAYLOAD_TOO_LARGE,
}

_log = logging.getLogger(__name__)


def success(data: object, status: int = 200) -> Response:
    """*data* in the envelope for success."""
    response = jsonify({"status": "success", "data": data} | _request_id())
    response.status_code = status
    return response


def handle_errors(app: Flask) -> None:
    """Make every error of *app* an answer in the envelope, and keep answers out of caches."""
    app.register_error_handler(ApiError, _api_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(SQLAlchemyError, _database_error)
    app.register_error_handler(StoreUnavailable, _storage_error)
    app.register_error_handler(BillingError, _billing_error)
    # Flask logs what nobody handled, with its traceback, before it asks for this answer.
    app.register_error_handler(InternalServerError, _internal_error)
    app.after_request(_never_stored)


def _api_error(failed: ApiError) -> Response:
    body = {"code": failed.error.code, "type": failed.error.kind, "message": failed.message} | failed.details
    response = jsonify({"status": "error", "error": body} | _request_id())
    response.status_code = failed.error.status
    response.headers.update(failed.headers)
    return response


def _http_error(failed: HTTPException) -> Response:
    response = _api_error(ApiError(_BY_STATUS.get(failed.code or 400, ErrorCode.BAD_REQUEST)))
    for name, value in failed.get_headers():
        # Allow on 405, for example; the type is that of a page which is not sent.
        if name.lower() != "content-type":
            response.headers[name] = value
    return response


def _database_error(failed: Exception) -> Response:
    _log.error("The database does not answer.", exc_info=failed)
    return _unavailable()


def _storage_error(failed: StoreUnavailable) -> Response:
    _log.error("The storage does not answer.", exc_info=failed)
    return _unavailable()


def _unavailable() -> Response:
    retry = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return _api_error(ApiError(ErrorCode.SERVICE_UNAVAILABLE, headers=retry))


def _billing_error(failed: BillingError) -> Response:
    """What no view expects: the books are busy or away, or there is a fault of ours."""
    if failed.retryable:
        return _database_error(failed)
    _log.error("The ledger refused what it should not have been asked.", exc_info=failed)
    return _api_error(ApiError(ErrorCode.INTERNAL_ERROR))


def _internal_error(_failed: InternalServerError) -> Response:
    return _api_error(ApiError(ErrorCode.INTERNAL_ERROR))


def _never_stored(response: Response) -> Response:
    # Answers belong to one account; a shared cache must not keep them.
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _request_id() -> dict[str, str]:
    # Public name of the guard. Missing only where the guard is switched off.
    found = request.environ.get("bsguard.request_id")
    return {} if found is None else {"request_id": str(found)}
