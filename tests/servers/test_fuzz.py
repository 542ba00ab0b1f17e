"""The corpus, mutated: whatever comes, no 5xx of ours, no broken worker, and nothing wrong gets to the app.

The seeds are fixed. `BSGUARD_FUZZ_SEED` and `BSGUARD_FUZZ_COUNT` make a longer, or another, run of the slow test.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.data.http import CANARY, HOSTILE, LEGAL
from tests.servers import judge, oracle, refusal
from tests.servers.mutate import mutations

if TYPE_CHECKING:
    from tests.servers.conftest import StartServer
    from tests.servers.process import Server

pytestmark = pytest.mark.server

# Legal requests count four times, which makes half of all: one step beside what passes is where a guard errs.
BASES = [
    case.raw
    for table, times in ((HOSTILE, 1), (LEGAL, 4))
    for cases in table.values()
    for case in cases * times
    if case.profile == "main" and not case.raw.startswith(b"HEAD")
]
CHECK_EVERY = 100


def fuzz(server: Server, seed: int, count: int) -> int:
    """Send that many; how many calls the app got."""
    accepted = 0
    for number, raw in enumerate(mutations(BASES, seed, count)):
        where = f"seed {seed}, number {number}: {raw!r}"
        if b"HEAD " in raw:  # an answer without its body cannot be told from a cut one in a pipeline
            continue
        try:
            reply = server.exchange(raw)
            calls = server.calls()
            accepted += len(calls)

            assert reply.ended != "deadline", reply
            for call in calls:
                assert oracle.faults(call) == [], call
            for answer in reply.final:
                party = refusal.party(answer)
                if party == "guard":
                    refusal.read(answer, without=CANARY)
                assert answer.status < 500 or answer.status == 505 or party == "server", answer
                # The server takes the blame for one header of its own, see the hostile table.
                assert answer.status != 500 or b"script_name" in raw.lower(), answer
            if number % CHECK_EVERY == 0:
                judge.still_answers(server)
        except AssertionError as error:
            raise AssertionError(where) from error
    judge.still_answers(server)

    return accepted


def test_a_few_mutations(start: StartServer) -> None:
    assert fuzz(start("main"), seed=1, count=250) > 10


@pytest.mark.slow
def test_many_mutations(start: StartServer) -> None:
    seed = int(os.environ.get("BSGUARD_FUZZ_SEED", "2"))
    count = int(os.environ.get("BSGUARD_FUZZ_COUNT", "1500"))

    assert fuzz(start("main"), seed, count) > count // 50
