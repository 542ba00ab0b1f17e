"""What a case is, and the few builders that the tables share.

A builder adds only what a request needs to be right but for the one thing its case is about. Header lines are given as
they stand on the wire (`b"Name: value"`), so that a reader sees the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

API = b"api.test"
WEB = b"www.test"

# In the target and the body of every hostile request, and in most hostile parts: no refusal of ours may give it back.
CANARY = b"c4nary7"

# Stands among the statuses of `Hostile.server` for a connection closed without any answer.
CLOSED = 0

TARGET = b"/v1/items/" + CANARY
JSON = b'{"prompt":"' + CANARY + b'"}'


@dataclass(frozen=True)
class Defused:
    """What the app must see where the hostile part is taken out of a request instead of refusing it."""

    absent: tuple[str, ...]
    body: bytes = b""


@dataclass(frozen=True)
class Hostile:
    """A request that no app may get as accepted.

    `guard` lists the codes it may be refused with by us, `server` the statuses by the server itself. With only one of
    them given that party must refuse; with both, either may: servers from gunicorn 23 on differ in what they leave to
    us. `unseen_before` is the first release of gunicorn that shows or refuses the fault; older ones take it out of the
    message without a trace. `profile` names the server it is sent to, see `tests/servers/profiles.py`.
    """

    id: str
    raw: bytes
    why: str
    guard: tuple[str, ...] = ()
    server: tuple[int, ...] = ()
    defused: Defused | None = None
    unseen_before: int = 0
    profile: str = "main"


@dataclass(frozen=True)
class Seen:
    """One request as the app must see it, byte for byte."""

    method: str
    target: str
    body: bytes = b""


@dataclass(frozen=True)
class Legal:
    """A request that must pass.

    `absent` names environ keys that must be gone; with `newer` set, old releases of the server may refuse it.
    """

    id: str
    raw: bytes
    why: str
    sees: tuple[Seen, ...]
    absent: tuple[str, ...] = ()
    profile: str = "main"
    newer: bool = False


def head(line: bytes, *lines: bytes, host: bytes | None = API) -> bytes:
    """The request line, `Host` unless None, the header lines as given, and the empty line."""
    named = (b"Host: " + host,) if host is not None else ()

    return b"".join(part + b"\r\n" for part in (line, *named, *lines, b""))


def get(target: bytes = TARGET, *lines: bytes, host: bytes | None = API) -> bytes:
    """A GET of one target."""
    return head(b"GET " + target + b" HTTP/1.1", *lines, host=host)


def post(
    body: bytes = JSON,
    *lines: bytes,
    kind: bytes | None = b"application/json",
    host: bytes | None = API,
    target: bytes = TARGET,
    method: bytes = b"POST",
) -> bytes:
    """A request with a body of known length; `kind` is its media type, None leaves Content-Type out."""
    typed = (b"Content-Type: " + kind,) if kind is not None else ()
    length = b"Content-Length: %d" % len(body)

    return head(method + b" " + target + b" HTTP/1.1", *typed, length, *lines, host=host) + body


def post_chunked(
    stream: bytes,
    *lines: bytes,
    kind: bytes = b"application/json",
    host: bytes = API,
    target: bytes = TARGET,
    method: bytes = b"POST",
) -> bytes:
    """A chunked request; `stream` is the body as it stands on the wire, broken or not."""
    line = method + b" " + target + b" HTTP/1.1"

    return head(line, b"Content-Type: " + kind, b"Transfer-Encoding: chunked", *lines, host=host) + stream


def chunks(*parts: bytes, trailers: bytes = b"") -> bytes:
    """A well-formed chunk stream (RFC 9112 7.1) of the parts."""
    sized = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)

    return sized + b"0\r\n" + trailers + b"\r\n"


def passes(name: str, raw: bytes, why: str, body: bytes = b"", **more: object) -> Legal:
    """A legal case whose method and target stand in its first line."""
    method, target, _ = raw.split(b"\r\n", 1)[0].decode("latin-1").split(" ")

    return Legal(name, raw, why, (Seen(method, target, body),), **more)  # type: ignore[arg-type]
