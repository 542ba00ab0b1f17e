"""A raw HTTP/1 request from a file, as the environ that a strict server makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bsguard.core.grammar import TOKEN
from bsguard.testing import environ

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_WORDS: Final = 3
_CHUNK_DIGITS_MAX: Final = 8


class NotARequest(ValueError):
    """The file is no HTTP/1 request; says where and why."""


def read_request(data: bytes, *, client: str, https: bool) -> WSGIEnvironment:
    """The environ for *data*: request line, header lines, an empty line, body. Lines may end in LF alone.

    A body without Content-Length gets one, and one that is declared shorter is cut, since editors add line ends.
    Raises :class:`NotARequest`.
    """
    head, body = _split(data)
    lines = head.decode("latin-1").split("\n")
    words = lines[0].rstrip("\r").split(" ")
    if len(words) != _WORDS or not all(words) or not words[2].startswith("HTTP/"):
        raise NotARequest("line 1: wanted METHOD TARGET HTTP/1.1")
    method, target, protocol = words
    headers: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=2):
        name, colon, value = line.rstrip("\r").partition(":")
        if not colon or not TOKEN.fullmatch(name):
            raise NotARequest(f"line {number}: wanted a header line such as Host: example.com")
        key, value = name.lower(), value.strip(" \t")
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    extra: dict[str, Any] = {"SERVER_PROTOCOL": protocol, "wsgi.url_scheme": "https" if https else "http"}
    chunked = headers.get("transfer-encoding", "").lower() == "chunked"
    if chunked:
        body = _dechunked(body)
    elif headers.get("content-length", "").isdecimal():
        body = body[: int(headers["content-length"])]
    made = environ(method, target, headers=headers, body=body, chunked=chunked, peer=client, **extra)
    if "host" not in headers:
        del made["HTTP_HOST"]
    return made


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Head and body, at the first empty line."""
    ends = [(at, len(mark)) for mark in (b"\r\n\r\n", b"\n\n") if (at := data.find(mark)) >= 0]
    if not ends:
        return data.rstrip(b"\r\n"), b""
    at, length = min(ends)
    return data[:at], data[at + length :]


def _dechunked(body: bytes) -> bytes:
    """The content of a chunked body."""
    found, rest = [], body
    while True:
        line, mark, rest = rest.partition(b"\n")
        digits = line.partition(b";")[0].strip()
        try:
            size = int(digits, 16) if len(digits) <= _CHUNK_DIGITS_MAX and digits.isalnum() else -1
        except ValueError:
            size = -1
        if not mark and size != 0:
            raise NotARequest("the body: wanted chunks, each after its size in hexadecimal, and a last one of size 0")
        if size <= 0:
            break
        found.append(rest[:size])
        if len(rest) < size:
            raise NotARequest("the body: a chunk is shorter than its size says")
        rest = rest[size:].removeprefix(b"\r").removeprefix(b"\n")
    if size < 0:
        raise NotARequest("the body: wanted chunks, each after its size in hexadecimal, and a last one of size 0")
    return b"".join(found)
