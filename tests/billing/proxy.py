"""A connection to PostgreSQL that breaks at the worst moment: after the commit, before the client hears of it."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 65_536


class Proxy:
    """Forwards a local port to the server's Unix socket. *verdict* decides about every change that a client sends.

    It gets the number of the change and answers ``pass``, ``lose_reply`` (the server does it, the client never hears)
    or ``lose_request`` (the server never gets it).
    """

    def __init__(self, socket_path: str, verdict: Callable[[int], str]) -> None:
        self._target = socket_path
        self._verdict = verdict
        self._lock = threading.Lock()
        self.changes = 0
        self.lost_replies = 0
        self.lost_requests = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        with client, server, contextlib.suppress(OSError):
            server.connect(self._target)
            losing = False
            while True:
                ready, _, _ = select.select([client, server], [], [], 30)
                if not ready:
                    return
                if client in ready:
                    data = client.recv(_CHUNK)
                    if not data:
                        return
                    verdict = self._judge(data)
                    if verdict == "lose_request":
                        return
                    losing = losing or verdict == "lose_reply"
                    server.sendall(data)
                if server in ready:
                    data = server.recv(_CHUNK)
                    # The server answers a change when it is committed, so what was begun is done.
                    if not data or losing:
                        return
                    client.sendall(data)

    def _judge(self, data: bytes) -> str:
        # Only changes update an account; reading, beginning and connecting always pass.
        if b"UPDATE bsguard_account SET" not in data and b"COMMIT" not in data:
            return "pass"
        with self._lock:
            self.changes += 1
            verdict = self._verdict(self.changes)
            self.lost_replies += verdict == "lose_reply"
            self.lost_requests += verdict == "lose_request"
        return verdict
