"""Helpers for the tests of applications that use bsguard, and for its own.

Nothing here needs Flask or a server.
"""

from __future__ import annotations

import io
import logging
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

from bsguard.core.events import Event

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment


class FakeClock:
    """A clock that moves only when it is told to."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self._now += seconds


def reset() -> None:
    """Let all guards of this process forget what they have counted, and the bans that followed from it.

    For between two tests. What a Flask-Limiter has counted in a storage of ours goes too; bans that are kept in the
    overrides table, which outlive a restart, stay.
    """
    from bsguard.stores.opened import reset_all

    reset_all()


class _Capture(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.events: list[Event] = []

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "bsguard", None)
        if isinstance(event, Event):
            self.events.append(event)


@contextmanager
def capture_events() -> Iterator[list[Event]]:
    """Collect all events of all guards in this process while the block runs, ``request.finished`` included.

    Needs ``BSGUARD_EVENTS_LOGGED``, which is the default.
    """
    logger = logging.getLogger("bsguard.events")
    handler = _Capture()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield handler.events
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


def environ(
    method: str = "GET",
    target: str = "/",
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    chunked: bool = False,
    peer: str = "127.0.0.1",
    **extra: object,
) -> WSGIEnvironment:
    """A WSGI environ as gunicorn makes it from a request of *method* and *target*, which is as on the wire.

    *headers* are by wire name. A *chunked* body comes without length, its chunks decoded by the server. What is in
    *extra* is put into the environ last, for example ``SCRIPT_NAME``.
    """
    path, _, query = target.partition("?")
    made: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path.encode("latin-1")).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": target,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "testing",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": peer,
        "HTTP_HOST": "localhost",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if chunked:
        made["HTTP_TRANSFER_ENCODING"] = "chunked"
    elif body:
        made["CONTENT_LENGTH"] = str(len(body))
    for name, value in (headers or {}).items():
        key = name.upper().replace("-", "_")
        made[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    made.update(extra)
    return made


@dataclass(frozen=True, slots=True)
class Answer:
    """What an application answered."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The values under *name*, joined with a comma; empty when absent."""
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())


def run(app: WSGIApplication, request: WSGIEnvironment) -> Answer:
    """Call *app* as a server does: start, iterate, close."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None, /) -> Any:
        del exc_info
        started.append((status, headers))
        return written.append

    chunks = app(request, start_response)
    try:
        written.extend(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    status, headers = started[-1]
    return Answer(int(status[:3]), tuple(headers), b"".join(written))


def spellings(name: str) -> tuple[str, ...]:
    """Environ keys under which servers deliver a header that a client spelled to look like *name* and not like it."""
    key = "HTTP_" + name.upper().replace("-", "_")
    words = key[5:].split("_")
    return (
        key,
        key + "_",
        "HTTP__" + key[5:],
        "HTTP_" + "__".join(words),
        "HTTP_" + "".join(words),
        "HTTP_" + "-".join(words),
        "HTTP_" + name.lower(),
        key + " ",
        key + "\t",
        "HTTP_ " + key[5:],
        "HTTP_" + quote(name).upper() + ".",
    )
