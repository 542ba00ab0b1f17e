"""A bug in a layer, a sink or the overrides is an event and the declared answer, never a traceback.

What the application itself raises is another matter, and passes through.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from bsguard import Protocol, Tenant, stack
from bsguard.core import codes
from bsguard.core.events import FanOut
from bsguard.core.overrides import Override
from bsguard.core.verdict import ALLOW, Finding, Verdict
from bsguard.testing import environ, run
from tests.wsgi.support import App, cases, code_of, denier, failing, hello, named, passing, raiser, serve

SECRET = "c4nary7"


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("cannot be told")

    __repr__ = __str__


ERRORS = [
    ("a wrong value", ValueError(SECRET)),
    ("a missing key", KeyError(SECRET)),
    ("a missing attribute", AttributeError(SECRET)),
    ("bad bytes", UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, SECRET)),
    ("recursion", RecursionError(SECRET)),
    ("no memory", MemoryError(SECRET)),
    ("the system", OSError(5, SECRET)),
    ("an assertion", AssertionError(SECRET)),
    ("an end of iteration", StopIteration(SECRET)),
    ("several at once", ExceptionGroup(SECRET, [ValueError(SECRET)])),
    ("one that cannot be printed", Unprintable()),
]

# (id, config, mode, status, code, action in the event)
POLICIES = [
    ("closed, enforcing", {"ON_FAILURE": "closed"}, "enforce", 503, "BSE1901", "denied"),
    ("open, enforcing", {"ON_FAILURE": "open"}, "enforce", 200, "", "passed"),
    ("closed, monitoring", {"ON_FAILURE": "closed"}, "monitor", 200, "", "passed"),
    ("open, monitoring", {"ON_FAILURE": "open"}, "monitor", 200, "", "passed"),
]


@pytest.mark.parametrize("phase", ["inspect_head", "inspect_body"])
@pytest.mark.parametrize("policy", cases(POLICIES, 4))
@pytest.mark.parametrize("error", cases(ERRORS, 11))
def test_a_layer_that_raises_is_answered_by_its_policy(error: Any, policy: Any, phase: str) -> None:
    _, config, mode, status, code, action = policy
    events: list[Any] = []
    app = App()
    layer = failing(phase, raiser(error[1]))
    answer = run(
        stack(app, Tenant, partial(layer, config=config, mode=mode, emit=events.append), Protocol),
        environ("POST", "/", body=b"text"),
    )

    assert (answer.status, code_of(answer), app.calls) == (status, code, int(status == 200))
    failed = named(events, "layer.failed")
    assert [(event.layer, event.action) for event in failed] == [("failing", action)]
    assert type(error[1]).__name__ in failed[0].where
    assert SECRET not in repr(events) + str(answer)


def test_a_layer_that_is_off_cannot_fail() -> None:
    assert run(failing("inspect_head", raiser(ValueError()))(hello, mode="off"), environ()).status == 200


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()], ids=lambda e: type(e).__name__)
def test_what_ends_a_worker_is_not_held_up(error: BaseException) -> None:
    with pytest.raises(type(error)):
        run(failing("inspect_head", raiser(error))(hello), environ())


GARBAGE = [
    ("nothing", None),
    ("True", True),
    ("a word", "deny"),
    ("a status", 403),
    ("the class", Verdict),
    ("findings that are none", Verdict(("deny",))),  # type: ignore[arg-type]
    ("no findings at all", Verdict(None)),  # type: ignore[arg-type]
    ("removals that are none", Verdict(remove=5)),  # type: ignore[arg-type]
    ("a finding without a code", Verdict((Finding("failing.x", None, "x"),))),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("phase", ["inspect_head", "inspect_body"])
@pytest.mark.parametrize("policy", cases(POLICIES, 4))
@pytest.mark.parametrize("row", cases(GARBAGE, 9))
def test_a_layer_that_returns_no_verdict_is_answered_by_its_policy(row: Any, policy: Any, phase: str) -> None:
    _, config, mode, status, code, _ = policy
    events: list[Any] = []
    layer = failing(phase, lambda: row[1])
    answer = run(layer(hello, config, mode=mode, emit=events.append), environ())

    assert (answer.status, code_of(answer)) == (status, code)
    assert named(events, "layer.failed")


@pytest.mark.parametrize("way", [(), (passing,)], ids=["fused", "interrupted"])
@pytest.mark.parametrize("error", cases(ERRORS, 11))
def test_an_observer_that_raises_changes_nothing(error: Any, way: Any) -> None:
    events: list[Any] = []
    layer = partial(failing("observe", raiser(error[1])), emit=events.append)
    answer = run(stack(hello, Protocol, *way, layer, *way, Tenant), environ())

    assert (answer.status, answer.body) == (200, b"hello")
    assert [(event.layer, event.action) for event in named(events, "layer.failed")] == [("failing", "passed")]


def test_an_observer_that_raises_does_not_rob_the_next() -> None:
    seen: list[Any] = []
    other = failing("observe", lambda: seen.append("seen"))
    run(stack(hello, failing("observe", raiser(ValueError())), other), environ())
    run(stack(hello, other, failing("observe", raiser(ValueError())), denier_of_all()), environ())

    assert seen == ["seen", "seen"]


def denier_of_all() -> Any:
    return denier("inspect_head", Finding("denier.all", codes.RESTRICTED, "because"))


# --- sinks ----------------------------------------------------------------------------------------------------------


class BadSink:
    """Raises at every event, and when it is asked what it wants."""

    def __call__(self, event: Any) -> None:
        raise ValueError(SECRET)

    def wants(self, kind: Any) -> bool:
        raise ValueError(SECRET)


# (id, method, mode, status)
ANSWERS = [
    ("allowed", "GET", "enforce", 200),
    ("refused", "BREW", "enforce", 405),
    ("reported", "BREW", "monitor", 200),
]


@pytest.mark.parametrize("sink", [raiser(ValueError(SECRET)), BadSink()], ids=["a function", "an object"])
@pytest.mark.parametrize("row", cases(ANSWERS, 3))
def test_a_sink_that_raises_changes_no_answer(row: Any, sink: Any, caplog: pytest.LogCaptureFixture) -> None:
    _, method, mode, status = row
    app = stack(hello, partial(Protocol, mode=mode, emit=sink), partial(Tenant, mode=mode, emit=sink))

    for _ in range(3):
        answer = run(app, environ(method, "/", headers={"X-Account-Id": "x"}))
        assert answer.status == status
        assert answer.header("X-Request-Id")
    assert len([record for record in caplog.records if "sink" in record.message]) == 1, "said once"


def test_a_sink_that_raises_does_not_rob_the_others() -> None:
    before: list[Any] = []
    behind: list[Any] = []
    run(Protocol(hello, emit=FanOut([before.append, raiser(ValueError()), behind.append])), environ("BREW", "/"))

    assert [event.name for event in before] == [event.name for event in behind]
    assert "request.denied" in [event.name for event in behind]


# --- overrides ------------------------------------------------------------------------------------------------------


class Table:
    """Run-time exceptions as somebody's table has them."""

    def __init__(self, *values: Any, error: Exception | None = None) -> None:
        self._entries = tuple(
            Override(kind="exception", value=value, author="me", comment="why", created=0.0) for value in values
        )
        self._error = error

    def active(self, kind: Any, now: float, /) -> tuple[Override, ...]:
        if self._error is not None:
            raise self._error
        return self._entries


