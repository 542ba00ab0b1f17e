"""Every answer that bsguard itself gives to a client: one table, grouped by layer.

A code says what the client may know and nothing about the rule that fired; the rule is in the event with the same
request id. ``docs/reference/codes.md`` is generated from this table, and a test provokes each code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Code:
    """One coded answer: ``status`` and the three fields of the error envelope."""

    id: str
    status: int
    type: str
    message: str
    #: For the reference: when this answer is given.
    when: str

    @property
    def group(self) -> str:
        """The layer that the code belongs to, by its third and fourth digit."""
        return GROUPS[self.id[3:5]]


GROUPS: Final = {
    "10": "tenant",
    "11": "protocol",
    "12": "waf",
    "13": "limiter",
    "14": "managed",
    "15": "contract",
    "16": "session",
    "19": "guard",
}

# 10: tenant
RESTRICTED: Final = Code(
    "BSE1001", 404, "not_found", "Restricted access", "The path lies outside the surface that the host serves."
)
MISDIRECTED: Final = Code(
    "BSE1002", 421, "misdirected_request", "This host is not served here", "No surface is declared for the host."
)

# 11: protocol
HTTPS_REQUIRED: Final = Code(
    "BSE1101", 403, "https_required", "HTTPS is required", "The request did not come over HTTPS from a trusted source."
)
METHOD_NOT_ALLOWED: Final = Code(
    "BSE1102", 405, "method_not_allowed", "Method not allowed", "The method is not on the allow-list; see `Allow`."
)
VERSION_NOT_SUPPORTED: Final = Code(
    "BSE1103", 505, "http_version_not_supported", "HTTP version not supported", "Anything but HTTP/1.0, 1.1 or 2."
)
MALFORMED_HEADER: Final = Code(
    "BSE1104", 400, "malformed_header", "Malformed header", "A header name or value has bytes that HTTP does not allow."
)
INVALID_FRAMING: Final = Code(
    "BSE1105",
    400,
    "invalid_framing",
    "Invalid message framing",
    "Content-Length or Transfer-Encoding is malformed, doubled or contradictory.",
)
INVALID_HOST: Final = Code(
    "BSE1106", 400, "invalid_host", "Invalid Host header", "Host is missing, empty, or not one authority."
)
INVALID_CONTENT_TYPE: Final = Code(
    "BSE1107", 400, "invalid_content_type", "Invalid Content-Type header", "Content-Type is not one media type."
)
UNSUPPORTED_MEDIA_TYPE: Final = Code(
    "BSE1108",
    415,
    "unsupported_media_type",
    "Send the body as application/json in UTF-8",
    "A body on an api surface is neither JSON nor a media type declared for its path.",
)
UNSUPPORTED_CONTENT_ENCODING: Final = Code(
    "BSE1109",
    415,
    "unsupported_content_encoding",
    "Send the body without Content-Encoding",
    "The body carries a content coding that is not declared.",
)
AUTHORIZATION_TOO_LARGE: Final = Code(
    "BSE1110",
    431,
    "authorization_too_large",
    "Authorization header too large",
    "Authorization is longer than `BSGUARD_PROTOCOL_AUTHORIZATION_BYTES_MAX`.",
)
INVALID_AUTHORIZATION: Final = Code(
    "BSE1111",
    400,
    "invalid_authorization",
    "Invalid Authorization header",
    "Authorization is malformed or carries more than one credential.",
)
EXPECTATION_FAILED: Final = Code(
    "BSE1112", 417, "expectation_failed", "Expectation failed", "Expect asks for anything but 100-continue."
)
UPGRADE_REFUSED: Final = Code(
    "BSE1113", 400, "upgrade_refused", "Protocol upgrade refused", "Upgrade names a protocol that is not declared."
)
INVALID_TARGET: Final = Code(
    "BSE1114",
    400,
    "invalid_target",
    "Invalid request target",
    "The path or query is malformed, ambiguous, or differs from what the application would see.",
)
TARGET_TOO_LONG: Final = Code(
    "BSE1115",
    414,
    "target_too_long",
    "Request target too long",
    "The target is longer than `BSGUARD_PROTOCOL_TARGET_BYTES_MAX`.",
)
HEADERS_TOO_LARGE: Final = Code(
    "BSE1116",
    431,
    "headers_too_large",
    "Too many or too large headers",
    "Header count or total size is over its limit.",
)
BODY_NOT_ALLOWED: Final = Code(
    "BSE1117",
    400,
    "body_not_allowed",
    "This method takes no body",
    "A body on a method that is not declared to take one.",
)
METHOD_OVERRIDE_REFUSED: Final = Code(
    "BSE1118",
    400,
    "method_override_refused",
    "Method override is not supported",
    "A header asks for another method than the request line's.",
)
BODY_TOO_LARGE: Final = Code(
    "BSE1119",
    413,
    "body_too_large",
    "Request body too large",
    "The body is over the inspection limit or the hard maximum.",
)
BODY_BROKEN: Final = Code(
    "BSE1120",
    400,
    "body_broken",
    "Request body incomplete or broken",
    "The body ended early or its chunks are malformed.",
)
INVALID_JSON: Final = Code(
    "BSE1121",
    400,
    "invalid_json",
    "The body is not valid JSON",
    "The body is not strict JSON: syntax, UTF-8, duplicate keys, non-finite numbers or depth.",
)

# 12: waf
ATTACK: Final = Code("BSE1201", 403, "forbidden", "The request was refused", "A rule knows the request for an attack.")
UNREADABLE_REQUEST: Final = Code(
    "BSE1202",
    400,
    "unreadable_request",
    "The body or query cannot be read as what it says it is",
    "A body does not have the form of its media type or content coding, so that no rule could see all of it.",
)
TOO_MUCH_TO_CHECK: Final = Code(
    "BSE1203",
    413,
    "too_much_to_check",
    "The body or query has too many or too deep parts",
    "A body or query has more, longer or deeper parts than the rules look at.",
)

# 13: limiter
RATE_LIMITED: Final = Code(
    "BSE1301",
    429,
    "rate_limited",
    "Too many requests",
    "A limit is used up; `Retry-After` says when there is room again.",
)
TOO_MANY_AT_ONCE: Final = Code(
    "BSE1302",
    429,
    "too_many_at_once",
    "Too many requests at the same time",
    "As many requests as allowed are in progress; wait for one to end.",
)
TOO_MANY_CREDENTIALS: Final = Code(
    "BSE1303",
    429,
    "too_many_credentials",
    "Too many failed authentication attempts",
    "More credentials were tried than may be wrong; one that was accepted before is not concerned.",
)
BANNED: Final = Code(
    "BSE1304",
    429,
    "temporarily_banned",
    "Temporarily blocked after failed authentication attempts",
    "The client is banned for a while; `Retry-After` says for how long.",
)
BLOCKED: Final = Code("BSE1305", 403, "blocked", "Access denied", "The client was banned by hand.")

# 14: managed
ATTACK_REFUSED: Final = Code(
    "BSE1401",
    403,
    "attack_refused",
    "The request looks like an attack",
    "A rule of the Core Rule Set refuses it, mostly because the scores of others add up to the threshold.",
)
UNREADABLE_CONTENT: Final = Code(
    "BSE1402",
    400,
    "unreadable_content",
    "The body cannot be read as what it says it is",
    "The body is broken for its media type or content coding, so the rules could not see all of it.",
)
CONTENT_OVER_LIMIT: Final = Code(
    "BSE1403",
    413,
    "content_over_limit",
    "The request has too many, too long or too deep parts",
    "Query or body pass a limit up to which the rules look at them.",
)

# 15: contract
UNKNOWN_ENDPOINT: Final = Code(
    "BSE1501", 404, "unknown_endpoint", "There is no such endpoint", "No document declares an operation for the path."
)
METHOD_NOT_DECLARED: Final = Code(
    "BSE1502",
    405,
    "method_not_declared",
    "Method not allowed",
    "The document declares the path, but not with this method; see `Allow`.",
)
HOST_NOT_DECLARED: Final = Code(
    "BSE1503",
    421,
    "host_not_declared",
    "This host is not served here",
    "No document has a server of this host, and the path is one that a document describes.",
)
CREDENTIALS_MISSING: Final = Code(
    "BSE1504",
    401,
    "credentials_missing",
    "Credentials are missing",
    "The operation declares security schemes and the request carries none of their credentials.",
)
INVALID_PARAMETER: Final = Code(
    "BSE1505",
    400,
    "invalid_parameter",
    "A parameter is missing or has a value that is not allowed",
    "A declared parameter is missing, sent twice, or its value breaks its schema.",
)
UNKNOWN_PARAMETER: Final = Code(
    "BSE1506", 400, "unknown_parameter", "There is no such parameter", "A query parameter is not declared."
)
TOO_MANY_FIELDS: Final = Code(
    "BSE1507",
    400,
    "too_many_fields",
    "Too many parameters or fields",
    "Query, form or JSON has more fields than `BSGUARD_CONTRACT_FIELDS_COUNT_MAX`.",
)
MEDIA_TYPE_NOT_DECLARED: Final = Code(
    "BSE1508",
    415,
    "media_type_not_declared",
    "The operation does not take this media type",
    "The body's media type, charset or coding is not one that the operation declares.",
)
BODY_NOT_DECLARED: Final = Code(
    "BSE1509",
    400,
    "body_not_declared",
    "The operation takes no body, or needs one",
    "There is a body where none is declared, or none where one is required.",
)
CONTRACT_BROKEN: Final = Code(
    "BSE1510",
    400,
    "invalid_body",
    "The body does not fit the contract",
    "The body breaks the schema of its media type.",
)

# 16: session
SESSION_THROTTLED: Final = Code(
    "BSE1601",
    429,
    "unusual_use",
    "Unusual use of this credential; slow down",
    "The session's conduct was found unusual and `BSGUARD_SESSION_ACTIONS` slows it down; see `Retry-After`.",
)
SESSION_DENIED: Final = Code(
    "BSE1602",
    403,
    "session_denied",
    "This credential is blocked for a while",
    "The session's conduct was found unusual and `BSGUARD_SESSION_ACTIONS` denies it.",
)
OUT_OF_ORDER: Final = Code(
    "BSE1603",
    403,
    "out_of_order",
    "This call must follow another",
    "A sequence rule wants another operation to have succeeded before.",
)
TOO_SOON: Final = Code(
    "BSE1604",
    429,
    "too_soon",
    "This call comes too soon after the last",
    "A sequence rule wants more time between two calls; see `Retry-After`.",
)

# 19: the guard itself
GUARD_FAILED: Final = Code(
    "BSE1901",
    503,
    "guard_failed",
    "The request could not be checked",
    "A layer failed and its policy is closed, or the body could not be stored for checking.",
)
GUARD_MISCONFIGURED: Final = Code(
    "BSE1902",
    503,
    "guard_misconfigured",
    "The service is misconfigured",
    "A `BSGUARD_*` setting was changed after the extension had read it.",
)

CODES: Final[tuple[Code, ...]] = tuple(value for value in list(globals().values()) if isinstance(value, Code))
