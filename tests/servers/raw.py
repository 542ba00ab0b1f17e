"""Send raw bytes to a server and read what comes back, all of it, within a deadline.

No HTTP library: it would refuse to send most of what is sent here, and tidy up the answers.
"""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass, field

Address = tuple[str, int]

# Longer than any answer takes, shorter than the server's own time-out: reaching it is a finding.
DEADLINE_SECONDS = 8.0


@dataclass(frozen=True)
class Answer:
    """One response as it came, the field names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    complete: bool = True

    def header(self, name: str) -> str | None:
        """The first field of that name."""
        return next((value for key, value in self.headers if key == name.lower()), None)


@dataclass(frozen=True)
class Reply:
    """All that came back on one connection. `ended` is "eof", "reset" or "deadline"."""

    answers: tuple[Answer, ...]
    ended: str
    data: bytes = field(repr=False)

    @property
    def final(self) -> tuple[Answer, ...]:
        """The answers without interim ones (RFC 9110 15.2)."""
        return tuple(answer for answer in self.answers if answer.status >= 200)


def exchange(address: Address, raw: bytes, *, half_close: bool = True, deadline: float = DEADLINE_SECONDS) -> Reply:
    """Send the bytes on a new connection and read until it ends.

    By default our side is closed after the last byte, so that a server that waits for more learns at once that none
    will come, and every connection ends without waiting for anybody's keep-alive.
    """
    with socket.create_connection(address, timeout=deadline) as connection:
        data, ended = _pump(connection, raw, half_close, time.monotonic() + deadline)

    return Reply(tuple(parse(data, head=raw.lstrip().startswith(b"HEAD "))), ended, data)


def _pump(connection: socket.socket, raw: bytes, half_close: bool, until: float) -> tuple[bytes, str]:
    """Write and read at the same time: a server may answer, and stop reading, before it has everything."""
    connection.setblocking(False)
    left = memoryview(raw)
    closing = half_close
    got = bytearray()
    while (wait := until - time.monotonic()) > 0:
        readable, writable, _ = select.select([connection], [connection] if left else [], [], wait)
        try:
            if readable:
                piece = connection.recv(65536)
                if not piece:
                    return bytes(got), "eof"
                got += piece
        except ConnectionError:
            return bytes(got), "reset"
        try:
            if writable and left:
                left = left[connection.send(left) :]
            if not left and closing:
                closing = False
                connection.shutdown(socket.SHUT_WR)
        except OSError:  # the server stopped listening; its answer may still be there to read
            left, closing = memoryview(b""), False

    return bytes(got), "deadline"


def parse(data: bytes, *, head: bool = False) -> list[Answer]:
    """The responses in a byte stream; `head` says that the first final one answers a HEAD and has no body."""
    answers = []
    while data:
        start, found, rest = data.partition(b"\r\n\r\n")
        if not found:
            break
        status_line, *lines = start.decode("latin-1").split("\r\n")
        if not status_line.startswith("HTTP/1."):
            raise AssertionError(f"no status line: {status_line[:80]!r}")
        headers = tuple(
            (name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)
        )
        status = int(status_line[9:12])
        bodiless = status < 200 or status in (204, 304) or head
        body, data, complete = (b"", rest, True) if bodiless else _body(dict(headers), rest)
        head = head and status < 200
        answers.append(Answer(status, headers, body, complete))

    return answers


def _body(headers: dict[str, str], rest: bytes) -> tuple[bytes, bytes, bool]:
    """The body at the start of the bytes, what follows it, and whether all of it was there."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _chunked(rest)
    if "content-length" in headers:
        length = int(headers["content-length"])
        return rest[:length], rest[length:], len(rest) >= length

    return rest, b"", True


def _chunked(rest: bytes) -> tuple[bytes, bytes, bool]:
    body = b""
    while True:
        size_line, found, rest = rest.partition(b"\r\n")
        if not found:
            return body, b"", False
        size = int(size_line, 16)
        if size == 0:
            return body, rest.removeprefix(b"\r\n"), rest.startswith(b"\r\n")
        body, rest = body + rest[:size], rest[size + 2 :]


class Conversation:
    """One connection on which requests follow answers, as a browser or proxy keeps it."""

    def __init__(self, address: Address, *, deadline: float = DEADLINE_SECONDS) -> None:
        self._socket = socket.create_connection(address, timeout=deadline)
        self._buffer = b""

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, raw: bytes) -> None:
        """Send bytes, a request or a part of one."""
        self._socket.sendall(raw)

    def ask(self, raw: bytes) -> Answer | None:
        """Send one request and wait for its whole answer; None when the connection ended instead."""
        try:
            self._socket.sendall(raw)
            return self.answer(head=raw.startswith(b"HEAD "))
        except ConnectionError:
            return None

    def answer(self, *, head: bool = False) -> Answer | None:
        """The next final answer; None when the connection ended instead."""
        while True:
            for answer in parse(self._buffer, head=head)[:1]:
                if not answer.complete:
                    break
                self._buffer = self._buffer[self._length(answer) :]
                if answer.status >= 200:
                    return answer
            piece = self._socket.recv(65536)
            if not piece:
                return None
            self._buffer += piece

    def _length(self, answer: Answer) -> int:
        """How many bytes of the buffer the first answer took. Chunked ones are not asked for on conversations."""
        assert answer.header("transfer-encoding") is None
        return self._buffer.index(b"\r\n\r\n") + 4 + len(answer.body)
