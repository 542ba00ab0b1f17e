"""The settings that the documentation advises for gunicorn: stricter about spelling, and no less legal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.data.http import HOSTILE, LEGAL
from tests.servers import judge

if TYPE_CHECKING:
    from tests.servers.conftest import StartServer

pytestmark = pytest.mark.server


def test_names_with_an_underscore_are_refused_by_the_server(start: StartServer) -> None:
    server = start("advised")
    ran = 0
    for cases in HOSTILE.values():
        for case in cases:
            names = [line.split(b":")[0] for line in case.raw.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]]
            if case.profile != "main" or not any(b"_" in name for name in names):
                continue
            reply = server.exchange(case.raw)
            ran += 1

            assert [answer.status for answer in reply.final][:1] == [400], case.id
            assert server.calls() == [], case.id
    judge.still_answers(server)

    assert ran == 12


def test_legal_requests_pass(start: StartServer) -> None:
    server = start("advised")
    wrong = []
    for family, cases in LEGAL.items():
        for case in cases:
            if case.profile == "main":
                try:
                    judge.legal(server, case)
                except AssertionError as error:
                    wrong.append(f"{family}: {case.id}: {error}")

    assert wrong == []