UNREADABLE = [
    ("an empty mapping", {}),
    ("an unknown key", {"rule": "protocol.method", "host": "x"}),
    ("a rule that is no text", {"rule": 5}),
    ("everything", {"rule": "*"}),
    ("a path that is none", {"rule": "protocol.method", "path": 5}),
    ("addresses that are none", {"rule": "protocol.method", "addresses": 5}),
    ("an expiry that is none", {"rule": "protocol.method", "expires": "soon"}),
    ("a list", ["protocol.method"]),
    ("a word", "protocol.method"),
    ("nothing", None),
]


@pytest.mark.parametrize("row", cases(UNREADABLE, 10))
def test_a_run_time_exception_that_cannot_be_read_excepts_nothing(row: Any) -> None:
    table = Table(row[1], {"rule": "protocol.expect"})
    app = Protocol(hello, overrides=table)

    assert run(app, environ("BREW", "/")).status == 405
    assert run(app, environ("GET", "/", headers={"Expect": "tea"})).status == 200


def test_overrides_that_cannot_be_read_at_all_except_nothing() -> None:
    app = Protocol(hello, overrides=Table(error=OSError("gone")))

    assert run(app, environ("BREW", "/")).status in (405, 503)
    assert run(Protocol(hello, mode="monitor", overrides=Table(error=OSError())), environ("BREW", "/")).status == 200


# --- the application ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["enforce", "monitor", "off"])
@pytest.mark.parametrize("error", cases(ERRORS, 11))
def test_what_the_app_raises_is_its_own_affair(error: Any, mode: str) -> None:
    events: list[Any] = []
    sent = serve(Protocol(raiser(error[1]), mode=mode, emit=events.append), environ())

    assert sent.error is error[1]
    assert not named(events, "layer.failed")
    assert [event.status for event in named(events, "request.finished")] == [500]


def test_allow_is_the_verdict_of_a_layer_that_looks_at_nothing() -> None:
    layer = failing("prepare", lambda: None)(hello)

    assert layer.inspect_head(None) is ALLOW  # type: ignore[arg-type]
    assert layer.inspect_body(None) is ALLOW  # type: ignore[arg-type]
    assert run(layer, environ()).body == b"hello"
