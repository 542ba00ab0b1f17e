"""A load generator: threads with raw keep-alive connections, which count statuses and the longest wait."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

DEADLINE_SECONDS = 20.0


@dataclass
class Load:
    """What became of the requests of one run."""

    statuses: Counter[int] = field(default_factory=Counter)
    #: Connections that ended in the middle of an answer.
    broken: int = 0
    #: Seconds that the slowest answer took.
    slowest: float = 0.0


class Connection:
    """One keep-alive connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._socket: socket.socket | None = None

    def ask(self, client: str, path: str = "/", key: str = "") -> tuple[int, bytes]:
        """Status and body of the answer to a request of *client*; raises OSError when there is none."""
        credential = f"Authorization: {key}\r\n" if key else ""
        request = f"GET {path} HTTP/1.1\r\nHost: site.test\r\nX-Forwarded-For: {client}\r\n{credential}\r\n"
        try:
            if self._socket is None:
                self._socket = socket.create_connection(self._address, DEADLINE_SECONDS)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(request.encode())
            return self._answer(self._socket)
        except OSError:
            self.close()
            raise

    def _answer(self, from_server: socket.socket) -> tuple[int, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more(from_server)
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        while len(body) < length:
            body += self._more(from_server)
        if b"connection: close" in lines:
            self.close()
        return int(head[9:12]), body

    @staticmethod
    def _more(from_server: socket.socket) -> bytes:
        data = from_server.recv(65_536)
        if not data:
            raise ConnectionResetError("the server closed")
        return data

    def close(self) -> None:
        """Close it; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def load(
    address: tuple[str, int], times: int, *, client: str = "192.0.2.1", path: str = "/", key: str = "", threads: int = 8
) -> Load:
    """Send so many requests, each thread on a connection of its own; those that got no answer are sent again."""
    found = Load()
    lock = threading.Lock()
    left = [times]

    def send() -> None:
        connection = Connection(address)
        statuses: Counter[int] = Counter()
        broken, slowest = 0, 0.0
        while True:
            with lock:
                if not left[0]:
                    break
                left[0] -= 1
            begun = time.monotonic()
            try:
                statuses[connection.ask(client, path, key)[0]] += 1
            except OSError:
                broken += 1
            slowest = max(slowest, time.monotonic() - begun)
        connection.close()
        with lock:
            found.statuses += statuses
            found.broken += broken
            found.slowest = max(found.slowest, slowest)

    running = [threading.Thread(target=send) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return found
