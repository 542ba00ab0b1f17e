"""Two APIs that simulated customers call, as routes by what they are for, and one application that serves either.

The application knows keys, accounts, objects and outages, and answers as such services do: 401, 403, 404, 405, 422,
503, streams. It does not check who owns a numbered object, as many do not (OWASP API1, broken object level
authorization), so that enumeration pays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from bsguard import identify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

#: Numbered objects of a hundred that are deleted: numbers in use have gaps.
GONE_PERCENT: Final = 8


class Route(NamedTuple):
    """One operation."""

    method: str
    #: ``{number}`` counts up over all customers; ``{opaque}`` cannot be guessed.
    template: str
    #: Status of success.
    status: int = 200
    #: For the operator's people only: customers' keys get 403.
    internal: bool = False


Role = Literal[
    "catalogue",
    "quote",
    "submit",
    "fetch",
    "watch",
    "cancel",
    "result",
    "index",
    "detail",
    "parts",
    "search",
    "usage",
    "preview",
    "revise",
    "audit",
]


@dataclass(frozen=True, slots=True)
class Api:
    """One API: its routes by role."""

    name: str
    routes: Mapping[Role, Route]

    def method(self, role: Role) -> str:
        """The HTTP method of *role*."""
        return self.routes[role].method

    def target(self, role: Role, item: str | int = "", query: str = "") -> str:
        """The request target of *role* on the object *item*."""
        head, brace, rest = self.routes[role].template.partition("{")
        path = f"{head}{item}{rest.partition('}')[2]}" if brace else head
        return f"{path}?{query}" if query else path


#: Much like the sample control plane.
MEDIA: Final = Api(
    "media",
    {
        "catalogue": Route("GET", "/v1/models"),
        "quote": Route("POST", "/v1/estimates"),
        "submit": Route("POST", "/v1/generations", 202),
        "fetch": Route("GET", "/v1/generations/{opaque}"),
        "watch": Route("GET", "/v1/generations/{opaque}/events"),
        "cancel": Route("DELETE", "/v1/generations/{opaque}"),
        "result": Route("GET", "/v1/files/{opaque}"),
        "index": Route("GET", "/v1/assets"),
        "detail": Route("GET", "/v1/assets/{number}"),
        "parts": Route("GET", "/v1/assets/{number}/versions"),
        "search": Route("GET", "/v1/search"),
        "usage": Route("GET", "/v1/usage"),
        "preview": Route("POST", "/v2/previews"),
        "revise": Route("PATCH", "/v1/assets/{number}"),
        "audit": Route("GET", "/v1/admin/accounts", internal=True),
    },
)

#: A shop's partner interface: other words, other depth, a version that is no segment of its own.
SHOP: Final = Api(
    "shop",
    {
        "catalogue": Route("GET", "/api/products"),
        "quote": Route("POST", "/api/carts"),
        "submit": Route("POST", "/api/orders", 201),
        "fetch": Route("GET", "/api/orders/{opaque}"),
        "watch": Route("GET", "/api/orders/{opaque}/tracking"),
        "cancel": Route("POST", "/api/orders/{opaque}/cancellation"),
        "result": Route("GET", "/api/documents/{opaque}/invoice.pdf"),
        "index": Route("GET", "/api/customers"),
        "detail": Route("GET", "/api/customers/{number}"),
        "parts": Route("GET", "/api/customers/{number}/addresses"),
        "search": Route("GET", "/api/lookup"),
        "usage": Route("GET", "/api/account/quota"),
        "preview": Route("POST", "/api/beta/recommendations"),
        "revise": Route("PUT", "/api/customers/{number}"),
        "audit": Route("GET", "/api/internal/ledgers", internal=True),
    },
)

APIS: Final = (MEDIA, SHOP)


@dataclass(slots=True)
class Service:
    """What the application knows, and it itself as WSGI."""

    api: Api
    now: Callable[[], float]
    #: Token -> account, since when and until when it is good.
    keys: dict[str, tuple[str, float, float]] = field(default_factory=dict)
    #: When it is down.
    outages: tuple[tuple[float, float], ...] = ()
    #: Opaque ids that are not there before a moment: what polling clients wait for.
    ready: dict[str, float] = field(default_factory=dict)
    numbers: int = 0
    _table: dict[tuple[str, ...], dict[str, tuple[Role, Route, int]]] = field(default_factory=dict)
    _words: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for role, route in self.api.routes.items():
            segments = route.template.split("/")
            place = next((index for index, segment in enumerate(segments) if segment.startswith("{")), -1)
            self._words.update(segment for segment in segments if not segment.startswith("{"))
            shape = tuple("*" if segment.startswith("{") else segment for segment in segments)
            self._table.setdefault(shape, {})[route.method] = (role, route, place)

    def exists(self, number: int) -> bool:
        """Whether the numbered object is there; the same ones are deleted in every run."""
        return 1 <= number <= self.numbers and (number * 2_654_435_761 >> 9) % 100 >= GONE_PERCENT

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        """Serve one request as WSGI."""
        status, stream = self._answer(environ)
        if stream:
            start_response(f"{status} x", [("Content-Type", "text/event-stream")])
            return _stream()
        start_response(f"{status} x", [("Content-Type", "application/json"), ("Content-Length", "2")])
        return [b"{}"]

    def _answer(self, environ: WSGIEnvironment) -> tuple[int, bool]:
        now = self.now()
        if any(begin <= now < end for begin, end in self.outages):
            return 503, False
        account, since, until = self.keys.get(environ.get("HTTP_AUTHORIZATION", "")[7:], ("", 0.0, 0.0))
        if not since <= now < until:
            return 401, False
        identify(account)
        segments = environ["PATH_INFO"].split("/")
        methods = self._table.get(tuple([segment if segment in self._words else "*" for segment in segments]))
        if methods is None:
            return 404, False
        entry = methods.get(environ["REQUEST_METHOD"])
        if entry is None:
            return 405, False
        return self._operate(environ, entry, segments, now)

    def _operate(
        self, environ: WSGIEnvironment, entry: tuple[Role, Route, int], segments: list[str], now: float
    ) -> tuple[int, bool]:
        role, route, place = entry
        if route.internal:
            return 403, False
        if place >= 0 and not self._found(route, segments[place], now):
            return 404, False
        if route.method in ("POST", "PATCH", "PUT"):
            length = int(environ.get("CONTENT_LENGTH") or 0)
            if length <= 2 or len(environ["wsgi.input"].read(length)) != length:
                return 422, False
        return route.status, role == "watch"

    def _found(self, route: Route, item: str, now: float) -> bool:
        if "{number}" in route.template:
            return item.isdigit() and len(item) < 12 and self.exists(int(item))
        return len(item) == 24 and self.ready.get(item, 0.0) <= now


def _stream() -> Iterator[bytes]:
    yield b"event: state\ndata: running\n\n"
    yield b"event: state\ndata: done\n\n"
