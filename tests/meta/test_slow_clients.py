"""The settings for gunicorn that the documentation tells end clients that go silent, as it says they do."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.meta.support import DOCS, PACKAGE, samples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the hook is for Linux"),
]

# Far more than the second of silence that the server allows, far less than gunicorn's time-out of thirty.
_SECONDS_MAX = 15.0

APP = """
from bsguard import guard

def read(environ, start_response):
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", "0")])
    return []

# The layers with rules read every body, and then none is left for the application to wait for.
app = guard(read, {"MODE": "enforce", "STATE_DIR": "state", "LAYERS": ["protocol", "tenant"]})
"""
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
SILENT = {
    "in a body that the guard reads": (
        HEAD + b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n[1",
        b"BSE1120",
    ),
    "in a chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", b"BSE1120"),
    "in a body that the application reads": (HEAD + b"Content-Length: 9\r\n\r\nab", b""),
    "in the head": (HEAD, b""),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A gunicorn with the settings as told, but for a shorter silence."""
    pytest.importorskip("gunicorn")
    folder: Path = tmp_path_factory.mktemp("gunicorn")
    settings = next(sample.text for sample in samples(DOCS / "howto/gunicorn.md") if sample.language == "python")
    changed, times = re.subn(r"BODY_SILENCE_SECONDS = \d+", "BODY_SILENCE_SECONDS = 1", settings)
    assert times == 1
    (folder / "gunicorn.conf.py").write_text(changed, encoding="utf-8")
    (folder / "served.py").write_text(APP, encoding="utf-8")
    # The socket listens already, so the first connection only waits until a worker takes it. It was made before the
    # hook ran, so that it still has no time-out of its own: it is the one that shows that the server is up.
    with socket.create_server(("127.0.0.1", 0)) as listener, (folder / "log").open("wb") as log:
        address = listener.getsockname()
        process = subprocess.Popen(
            [*(sys.executable, "-m", "gunicorn", "--bind", f"fd://{listener.fileno()}", "served:app")],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), str(folder)])},
            pass_fds=[listener.fileno()],
            stdout=log,
            stderr=log,
        )
    try:
        with socket.create_connection(address, timeout=_SECONDS_MAX) as first:
            first.sendall(HEAD + b"Connection: close\r\n\r\n")
            assert first.recv(65_536).startswith(b"HTTP/1.1 200")
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_SECONDS_MAX)


@pytest.mark.parametrize(("sent", "code"), SILENT.values(), ids=SILENT)
def test_a_silent_client_is_ended(sent: bytes, code: bytes, server: tuple[str, int]) -> None:
    with socket.create_connection(server, timeout=_SECONDS_MAX) as connection:
        connection.sendall(sent)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
            if code and code in answer:
                break

    assert code in answer
    assert bool(answer) == bool(code)
