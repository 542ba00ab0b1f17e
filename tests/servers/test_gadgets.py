"""Generated spellings of Transfer-Encoding beside a right Content-Length: nobody may go by the chunks."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.servers import judge, oracle, refusal
from tests.servers.gadgets import BYTES, DECODED, PLACES, STREAM, gadgets

if TYPE_CHECKING:
    from tests.servers.conftest import StartServer
    from tests.servers.process import Server

pytestmark = pytest.mark.server


def send(server: Server, every: int) -> tuple[int, int]:
    """Send each gadget, or one of so many; how many were sent, and how many the app got as plain bytes."""
    sent = passed = 0
    for name, raw in itertools.islice(gadgets(), 0, None, every):
        reply = server.exchange(raw)
        calls = server.calls()
        sent += 1
        passed += len(calls)

        assert reply.ended != "deadline", name
        # Where the byte was a line end the body begins earlier, but it is always as long as Content-Length says.
        body = raw.partition(b"\r\n\r\n")[2][: len(STREAM)]
        assert [call["body"] for call in calls] in ([], [body]), f"{name}: {calls}"
        assert all(call["body"] != DECODED for call in calls), f"{name}: the body was read as chunks: {calls}"
        assert [fault for call in calls for fault in oracle.faults(call)] == [], f"{name}: {calls}"
        for answer in reply.final:
            assert answer.status < 500 or (answer.status == 501 and refusal.party(answer) == "server"), (
                f"{name}: {answer}"
            )
    judge.still_answers(server)

    return sent, passed


def test_a_sample_of_gadgets(start: StartServer) -> None:
    sent, passed = send(start("main"), every=13)

    assert sent == -(-len(PLACES) * len(BYTES) // 13)
    assert passed < sent / 5


@pytest.mark.slow
def test_all_gadgets(start: StartServer) -> None:
    sent, passed = send(start("main"), every=1)

    assert sent == len(PLACES) * len(BYTES) > 900
    assert passed < sent / 5
