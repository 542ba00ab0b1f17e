"""One HTTP request and its answer, with the difference that money needs: was anything sent?

``NotSent`` is definite: no byte of the request left. ``Lost`` is not: the request was sent in part or whole and its
answer did not come. Each request has a connection of its own; on a kept one, a server that hangs up between two
requests looks the same as one that hangs up after doing the work.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from sample_app.outbound.addresses import AddressRefused, Reach, Resolve, Target, check, system_resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from urllib3.response import BaseHTTPResponse

_CHUNK_BYTES: Final = 65_536
_AGENT: Final = "bsguard-control-plane"


class NotSent(Exception):
    """Definite: nothing of the request was sent. ``why`` is a fixed word."""

    def __init__(self, why: str) -> None:
        """Remember *why*."""
        self.why = why
        super().__init__(f"not sent: {why}")


class Lost(Exception):
    """The request was sent, in part or whole, and there is no complete answer."""

    def __init__(self, why: str) -> None:
        """Remember *why*: ``timed_out``, ``broken`` or ``too_large``."""
        self.why = why
        super().__init__(f"lost: {why}")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long and how much. ``total_seconds`` ends an exchange whatever the other side does."""

    connect_seconds: float = 5.0
    total_seconds: float = 30.0
    answer_bytes_max: int = 1_048_576


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer. Header names are lower-case; of a repeated header, the last counts."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(slots=True)
class Stream:
    """An answer whose body is still to be read: at most ``answer_bytes_max``, in chunks."""

    status: int
    headers: Mapping[str, str]
    _response: BaseHTTPResponse
    _watch: _Deadline
    _bytes_max: int
    _seen: int = field(default=0)

    def chunks(self) -> Iterator[bytes]:
        """The body, piece by piece.

        Raises:
            Lost: if it ends early, takes too long or is too large.
        """
        while True:
            with self._watch.translated():
                # `read` would wait until the whole amount is there; `read1` gives what has come.
                chunk = self._response.read1(_CHUNK_BYTES)
            if not chunk:
                if self._watch.passed:
                    # A body without a length ends like one that is cut off.
                    raise Lost("timed_out")
                return
            self._seen += len(chunk)
            if self._seen > self._bytes_max:
                raise Lost("too_large")
            yield chunk


@dataclass(frozen=True, slots=True)
class Outbound:
    """Sends requests within a reach and bounds. Shared by threads; keeps no connection."""

    reach: Reach = field(default_factory=Reach)
    bounds: Bounds = field(default_factory=Bounds)
    resolve: Resolve = system_resolve

    def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", *, bounds: Bounds | None = None
    ) -> Answer:
        """Send a request and read the whole answer, a redirect like any other.

        Raises:
            NotSent: if it never left.
            Lost: if it may have left and no complete answer came within the bounds.
        """
        with self.open(method, url, headers, body, bounds=bounds) as stream:
            return Answer(stream.status, stream.headers, b"".join(stream.chunks()))

    @contextmanager
    def open(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", *, bounds: Bounds | None = None
    ) -> Iterator[Stream]:
        """Send a request and give its answer while it is still coming in. Raises like `exchange`."""
        limits = bounds or self.bounds
        try:
            target = check(url, self.reach, self.resolve)
        except AddressRefused as refused:
            raise NotSent(refused.why) from None
        connection = _connection(target, limits.connect_seconds)
        watch = _Deadline(connection, limits.total_seconds)
        try:
            _connect(connection, watch, limits.total_seconds)
            with watch.translated():
                connection.request(
                    method,
                    target.path,
                    body=body or None,
                    # Compressed answers could unpack to far more than the bound.
                    headers={"Host": target.authority, "User-Agent": _AGENT, "Accept-Encoding": "identity", **headers},
                    preload_content=False,
                    decode_content=False,
                )
                response = connection.getresponse()
            with contextlib.closing(response):
                if watch.passed:
                    # Header lines that are cut off look like the end of the headers.
                    raise Lost("timed_out")
                received = {name.lower(): value for name, value in response.headers.items()}
                yield Stream(response.status, received, response, watch, limits.answer_bytes_max)
        finally:
            watch.stop()
            connection.close()


class _Deadline:
    """Ends a connection's reads and writes at a moment, however slowly the other side keeps it alive.

    Socket time-outs count from the last byte, so a byte now and then would hold a thread for ever.
    """

    def __init__(self, connection: HTTPConnection, seconds: float) -> None:
        self._connection = connection
        self._end = time.monotonic() + seconds
        self._passed = False
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """Let the connection live; it is done."""
        self._timer.cancel()

    @property
    def passed(self) -> bool:
        """Whether the moment is over."""
        return self._passed or time.monotonic() >= self._end

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn whatever goes wrong while sending or reading into ``Lost``."""
        try:
            yield
        except (HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            # ValueError is what a closed socket and a header of the wrong form give; both mean no usable answer.
            timed_out = self.passed or isinstance(error, TimeoutError)
            raise Lost("timed_out" if timed_out else "broken") from None

    def _pass(self) -> None:
        self._passed = True
        sock = self._connection.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                # The plain socket's method: that of a TLS socket would take its state from under the reading thread.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _connection(target: Target, connect_seconds: float) -> HTTPConnection:
    if target.scheme == "http":
        return HTTPConnection(target.address, target.port, timeout=connect_seconds)
    return HTTPSConnection(
        target.address,
        target.port,
        timeout=connect_seconds,
        ssl_context=ssl.create_default_context(),
        # The certificate must be the name's, although the connection goes to the number.
        server_hostname=target.host,
    )


def _connect(connection: HTTPConnection, watch: _Deadline, total_seconds: float) -> None:
    """Connect, up to and with the TLS handshake: before the request, hence definite."""
    try:
        connection.connect()
    except (HTTPError, OSError, ValueError):
        raise NotSent("unreachable") from None
    if watch.passed:
        raise NotSent("unreachable")
    # From here on the deadline counts; the shorter time-out would cut a slow but honest answer.
    connection.timeout = total_seconds
