"""What an app behind the guard may ever see, whatever was sent: judged on the app's own record of a call.

Independent of the guard's code and of any one case, so that it also judges mutated requests, for which nobody has an
expectation.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any
from urllib.parse import unquote_to_bytes

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
HOSTS = {"api.test", "www.test"}
FIELD = re.compile(r"(?:HTTP|CONTENT)_[A-Z0-9!#$%&'*+.^_`|~]+")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
DEPTH_MAX = 64


def faults(call: dict[str, Any]) -> list[str]:
    """Everything that should have been refused or taken out, in words; empty for a call that is right."""
    return [*_line(call), *_fields(call), *_path(call), *_body(call)]


def _line(call: dict[str, Any]) -> list[str]:
    wrong = []
    if call["method"] not in METHODS:
        wrong.append(f"method {call['method']!r}")
    if call["protocol"] not in ("HTTP/1.0", "HTTP/1.1"):
        wrong.append(f"version {call['protocol']!r}")
    if call["script"]:
        wrong.append(f"SCRIPT_NAME {call['script']!r} from a client")

    return wrong


def _fields(call: dict[str, Any]) -> list[str]:
    fields = call["fields"]
    wrong = [f"name {name!r}" for name in fields if not FIELD.fullmatch(name)]
    wrong += [f"control byte in {name}" for name, value in fields.items() if CONTROL.search(value)]
    wrong += [f"{name} present" for name in ("HTTP_X_ACCOUNT_ID", "HTTP_PROXY", "HTTP_UPGRADE") if name in fields]
    wrong += [f"{name} present" for name in ("HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE") if name in fields]
    wrong += [
        f"{name} present" for name in ("HTTP_X_HTTP_METHOD_OVERRIDE", "HTTP_CONTENT_ENCODING") if fields.get(name)
    ]
    wrong += [
        f"{name} from an undeclared proxy"
        for name in ("HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_FOR")
        if name in fields
    ]
    host = fields.get("HTTP_HOST", "").lower().split(":")[0].removesuffix(".")
    if host not in HOSTS:
        wrong.append(f"host {host!r}")
    if fields.get("HTTP_TRANSFER_ENCODING", "chunked").strip(" \t").lower() != "chunked":
        wrong.append("transfer coding other than chunked")
    if "HTTP_TRANSFER_ENCODING" in fields and fields.get("CONTENT_LENGTH"):
        wrong.append("two lengths")
    if not re.fullmatch(r"[0-9]{0,15}", fields.get("CONTENT_LENGTH", "")):
        wrong.append("length that is no number")
    if fields.get("HTTP_EXPECT", "100-continue").lower() not in ("", "100-continue"):
        wrong.append("expectation")

    return wrong


def _path(call: dict[str, Any]) -> list[str]:
    if call["target"] == "*":
        return []
    target = re.sub(r"^https?://[^/?]*", "", call["target"], flags=re.IGNORECASE)
    path = target.split("?")[0] or "/"
    decoded = call["path"].encode("latin-1")
    wrong = []
    rootless = not target and not decoded  # an absolute-form target without a path: gunicorn gives an empty PATH_INFO
    if unquote_to_bytes(path) != decoded and not rootless:
        wrong.append(f"path {call['path']!r} is not the target {target!r}")
    if not path.startswith("/") or "#" in target or re.search(r"[^!-~]", target):
        wrong.append(f"target {target!r}")
    if re.search(r"%2f|%5c|%00|%0d|%0a", path, re.IGNORECASE) or re.search(rb"%[0-9A-Fa-f]{2}", decoded):
        wrong.append(f"escape in {path!r}")
    segments = decoded.split(b"/")[1:]
    if b"\\" in decoded or b"" in segments[:-1] or any(segment in (b".", b"..") for segment in segments):
        wrong.append(f"segments of {path!r}")
    try:
        decoded.decode()
    except UnicodeDecodeError:
        wrong.append(f"path {decoded!r} is not UTF-8")
    on_api = call["fields"].get("HTTP_HOST", "").lower().startswith("api.")
    if on_api != (path == "/v1" or decoded.startswith(b"/v1/") or decoded == b"/v1"):
        wrong.append(f"path {path!r} on the wrong surface")

    return wrong


def _body(call: dict[str, Any]) -> list[str]:
    fields, body = call["fields"], call["body"]
    wrong = []
    if call["error"]:
        wrong.append(f"reading the body raised {call['error']}")
    if body and call["method"] not in ("POST", "PUT", "PATCH"):
        wrong.append(f"body on {call['method']}")
    essence = fields.get("CONTENT_TYPE", "").split(";")[0].strip().lower()
    is_json = essence == "application/json" or essence.endswith("+json")
    on_api = fields.get("HTTP_HOST", "").lower().startswith("api.")
    if body and on_api and not is_json:
        wrong.append(f"body of type {essence!r} on the api")
    # Other bodies are not read before the app, which then sees for itself that one is cut.
    complete = len(body) == int(fields.get("CONTENT_LENGTH") or len(body)) or fields.get("HTTP_X_READ") == "none"
    if (on_api or is_json) and not complete:
        wrong.append(f"{len(body)} bytes of {fields['CONTENT_LENGTH']}")
    if body and is_json:
        wrong += [f"JSON: {fault}" for fault in json_faults(body)]

    return wrong


def json_faults(body: bytes) -> list[str]:
    """What a strict reader finds wrong with a JSON document; slow and plain, and none of the guard's code."""
    wrong: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            wrong.append("duplicate key")
        for name, _ in pairs:
            name.encode()

        return dict(pairs)

    try:
        text = body.decode()
        if _depth(text) > DEPTH_MAX:
            return ["depth"]
        value = json.loads(text, object_pairs_hook=unique, parse_constant=lambda name: wrong.append(name))
        json.dumps(value, ensure_ascii=False).encode()
        if any(isinstance(number, float) and not math.isfinite(number) for number in _leaves(value)):
            wrong.append("number that is not finite")
    except (UnicodeError, ValueError) as error:
        wrong.append(type(error).__name__)

    return wrong


def _depth(text: str) -> int:
    """The deepest nesting, strings left out."""
    depth = deepest = 0
    for mark in re.sub(r'"(?:[^"\\]|\\.)*"?', "", text, flags=re.DOTALL):
        depth += (mark in "[{") - (mark in "]}")
        deepest = max(deepest, depth)

    return deepest


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner)]

    return [value]
