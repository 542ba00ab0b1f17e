"""Layers, applications, streams and a server that the WSGI tests are made of."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from bsguard import Protocol, Tenant, guard, stack
from bsguard.core.layer import Layer, LayerConfig
from bsguard.core.verdict import ALLOW, Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from bsguard.core.request import Request
    from bsguard.testing import Answer

API = "api.test"
WEB = "www.test"

SURFACES = [
    {"name": "api", "kind": "api", "hosts": [API], "prefixes": ["/v1"]},
    {"name": "site", "kind": "web", "hosts": [WEB]},
]


def cases(rows: Iterable[Any], count: int) -> list[Any]:
    """Parameters with English ids; the table must have exactly *count* rows and no name twice."""
    made = [pytest.param(row, id=row.id if hasattr(row, "id") else row[0]) for row in rows]
    names = {one.id for one in made}

    assert len(made) == count, f"the table has {len(made)} rows, not {count}"
    assert len(names) == count, "two rows have the same name"
    return made


def code_of(answer: Answer | Sent) -> str:
    """The code of a refusal in the default envelope; empty for an answer of the application."""
    if answer.header("Content-Type") != "application/json" or not answer.body:
        return ""
    document = json.loads(answer.body)
    return document["error"]["code"] if document.get("status") == "error" else ""


def rules_of(events: Sequence[Any]) -> list[str]:
    """The rules of all events about rules, in order."""
    return [event.rule for event in events if hasattr(event, "rule")]


def named(events: Sequence[Any], name: str) -> list[Any]:
    """The events of one kind."""
    return [event for event in events if event.name == name]


# --- layers ---------------------------------------------------------------------------------------------------------


def reader(seen: list[bytes], *, name: str = "reader", bytes_max: int | None = None) -> type[Layer[LayerConfig]]:
    """A layer that reads the body and allows it."""

    class Reader(Layer[LayerConfig]):
        def inspect_body(self, request: Request) -> Verdict:
            seen.append(request.body.read(bytes_max or request.settings.inspect_bytes_max))
            return ALLOW

    Reader.name = name
    return Reader


def denier(phase: str, finding: Finding, *, name: str = "denier") -> type[Layer[LayerConfig]]:
    """A layer that answers every request with *finding*, in ``inspect_head`` or ``inspect_body``."""

    def inspect(self: Any, request: Request) -> Verdict:
        return Verdict((finding,))

    return type("Denier", (Layer,), {"name": name, phase: inspect})


def failing(phase: str, action: Callable[[], Any], *, name: str = "failing") -> type[Layer[LayerConfig]]:
    """A layer whose *phase* does what *action* does, whatever it is called with."""
    return type("FailingLayer", (Layer,), {"name": name, phase: lambda self, *_: action()})


def observer(seen: list[Any], *, name: str = "observer") -> type[Layer[LayerConfig]]:
    """A layer that keeps the head of every response."""

    class Observer(Layer[LayerConfig]):
        def observe(self, request: Request, response: Any) -> None:
            seen.append(response)

    Observer.name = name
    return Observer


def raiser(error: BaseException) -> Callable[..., Any]:
    """A function that raises *error*."""

    def action(*_: Any) -> Any:
        raise error

    return action


# --- applications ---------------------------------------------------------------------------------------------------


class App:
    """An application that keeps what it was called with, reads the whole body and sends it back."""

    def __init__(self) -> None:
        self.environs: list[dict[str, Any]] = []
        self.streams: list[Any] = []
        self.bodies: list[bytes] = []

    @property
    def calls(self) -> int:
        return len(self.environs)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.environs.append(dict(environ))
        self.streams.append(environ["wsgi.input"])
        self.bodies.append(read_body(environ))
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return [self.bodies[-1]]


def read_body(environ: dict[str, Any]) -> bytes:
    """The body as a framework reads it: the declared length, or to the end where the server says there is one."""
    if "HTTP_TRANSFER_ENCODING" in environ:
        pieces = []
        while piece := environ["wsgi.input"].read(1024):
            pieces.append(piece)
        return b"".join(pieces)
    length = environ.get("CONTENT_LENGTH") or "0"
    return environ["wsgi.input"].read(int(length)) if length.isdigit() and int(length) else b""


def hello(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Reads nothing."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


# --- streams --------------------------------------------------------------------------------------------------------


class Untouchable:
    """A stream that fails when touched, and remembers it: the guard turns what a stream raises into a refusal."""

    def __init__(self) -> None:
        self.touched = False

    def read(self, *_: Any) -> bytes:
        self.touched = True
        raise AssertionError("the body was read")

    readline = readlines = __iter__ = read


class Counting(io.BytesIO):
    """Counts the bytes that were handed out, and gives at most *piece* of them at once, as a socket does."""

    def __init__(self, data: bytes, piece: int = 1 << 30) -> None:
        super().__init__(data)
        self.taken = 0
        self._piece = piece

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = self._piece if size is None or size < 0 else min(size, self._piece)
        got = super().read(wanted)
        self.taken += len(got)
        return got


class ClientGone(Exception):
    """What a server raises from its stream, a type that nobody else knows."""


class Breaking(Counting):
    """Gives *data* and then raises *error*, at every later read too."""

    def __init__(self, data: bytes, error: Exception | None = None, piece: int = 1 << 30) -> None:
        super().__init__(data, piece)
        self.error = error or ClientGone("chunk size expected")

    def read(self, size: int | None = -1, /) -> bytes:
        got = super().read(size)
        if not got and size != 0:
            raise self.error
        return got


# --- arrangements ---------------------------------------------------------------------------------------------------


def passing(app: Any) -> Any:
    """A foreign middleware that does nothing."""
    return lambda environ, start_response: app(environ, start_response)


def copying(app: Any) -> Any:
    """A foreign middleware that hands on a copy of the environ."""
    return lambda environ, start_response: app(dict(environ), start_response)


class Delegating:
    """A foreign middleware that passes attribute access on to what it wraps, as instrumentation does."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        self.calls += 1
        return self.app(environ, start_response)


