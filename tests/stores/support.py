"""Stores of every kind, a real server, and keys, for the tests of this folder and for the processes they start."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bsguard.core.secrets import Secrets
from bsguard.core.store_url import store_url
from bsguard.stores.embedded import SQLiteStore
from bsguard.stores.memory import MemoryStore
from bsguard.stores.port import Keys
from bsguard.stores.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bsguard.stores.port import Store

KINDS = ("memory", "sqlite", "local", "redis")
#: Those that several processes share.
SHARED = ("sqlite", "local", "redis")
SERVERS = ("redis-server", "valkey-server")

KEYS = Keys(Secrets(("a secret of the tests",)))
#: A moment in 2023; tests that set the time begin here.
START_US = 1_700_000_000_000_000
SECOND = 1_000_000


class RedisServer:
    """A server of its own on a Unix socket and a loopback port, ended with the tests."""

    def __init__(self, *options: str) -> None:
        found = next((path for name in SERVERS if (path := shutil.which(name))), None)
        if found is None:
            missing = f"none of {', '.join(SERVERS)} is installed"
            if os.environ.get("CI") == "true":
                pytest.fail(missing)
            pytest.skip(missing)
        # Short, because the path of a Unix socket has about a hundred characters at most.
        self.folder = Path(tempfile.mkdtemp(prefix="bsg"))
        self.socket = self.folder / "redis.sock"
        self.port = free_port()
        self.url = f"unix://{self.socket}"
        self._command = [found, "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.socket)]
        self._command += ["--save", "", "--appendonly", "no", "--dir", str(self.folder), *options]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if answers(self.socket):
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.01)
        raise RuntimeError("the server did not start")

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait(10)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.send(signal.SIGCONT)
            self.send(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        try:
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return bool(client.recv(1))
        except OSError:
            return False


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def open_kind(kind: str, place: str, **options: Any) -> Store:
    """The store of a kind; *place* is a folder or the address of a server, so that a process can be told of it."""
    if kind == "memory":
        return MemoryStore()
    if kind == "sqlite":
        return SQLiteStore(Path(place) / "counters.sqlite")
    if kind == "local":
        from bsguard.stores.local import LocalStore

        return LocalStore(Path(place))
    return RedisStore(store_url(place), **{"connect_ms": 5000, "answer_ms": 5000} | options)


def crowd(table: str, name: str, count: int) -> Sequence[bytes]:
    """Keys that share one bucket, so that they push out one another."""
    first = getattr(KEYS, table)(name, "0")
    return [first[:3] + number.to_bytes(8, "big") for number in range(1, count + 1)]
