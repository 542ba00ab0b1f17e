"""Bodies that never end: the server's own time-out ends them, and until then other clients are served where it can.

A middleware cannot interrupt a read, so the promise is only this much; `docs/limits.md` says how to set the time-out.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.data.http.case import JSON, post, post_chunked
from tests.servers.judge import GOOD, still_answers
from tests.servers.process import THREADS
from tests.servers.profiles import PROFILES

if TYPE_CHECKING:
    from tests.servers.conftest import StartServer

pytestmark = pytest.mark.server

ENDLESS = {
    "body": post(JSON)[:-5],
    "chunk": post_chunked(b"ff\r\n" + JSON),
    "chunk size": post_chunked(b"5"),
    "trailer": post_chunked(b"0\r\nX-Sum: a"),
}


@pytest.mark.parametrize("worker", ["gthread"], indirect=True)
def test_slow_clients_do_not_stop_the_others(start: StartServer) -> None:
    server = start("main")
    slow = [server.converse() for _ in range(THREADS["gthread"] - 1)]
    try:
        for conversation, raw in zip(slow, ENDLESS.values(), strict=False):
            conversation.send(raw)

        still_answers(server)
    finally:
        for conversation in slow:
            conversation.__exit__()
    still_answers(server)


@pytest.mark.slow
@pytest.mark.parametrize("worker", ["sync"], indirect=True)
@pytest.mark.parametrize("raw", ENDLESS.values(), ids=ENDLESS)
def test_an_endless_body_ends_at_the_servers_timeout(raw: bytes, start: StartServer) -> None:
    # This server's worker is replaced in each test, which elsewhere is a failure; hence the new pid below.
    server = start("impatient")
    timeout = PROFILES["impatient"].gunicorn["timeout"]
    started = time.monotonic()
    with server.converse(deadline=4 * timeout) as conversation:
        answer = conversation.ask(raw)
    waited = time.monotonic() - started
    told = server.told(deadline=30.0)
    server.pid = told["pid"]

    assert waited < 3 * timeout
    assert answer is None or answer.status >= 400
    assert told["calls"] == [], "half a body reached the app"
    assert [reply.status for reply in server.exchange(GOOD["main"]).final] == [200]
    assert len(server.calls()) == 1
    # The server aborts its worker from outside; that trace is its own and must not be of an error in the guard.
    assert "SystemExit" in (news := server.news()) or "Traceback" not in news
