"""The sample app under load with and without the guard: starting a generation, and reading one.

One gunicorn worker each, the same database engine, the same load, turn by turn. The best turn counts: noise only takes.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = Path(__file__).resolve().parent.parent
_MEMORY: Final = Path("/dev/shm")
_ROUNDS: Final = 8
_SECONDS: Final = 1.0
_CONNECTIONS: Final = 4
_START_SECONDS_MAX: Final = 30.0


def run() -> list[dict[str, Any]]:
    """Requests per second, and their ratio."""
    # In memory where that is possible: what is measured is not the disk.
    memory = _MEMORY if _MEMORY.is_dir() else None
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=memory))
        guarded, bare = (stack.enter_context(_serving(folder, word)) for word in ("yes", "no"))
        servers = {"guarded": guarded, "bare": bare}
        reached = {(name, what): 0.0 for name in servers for what in guarded.requests}
        for _ in range(_ROUNDS):
            for what in guarded.requests:
                for name, server in servers.items():
                    reached[name, what] = max(reached[name, what], server.load(what))
    return [
        {
            "request": what,
            "bare /s": round(reached["bare", what]),
            "guarded /s": round(reached["guarded", what]),
            "ratio": round(reached["guarded", what] / reached["bare", what], 2),
        }
        for what in guarded.requests
    ]


class _Server:
    """One server and what is sent to it."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        body = json.dumps({"generation_prompt": "A lighthouse in fog, seen from the sea", "generation_ratio": "16:9"})
        self.requests = {"generate": self._wire("POST /v1/generate/image/reef-1", key, body)}
        started = json.loads(self._exchange(self.requests["generate"]).partition(b"\r\n\r\n")[2])
        path = f"/v1/generations/{started['data']['generation_id']}"
        self.requests["get"] = self._wire(f"GET {path}", key)

    def load(self, what: str) -> float:
        """Requests per second over a few connections that stay open."""
        counts = [0] * _CONNECTIONS
        until = time.monotonic() + _SECONDS

        def send(index: int) -> None:
            with socket.create_connection(("127.0.0.1", self._port), timeout=30) as connection:
                while time.monotonic() < until:
                    connection.sendall(self.requests[what])
                    if not _answer(connection).startswith(b"HTTP/1.1 20"):
                        raise RuntimeError(f"{what} was not answered with success")
                    counts[index] += 1

        threads = [threading.Thread(target=send, args=(index,)) for index in range(_CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / _SECONDS

    def _exchange(self, wire: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self._port), timeout=30) as connection:
            connection.sendall(wire)
            return _answer(connection)

    def _wire(self, line: str, key: str, body: str = "") -> bytes:
        headers = ["Host: api.us.babysea.ai", f"Authorization: Bearer {key}", "Accept: application/json"]
        if body:
            headers += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join([f"{line} HTTP/1.1", *headers, "", body]).encode()


def _answer(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


@contextmanager
def _serving(folder: str, guarded: str) -> Iterator[_Server]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    environment = {
        **os.environ,
        "BENCH_GUARDED": guarded,
        "BSGUARD_STATE_DIR": f"{folder}/{guarded}",
        "CONTROL_PLANE_DATABASE_URL": f"sqlite:///{folder}/{guarded}.sqlite3",
        "CONTROL_PLANE_ARTIFACTS": f"{folder}/artifacts",
        "CONTROL_PLANE_BIND": f"127.0.0.1:{port}",
        "CONTROL_PLANE_WORKERS": "1",
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "sample_app/gunicorn.conf.py", "--log-level", "error"]
    server = subprocess.Popen([*command, "benchmarks.sample_server:app()"], cwd=_ROOT, env=environment)
    try:
        seed = [sys.executable, "-m", "flask", "--app", "sample_app", "control-plane", "seed-demo", "--json"]
        key = json.loads(subprocess.run(seed, cwd=_ROOT, env=environment, check=True, capture_output=True).stdout)[
            "key"
        ]
        spend = [
            sys.executable,
            "-m",
            "flask",
            "--app",
            "sample_app",
            "bsguard",
            "billing",
            "topup",
            "demo",
            "100000000",
        ]
        subprocess.run(spend, cwd=_ROOT, env=environment, check=True, capture_output=True)
        deadline = time.monotonic() + _START_SECONDS_MAX
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield _Server(port, key)
    finally:
        server.terminate()
        server.wait()
