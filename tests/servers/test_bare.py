"""What the server refuses alone, and what needs the guard: the same corpus against the same app without a guard.

This is what keeps the hostile table honest. Where the table says that the guard must refuse, the bare app is reached;
so the harness can see an accepted request, and the guard is what makes the difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.data.http import HOSTILE, LEGAL

if TYPE_CHECKING:
    from tests.servers.conftest import StartServer

pytestmark = pytest.mark.server


def test_the_app_is_reached_without_the_guard(start: StartServer) -> None:
    server = start("bare")
    wrong, counts = [], {"guard": 0, "server": 0}
    for family, cases in HOSTILE.items():
        for case in cases:
            if case.profile != "main" or (case.guard and case.server):
                continue
            server.exchange(case.raw)
            reached = bool(server.calls())
            party = "guard" if case.guard else "server"
            counts[party] += 1
            if reached != (party == "guard"):
                wrong.append(f"{family}: {case.id}: {'reached' if reached else 'did not reach'} the app")

    assert wrong == []
    assert counts == {"guard": 597, "server": 122}


def test_legal_requests_reach_the_app_without_the_guard(start: StartServer) -> None:
    server = start("bare")
    wrong = []
    for family, cases in LEGAL.items():
        for case in cases:
            if case.newer or case.profile in ("wide", "small"):  # those need servers with other limits
                continue
            server.exchange(case.raw)
            seen = [(call["method"], call["target"], call["body"]) for call in server.calls()]
            if seen != [(one.method, one.target, one.body) for one in case.sees][: len(seen)] or not seen:
                wrong.append(f"{family}: {case.id}: {seen}")

    assert wrong == []
