"""In monitor mode the guard changes nothing: every request, good or bad, ends as it would without it.

Only identity headers are taken out, in this mode too; everything else is the bare server's and app's own business, down
to the error that a broken body raises in the app.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.data.http import HOSTILE, LEGAL
from tests.servers import judge
from tests.servers.process import RELEASE

if TYPE_CHECKING:
    from tests.servers.conftest import StartServer
    from tests.servers.process import Server

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(RELEASE < 27, reason="older releases log an app's failed read as an error of their own"),
]

TAKEN_OUT = ("HTTP_X_ACCOUNT_ID", "HTTP_PROXY")


def outcome(server: Server, data: bytes) -> dict[str, Any]:
    """How a request ends: what the app saw and what came back."""
    reply = server.exchange(data)
    calls = server.calls()
    for call in calls:
        del call["peer"]
        call["fields"] = {name: value for name, value in call["fields"].items() if name not in TAKEN_OUT}

    return {"calls": calls, "answers": [(answer.status, answer.body) for answer in reply.answers], "ended": reply.ended}


@pytest.mark.parametrize("worker", ["sync", pytest.param("gthread", marks=pytest.mark.slow)], indirect=True)
def test_every_request_ends_as_without_the_guard(start: StartServer) -> None:
    monitored, bare = start("monitor"), start("bare")
    wrong = []
    for table in (HOSTILE, LEGAL):
        for family, cases in table.items():
            for case in cases:
                if case.profile != "main":
                    continue
                with_guard, without = outcome(monitored, case.raw), outcome(bare, case.raw)
                if with_guard != without:
                    wrong.append(f"{family}: {case.id}: {str(with_guard)[:600]} but bare {str(without)[:600]}")
    judge.still_answers(monitored)

    assert wrong == []
