"""An office behind one address: whoever is known there has a global limit of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bsguard import Limiter, identify
from bsguard.stores.memory import MemoryStore
from bsguard.testing import FakeClock, environ, run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LIMIT = 10


def app(request: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Knows whoever calls themselves a colleague."""
    if request.get("HTTP_AUTHORIZATION", "").startswith("Bearer colleague"):
        identify("office")
    start_response("200 OK", [])
    return [b""]


def guarded(clock: FakeClock | None = None) -> Limiter:
    return Limiter(
        app,
        {"GLOBAL_RATE": f"{LIMIT} per hour", "CREDENTIALS_RATE": "1000 per hour"},
        store=MemoryStore(),
        clock=clock or FakeClock(),
        emit=lambda _event: None,
    )


def statuses(limiter: Limiter, credential: str, times: int) -> list[int]:
    headers = {"Authorization": credential} if credential else {}
    return [run(limiter, environ(headers=headers, peer="203.0.113.9")).status for _ in range(times)]


def test_everybody_who_is_known_has_a_limit_of_their_own() -> None:
    limiter = guarded()
    for number in range(5):
        credential = f"Bearer colleague-{number}-0123456789"
        # The first request of each is counted for the address too: nobody knows them yet.
        assert statuses(limiter, credential, LIMIT) == [200] * LIMIT
        assert statuses(limiter, credential, 1) == [429]

    assert statuses(limiter, "", LIMIT - 5 + 1) == [200] * (LIMIT - 5) + [429]


def test_an_address_has_a_limit_for_all_who_are_known_together() -> None:
    """One account may have many credentials, and an application that goes by cookies takes any for known."""
    clock = FakeClock()
    limiter = guarded(clock)
    credentials = [f"Bearer colleague-{number}-0123456789" for number in range(30)]
    for credential in credentials:
        assert statuses(limiter, credential, 1) == [200]
        clock.advance(360)
    clock.advance(3600)

    seen = [status for credential in credentials for status in statuses(limiter, credential, LIMIT)]

    assert seen == [200] * 16 * LIMIT + [429] * 14 * LIMIT
    assert statuses(limiter, "", 1) == [200], "whoever is not known has the other one"


def test_whoever_makes_up_credentials_has_the_limit_of_the_address() -> None:
    limiter = guarded()

    seen = [status for number in range(LIMIT + 3) for status in statuses(limiter, f"Bearer stranger-{number}", 1)]

    assert seen == [200] * LIMIT + [429] * 3


def test_clients_are_told_of_one_global_limit() -> None:
    limiter = guarded()
    credential = {"Authorization": "Bearer colleague-1-0123456789"}
    answers = [run(limiter, environ(headers=credential, peer="203.0.113.9")) for _ in range(2)]

    assert [answer.header("RateLimit-Policy") for answer in answers] == [f'"global";q={LIMIT};w=3600'] * 2
    assert [answer.header("RateLimit").split(";")[1] for answer in answers] == ["r=9", "r=8"]