def arrange(name: str, app: Any, settings: dict[str, Any], folder: Path, **common: Any) -> Any:
    """*app* behind protocol and tenant in the arrangement *name*: an order, and what stands between."""
    if name == "guard":
        alike = ["protocol", "tenant"]  # the same as in the other arrangements
        quiet = {"LAYERS": alike, "MODE": "enforce", "STATE_DIR": folder / "state", "EVENTS_STORED": False}
        return guard(app, {**quiet, **settings}, **common)
    order, _, way = name.partition(", ")
    layers = [partial(layer, settings=settings, **common) for layer in (Protocol, Tenant)]
    outer, inner = layers if order == "protocol first" else layers[::-1]
    if way == "nested by hand":
        return outer(inner(app))
    between = {"fused": (), "interrupted": (passing,), "interrupted by a copy": (copying,)}[way]
    return stack(app, outer, *between, inner)


ARRANGEMENTS = (
    *(
        f"{order}, {way}"
        for order in ("protocol first", "tenant first")
        for way in ("fused", "nested by hand", "interrupted", "interrupted by a copy")
    ),
    "guard",
)


# --- a server -------------------------------------------------------------------------------------------------------


@dataclass
class Sent:
    """What a server put on the wire for one request, and how it came to that."""

    line: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    error: BaseException | None = None
    starts: int = 0
    returned: Any = field(default=None, repr=False)

    @property
    def status(self) -> int:
        return int(self.line[:3] or 0)

    def header(self, name: str) -> str:
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())


def serve(app: Any, environ: dict[str, Any], *, take: int | None = None) -> Sent:
    """Serve one request by the letter of PEP 3333: headers go out with the first byte, and not twice.

    An exception before that becomes a 500. With *take* the client goes away after as many chunks.
    """
    sent = Sent()
    head: list[tuple[str, tuple[tuple[str, str], ...]]] = []

    def send(chunk: bytes) -> None:
        if chunk and not sent.line:
            sent.line, sent.headers = head[-1]
        sent.body += chunk

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], None]:
        sent.starts += 1
        if exc_info is not None and sent.line:
            raise exc_info[1].with_traceback(exc_info[2])
        if exc_info is None and head:
            raise AssertionError("start_response was called twice")
        head[:] = [(status, tuple(headers))]
        return send

    chunks: Any = ()
    try:
        chunks = sent.returned = app(environ, start_response)
        for number, chunk in enumerate(chunks):
            if number == take:
                break
            send(chunk)
        else:
            if not sent.line and head:
                sent.line, sent.headers = head[-1]
    except Exception as error:
        sent.error = error
        sent.line, sent.headers = (sent.line, sent.headers) if sent.line else ("500 Internal Server Error", ())
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    return sent


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """*data* in pieces."""
    return (data[at : at + size] for at in range(0, len(data), size))
