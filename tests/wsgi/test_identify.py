"""``identify()`` names the account of the request that the application is serving, and of no other."""

from __future__ import annotations

import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from bsguard import Protocol, Tenant, guard, identify, stack
from bsguard.testing import environ, run
from tests.wsgi.support import copying, hello, named, observer, passing, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def identifying(account: str | Callable[[dict[str, Any]], str], then: Any = hello) -> Any:
    """An application whose access control says who calls."""

    def app(environ: Any, start_response: Any) -> Any:
        identify(account if isinstance(account, str) else account(environ))
        return then(environ, start_response)

    return app


def accounts(events: list[Any]) -> list[tuple[str, str]]:
    return [(event.path, event.account) for event in named(events, "request.finished")]


@pytest.mark.parametrize("between", [(), (passing,), (copying,)], ids=["fused", "interrupted", "interrupted by a copy"])
def test_the_account_stands_in_the_events_of_the_request(between: Any) -> None:
    events: list[Any] = []
    app = stack(
        identifying("acct-1"),
        lambda inner: Protocol(inner, emit=events.append),
        *between,
        lambda inner: Tenant(inner, emit=events.append),
    )
    run(app, environ("GET", "/a"))

    assert accounts(events) == [("/a", "acct-1")]


def test_a_request_that_nobody_identified_has_no_account() -> None:
    events: list[Any] = []
    run(Protocol(hello, emit=events.append), environ("GET", "/", headers={"X-Account-Id": "victim"}))

    assert accounts(events) == [("/", "")]


@pytest.mark.parametrize("header", ["X-Account-Id", "X_Account_Id", "Bsguard-Account", "Account"])
def test_no_header_sets_the_account(header: str) -> None:
    events: list[Any] = []
    app = stack(identifying("acct-1"), lambda inner: Protocol(inner, emit=events.append), Tenant)
    run(app, environ("GET", "/", headers={header: "victim"}))

    assert accounts(events) == [("/", "acct-1")]


def test_the_last_word_counts() -> None:
    events: list[Any] = []
    run(Protocol(identifying("acct-1", identifying("acct-2")), emit=events.append), environ())

    assert accounts(events) == [("/", "acct-2")]


def test_observers_know_the_account() -> None:
    seen: list[Any] = []

    class Knowing(observer([])):  # type: ignore[misc]
        def observe(self, request: Any, response: Any) -> None:
            seen.append(request.shared.account)

    run(Knowing(identifying("acct-1")), environ())

    assert seen == ["acct-1"]


# --- not inside a request -------------------------------------------------------------------------------------------


def test_outside_of_a_request_it_does_nothing() -> None:
    events: list[Any] = []
    app = Protocol(hello, emit=events.append)
    identify("acct-before")
    run(app, environ("GET", "/a"))
    identify("acct-after")
    run(app, environ("GET", "/b"))

    assert accounts(events) == [("/a", ""), ("/b", "")]


@pytest.mark.parametrize("error", [None, ValueError("x")], ids=["answered", "failed"])
def test_one_request_leaves_nothing_for_the_next(error: Exception | None) -> None:
    events: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/a":
            identify("acct-a")
            if error is not None:
                raise error
        return hello(environ, start_response)

    guarded = Protocol(app, emit=events.append)
    serve(guarded, environ("GET", "/a"))
    serve(guarded, environ("GET", "/b"))
    serve(guarded, environ("BREW", "/c"))

    assert accounts(events) == [("/a", "acct-a"), ("/b", ""), ("/c", "")]


def test_without_a_guard_it_does_nothing(tmp_path: Path) -> None:
    assert run(identifying("acct-1"), environ()).status == 200

    off = guard(identifying("acct-1"), {"ENABLED": False, "STATE_DIR": tmp_path / "state"})
    assert run(off, environ()).status == 200


# --- threads --------------------------------------------------------------------------------------------------------


