"""One gunicorn, started for the tests on a loopback socket of its own and ended by its pid."""

from __future__ import annotations

import base64
import importlib.metadata
import importlib.util
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.servers import raw
from tests.servers.profiles import PROFILES

HERE = Path(__file__).parent
# The major release that is installed; some expectations hold from one on.
RELEASE = int(importlib.metadata.version("gunicorn").split(".")[0]) if importlib.util.find_spec("gunicorn") else 0

START_SECONDS = 30.0
STOP_SECONDS = 10.0

# gunicorn turns a sync worker with more than one thread into a gthread worker, without a word.
THREADS = {"sync": 1, "gthread": 4}


def traces(log: str) -> list[str]:
    """The stack traces in a log that are a finding: all of them, but on old releases only those with a frame of ours.

    Before 27 gunicorn logs one of its own for every broken chunk that it meets while it skips an unread body.
    """
    found = [trace[:4000] for trace in log.split("Traceback (most recent call last)")[1:]]

    return [trace for trace in found if RELEASE >= 27 or "/bsguard/" in trace]


class Server:
    """A running server of one profile and worker class, and the questions that tests put to it."""

    def __init__(self, profile: str, worker: str, folder: Path) -> None:
        self.profile, self.worker = profile, worker
        self._log = folder / "server.log"
        self._read = 0
        self._control = "/" + secrets.token_hex(8)
        self.unread = False  # whether calls may wait that nobody has asked for
        # The socket is ours and listens already: no free port is guessed and nobody waits for a start in a loop,
        # because a connection made too early is simply queued.
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener, self._log.open("wb") as log:
            self.address: raw.Address = listener.getsockname()
            self._process = subprocess.Popen(
                self._command(listener.fileno()),
                cwd=folder,
                env=self._environment(folder),
                pass_fds=[listener.fileno()],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self.pid: int = self.told(deadline=START_SECONDS)["pid"]
            assert f"Using worker: {worker}" in self.news()
        except BaseException:
            self.stop()
            raise

    def _command(self, listener: int) -> list[str]:
        return [
            *(sys.executable, "-m", "gunicorn", "--config", str(HERE / "gunicorn_settings.py")),
            *("--worker-class", self.worker, "--threads", str(THREADS[self.worker])),
            *("--bind", f"fd://{listener}", "echo_app:create()"),
        ]

    def _environment(self, folder: Path) -> dict[str, str]:
        profile = PROFILES[self.profile]
        guarded = None if profile.guard is None else {"STATE_DIR": str(folder / "state"), **profile.guard}
        package = importlib.util.find_spec("bsguard")
        paths = [str(HERE)]
        if package is not None and package.origin is not None:
            paths.append(str(Path(package.origin).parent.parent))

        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GUNICORN_", "BSGUARD_"))},
            "PYTHONPATH": os.pathsep.join(paths),
            "ECHO_PLAN": json.dumps({"guard": guarded, "control": self._control}),
            "GUNICORN_PLAN": json.dumps(dict(profile.gunicorn)),
        }

    def exchange(self, data: bytes, **how: Any) -> raw.Reply:
        """Send raw bytes on a new connection."""
        self.unread = True

        return raw.exchange(self.address, data, **how)

    def converse(self, **how: Any) -> raw.Conversation:
        """Open a connection to keep."""
        self.unread = True

        return raw.Conversation(self.address, **how)

    def told(self, deadline: float = raw.DEADLINE_SECONDS) -> dict[str, Any]:
        """What the control path tells: the worker's pid and the calls since the last time."""
        question = b"GET %b HTTP/1.1\r\nHost: control\r\n\r\n" % self._control.encode()
        reply = raw.exchange(self.address, question, deadline=deadline)
        if not reply.answers:
            raise AssertionError(
                f"{self} does not answer ({reply.ended}):\n{self._log.read_text(errors='replace')[-4000:]}"
            )

        return json.loads(reply.answers[0].body)

    def calls(self) -> list[dict[str, Any]]:
        """The calls that the app got since the last time, bodies as bytes."""
        told = self.told()
        self.unread = False
        assert told["pid"] == self.pid, "the worker was replaced: it crashed, or was killed for not answering"
        for call in told["calls"]:
            call["body"] = base64.b64decode(call["body"])

        return told["calls"]

    def news(self) -> str:
        """What the server wrote to its log since the last time."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            new = log.read()
        self._read += len(new)

        return new.decode("utf-8", "replace")

    def stop(self) -> None:
        """End the process: asked first, forced after a while."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_SECONDS)

    def __str__(self) -> str:
        return f"{self.profile}/{self.worker} (pid {self._process.pid})"


class Pool:
    """Starts each server when first asked for it, keeps it for the session, and ends them all.

    A parametrised session fixture would be torn down and built again whenever a random order changes its parameter.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: dict[tuple[str, str], Server] = {}

    def get(self, profile: str, worker: str) -> Server:
        """The server of that profile and worker class."""
        key = (profile, worker)
        if key not in self._servers:
            folder = self._folder / f"{profile}-{worker}"
            folder.mkdir(parents=True)
            self._servers[key] = Server(profile, worker, folder)

        return self._servers[key]

    def stop(self) -> list[str]:
        """End all servers; what those with a guard logged since they were last asked."""
        for server in self._servers.values():
            server.stop()

        return [server.news() for server in self._servers.values() if PROFILES[server.profile].guard is not None]
