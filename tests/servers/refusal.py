"""What a refusal of ours must look like from outside, written from the documented contract and not from the code."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.servers.raw import Answer

# code -> status and type, as documented.
CODES = {
    "BSE1001": (404, "not_found"),
    "BSE1002": (421, "misdirected_request"),
    "BSE1101": (403, "https_required"),
    "BSE1102": (405, "method_not_allowed"),
    "BSE1103": (505, "http_version_not_supported"),
    "BSE1104": (400, "malformed_header"),
    "BSE1105": (400, "invalid_framing"),
    "BSE1106": (400, "invalid_host"),
    "BSE1107": (400, "invalid_content_type"),
    "BSE1108": (415, "unsupported_media_type"),
    "BSE1109": (415, "unsupported_content_encoding"),
    "BSE1110": (431, "authorization_too_large"),
    "BSE1111": (400, "invalid_authorization"),
    "BSE1112": (417, "expectation_failed"),
    "BSE1113": (400, "upgrade_refused"),
    "BSE1114": (400, "invalid_target"),
    "BSE1115": (414, "target_too_long"),
    "BSE1116": (431, "headers_too_large"),
    "BSE1117": (400, "body_not_allowed"),
    "BSE1118": (400, "method_override_refused"),
    "BSE1119": (413, "body_too_large"),
    "BSE1120": (400, "body_broken"),
    "BSE1121": (400, "invalid_json"),
}
REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{8,128}")


def party(answer: Answer) -> str:
    """Who answered: "app", "guard", or "server". The guard marks every answer that passes it with a request id."""
    if answer.header("x-echo"):
        return "app"

    return "guard" if answer.header("x-request-id") else "server"


def read(answer: Answer, *, without: bytes, head: bool = False) -> tuple[str, ...]:
    """The code of a refusal, or those of its status where HEAD leaves no body; fails if it is malformed or echoes."""
    told = repr(answer.headers).encode() + answer.body
    assert without not in told, f"the refusal gives back what was sent: {told!r}"
    assert answer.complete, f"the refusal is cut: {answer}"
    request_id = answer.header("x-request-id")
    assert REQUEST_ID.fullmatch(request_id or ""), answer.headers
    assert answer.header("content-type") == "application/json", answer.headers
    assert answer.status != 405 or answer.header("allow"), "RFC 9110 15.5.6: a 405 lists what is allowed"
    if head:
        assert answer.body == b""
        return tuple(code for code, (status, _) in CODES.items() if status == answer.status)

    document = json.loads(answer.body)
    code = document["error"]["code"]
    assert document == {
        "status": "error",
        "error": {"code": code, "type": CODES[code][1], "message": document["error"]["message"]},
        "request_id": request_id,
    }
    assert CODES[code][0] == answer.status, f"{code} with status {answer.status}"

    return (str(code),)
