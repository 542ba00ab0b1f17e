"""The managed layer under real gunicorn: raw requests, with a length and chunked, hostile and not."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.managed.crs_like import a_rule_set
from tests.seclang.recorded import FOLDER
from tests.servers import raw

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.server, pytest.mark.slow]

ROOT = next(path for path in Path(__file__).resolve().parents if (path / "tests").is_dir())
CRS = FOLDER / "crs"


@pytest.fixture(scope="module", params=["ours", "crs"])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[raw.Address]:
    """A gunicorn of two workers on a loopback socket of its own, ended by its pid."""
    folder = tmp_path_factory.mktemp("served")
    if request.param == "crs" and not CRS.is_dir():
        pytest.skip(f"needs the Core Rule Set in {CRS}")
    rules = CRS if request.param == "crs" else a_rule_set(folder / "rules")
    plan = folder / "plan.json"
    settings = {"MODE": "enforce", "LAYERS": ["protocol", "managed"], "STATE_DIR": str(folder / "state")}
    plan.write_text(json.dumps(settings | {"MANAGED_CRS_DIR": str(rules)}))
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener, (folder / "log").open("wb") as log:
        bound: raw.Address = listener.getsockname()
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--workers", "2", "--threads", "2", "--worker-class", "gthread"),
                *("--bind", f"fd://{listener.fileno()}", "tests.managed.served_app:create()"),
            ],
            cwd=ROOT,
            env={**os.environ, "SERVED_PLAN": str(plan), "PYTHONPATH": str(ROOT)},
            pass_fds=[listener.fileno()],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        ready = raw.exchange(bound, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", deadline=60.0)
        assert len(ready.answers) == 1, (folder / "log").read_text()
        yield bound
    finally:
        process.terminate()
        process.wait(timeout=15)
    text = (folder / "log").read_text()
    assert "Traceback" not in text
    assert "layer.failed" not in text


def sent(address: raw.Address, body: bytes, media_type: str, *, chunked: bool, target: str = "/x") -> raw.Answer:
    head = (
        f"POST {target} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n"
        f"Content-Type: {media_type}\r\nConnection: close\r\n"
    ).encode()
    if chunked:
        pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
        framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        data = head + b"Transfer-Encoding: chunked\r\n\r\n" + framed
    else:
        data = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    reply = raw.exchange(address, data)
    (answer,) = reply.answers
    return answer


ATTACK = b"1 union select password from users -- -"
BODIES: dict[str, tuple[str, bytes, int]] = {
    "a form": ("application/x-www-form-urlencoded", b"a=1&q=" + ATTACK.replace(b" ", b"+"), 403),
    "JSON": ("application/json", b'{"q": "' + ATTACK + b'"}', 403),
    "JSON, twelve deep": ("application/json", b'{"a":' * 12 + b'"' + ATTACK + b'"' + b"}" * 12, 403),
    "JSON, sixty deep": ("application/json", b"[" * 60 + b'"' + ATTACK + b'"' + b"]" * 60, 403),
    "multipart": (
        "multipart/form-data; boundary=Boundary",
        b'--Boundary\r\nContent-Disposition: form-data; name="q"\r\n\r\n' + ATTACK + b"\r\n--Boundary--\r\n",
        403,
    ),
    "XML": ("application/xml", b"<a><b>" + ATTACK + b"</b></a>", 403),
    "JSON that ends early": ("application/json", b'{"q": "', 400),
    "JSON, five thousand deep": ("application/json", b"[" * 5000 + b"]" * 5000, 400),
    "nothing bad": ("application/json", b'{"q": "the union of the people"}', 200),
}


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
@pytest.mark.parametrize("name", BODIES)
def test_what_gets_through_is_what_was_judged(name: str, chunked: bool, address: raw.Address) -> None:
    assert len(BODIES) == 9
    media_type, body, status = BODIES[name]

    answer = sent(address, body, media_type, chunked=chunked)

    assert answer.status == status
    if status == 200:
        assert answer.body == body
    else:
        assert b"union" not in answer.body
