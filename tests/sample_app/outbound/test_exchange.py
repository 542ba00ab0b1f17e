"""Exchanges with servers that misbehave, over real sockets: what was not sent, what was lost, and that it ends."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from sample_app.outbound.addresses import Reach
from sample_app.outbound.exchange import Bounds, Lost, NotSent, Outbound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOUNDS = Bounds(connect_seconds=2.0, total_seconds=0.6, answer_bytes_max=1_000)
OUTBOUND = Outbound(Reach(private=True), BOUNDS)


@contextmanager
def serving(script: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """A server that reads a request's head, then does what *script* says, for each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    heads: list[bytes] = []

    def one(connection: socket.socket) -> None:
        with connection:
            head = b""
            while b"\r\n\r\n" not in head and (more := connection.recv(4_096)):
                head += more
            heads.append(head)
            with suppress(OSError):
                script(connection)

    def loop() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", heads
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def saying(wire: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(wire)


def trickling(first: bytes, byte: bytes) -> Callable[[socket.socket], None]:
    def script(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(byte)
            time.sleep(0.05)

    return script


def test_an_answer_is_read() -> None:
    with serving(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nok")) as (url, heads):
        answer = OUTBOUND.exchange("POST", f"{url}/x?y=1", {"Authorization": "Bearer t"}, b"{}")

    assert (answer.status, answer.body, answer.headers["x-a"]) == (200, b"ok", "b")
    assert heads[0].startswith(b"POST /x?y=1 HTTP/1.1\r\n")
    assert b"Accept-Encoding: identity" in heads[0]


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    with serving(saying(b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n")) as (url, heads):
        answer = OUTBOUND.exchange("GET", url, {})

    assert (answer.status, len(heads)) == (302, 1)


LOST = [
    ("hangs up", saying(b""), "broken"),
    ("half a status line", saying(b"HTTP/1.1 2"), "broken"),
    ("not http", saying(b"\x00\x01\x02\r\n\r\n"), "broken"),
    ("body too short", saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), "broken"),
    ("chunk cut", saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"), "broken"),
    ("chunks without end", saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"), "broken"),
    ("bad chunk size", saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf\r\n"), "broken"),
    ("too large", saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"a" * 2_000), "too_large"),
    ("too large, no length", saying(b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 2_000), "too_large"),
    ("endless header", trickling(b"HTTP/1.1 200 OK\r\nX: ", b"a"), "timed_out"),
    ("endless headers", trickling(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"), "timed_out"),
    ("trickling body", trickling(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"a"), "timed_out"),
    ("silent", trickling(b"", b""), "timed_out"),
    ("interim answers", trickling(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "timed_out"),
]


@pytest.mark.parametrize(("script", "why"), [case[1:] for case in LOST], ids=[case[0] for case in LOST])
def test_is_lost_within_its_time(script: Callable[[socket.socket], None], why: str) -> None:
    began = time.monotonic()
    with serving(script) as (url, _), pytest.raises(Lost) as caught:
        OUTBOUND.exchange("GET", url, {})

    assert caught.value.why == why
    assert time.monotonic() - began < 5


def test_all_losses_were_there() -> None:
    assert len(LOST) == 14


def test_nobody_there_is_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NotSent) as caught:
        OUTBOUND.exchange("GET", f"http://127.0.0.1:{port}/", {})

    assert caught.value.why == "unreachable"


def test_a_server_without_tls_is_not_sent_anything() -> None:
    with serving(saying(b"HTTP/1.1 200 OK\r\n\r\n")) as (url, heads), pytest.raises(NotSent) as caught:
        OUTBOUND.exchange("POST", url.replace("http://", "https://"), {"Authorization": "secret"}, b"secret")

    assert caught.value.why == "unreachable"
    assert all(b"secret" not in head for head in heads)


def test_a_loopback_address_is_not_sent_anything_unless_allowed() -> None:
    with serving(saying(b"HTTP/1.1 200 OK\r\n\r\n")) as (url, heads), pytest.raises(NotSent) as caught:
        Outbound(Reach()).exchange("GET", url.replace("http://", "https://"), {})

    assert (caught.value.why, heads) == ("not_public", [])


def test_the_connection_goes_to_the_checked_address_whatever_the_name_says_later() -> None:
    with serving(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as (url, heads):
        port = url.rpartition(":")[2]
        outbound = Outbound(Reach(private=True), BOUNDS, lambda _host, _port: ("127.0.0.1",))
        outbound.exchange("GET", f"http://no-such-name.invalid:{port}/", {})

    assert f"Host: no-such-name.invalid:{port}".encode() in heads[0]