def test_requests_in_several_threads_keep_their_accounts_apart() -> None:
    events: list[Any] = []
    together = threading.Barrier(8, timeout=30)

    def slow(environ: Any, start_response: Any) -> Any:
        together.wait()
        identify("acct" + environ["PATH_INFO"])
        together.wait()
        return hello(environ, start_response)

    app = stack(slow, lambda inner: Protocol(inner, emit=events.append), Tenant)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: run(app, environ("GET", f"/{number}")), range(8)))

    assert [answer.status for answer in answers] == [200] * 8
    assert sorted(accounts(events)) == [(f"/{number}", f"acct/{number}") for number in range(8)]


def test_a_thread_of_the_app_speaks_for_the_request_only_in_its_context() -> None:
    events: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        said = contextvars.copy_context()
        targets = {"/plain": lambda: identify("acct-1"), "/context": lambda: said.run(identify, "acct-1")}
        thread = threading.Thread(target=targets[environ["PATH_INFO"]])
        thread.start()
        thread.join()
        return hello(environ, start_response)

    guarded = Protocol(app, emit=events.append)
    run(guarded, environ("GET", "/plain"))
    run(guarded, environ("GET", "/context"))

    assert accounts(events) == [("/plain", ""), ("/context", "acct-1")]


# --- generators -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("between", [(), (passing,)], ids=["fused", "interrupted"])
def test_a_streamed_response_may_still_say_who_calls(between: Any) -> None:
    events: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        yield b"one"
        identify("acct-1")
        yield b"two"

    sent = serve(stack(app, lambda inner: Protocol(inner, emit=events.append), *between, Tenant), environ())

    assert sent.body == b"onetwo"
    assert accounts(events) == [("/", "acct-1")]


def test_a_response_may_say_so_when_it_is_closed() -> None:
    events: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        try:
            yield b"one"
            yield b"two"
        finally:
            identify("acct-1")

    serve(Protocol(app, emit=events.append), environ(), take=1)

    assert accounts(events) == [("/", "acct-1")]


# --- requests within requests ---------------------------------------------------------------------------------------


def nested(sub: Callable[[dict[str, Any]], dict[str, Any]]) -> list[tuple[str, str]]:
    """What the events say when an app asks itself for /inner, and says who calls before and after."""
    events: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/inner":
            identify("acct-inner")
        else:
            run(guarded, sub(environ))
            identify("acct-outer")
        return hello(environ, start_response)

    guarded = Protocol(app, emit=events.append)
    assert run(guarded, environ("GET", "/outer")).status == 200
    return accounts(events)


def test_a_request_within_a_request_is_one_of_its_own() -> None:
    assert nested(lambda _: environ("GET", "/inner")) == [("/inner", "acct-inner"), ("/outer", "acct-outer")]


def test_a_request_within_a_request_does_not_speak_for_the_outer_one() -> None:
    events: list[Any] = []

    def app(environ_: Any, start_response: Any) -> Any:
        if environ_["PATH_INFO"] == "/outer":
            run(guarded, environ("GET", "/inner"))
        else:
            identify("acct-inner")
        return hello(environ_, start_response)

    guarded = Protocol(app, emit=events.append)
    run(guarded, environ("GET", "/outer"))

    assert accounts(events) == [("/inner", "acct-inner"), ("/outer", "")]


def test_two_guards_in_one_process_keep_their_requests_apart() -> None:
    inner_events: list[Any] = []
    outer_events: list[Any] = []
    other = Protocol(identifying("acct-other"), emit=inner_events.append)

    def app(environ_: Any, start_response: Any) -> Any:
        run(other, environ("GET", "/other"))
        identify("acct-mine")
        return hello(environ_, start_response)

    run(Protocol(app, emit=outer_events.append), environ("GET", "/mine"))

    assert accounts(inner_events) == [("/other", "acct-other")]
    assert accounts(outer_events) == [("/mine", "acct-mine")]
