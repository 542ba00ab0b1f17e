"""Protocol and tenant give the same answers in every order, fused or not, and each alone answers for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bsguard import Protocol, Tenant, stack
from bsguard.testing import environ, run
from tests.wsgi.requests import (
    ALL,
    PASSING,
    PASSING_COUNT,
    REFUSED,
    REFUSED_BY_PROTOCOL,
    REFUSED_BY_TENANT,
    REFUSED_COUNT,
    SETTINGS,
)
from tests.wsgi.support import API, ARRANGEMENTS, App, Delegating, arrange, cases, code_of, passing, rules_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.wsgi.requests import Case

EVERY_WAY = pytest.mark.parametrize("arrangement", ARRANGEMENTS)


def test_there_are_nine_arrangements() -> None:
    assert len(set(ARRANGEMENTS)) == 9


@EVERY_WAY
@pytest.mark.parametrize("case", cases(REFUSED, REFUSED_COUNT))
def test_a_refused_request_gets_one_answer_in_all_arrangements(case: Case, arrangement: str, tmp_path: Path) -> None:
    app = App()
    events: list[Any] = []
    answer = run(arrange(arrangement, app, SETTINGS, tmp_path, emit=events.append), case.make())

    assert (answer.status, code_of(answer)) == (case.status, case.code)
    assert {case.rule, "body.framing"} & set(rules_of(events))  # the latter where tenant alone meets chunks first
    assert app.calls == 0
    assert answer.header("X-Request-Id")
    assert len([name for name, _ in answer.headers if name == "X-Request-Id"]) == 1


@EVERY_WAY
@pytest.mark.parametrize("case", cases(PASSING, PASSING_COUNT))
def test_a_legal_request_reaches_the_app_alike_in_all_arrangements(
    case: Case, arrangement: str, tmp_path: Path
) -> None:
    app = App()
    events: list[Any] = []
    sent = case.make()
    body = sent["wsgi.input"].getvalue()
    answer = run(arrange(arrangement, app, SETTINGS, tmp_path, emit=events.append), dict(sent))

    assert answer.status == 200
    assert rules_of(events) == []
    assert app.bodies == [body]
    gone = {"HTTP_X_ACCOUNT_ID", "HTTP_PROXY"}
    added = {"bsguard.request", "bsguard.request_id", "wsgi.input", "wsgi.input_terminated"}
    kept = {key: value for key, value in app.environs[0].items() if key not in added}
    assert kept == {key: value for key, value in sent.items() if key not in gone | added}


def test_all_answers_are_the_same_to_the_letter(tmp_path: Path) -> None:
    compared = 0
    for case in ALL:
        answers = set()
        for arrangement in ARRANGEMENTS:
            answer = run(arrange(arrangement, App(), SETTINGS, tmp_path), case.make())
            request_id = answer.header("X-Request-Id")
            headers = tuple((name, value.replace(request_id, "id")) for name, value in answer.headers)
            answers.add((answer.status, headers, answer.body.replace(request_id.encode(), b"id")))
            compared += 1
        assert len(answers) == 1, case.id

    assert compared == (PASSING_COUNT + REFUSED_COUNT) * 9


@pytest.mark.parametrize("case", cases(REFUSED_BY_PROTOCOL, 17))
def test_protocol_alone_refuses_what_is_its_own(case: Case) -> None:
    assert run(Protocol(App(), settings=SETTINGS), case.make()).status == case.status


@pytest.mark.parametrize("case", cases(REFUSED_BY_TENANT, 4))
def test_protocol_alone_leaves_surfaces_to_tenant(case: Case) -> None:
    assert run(Protocol(App(), settings=SETTINGS), case.make()).status == 200


@pytest.mark.parametrize("case", cases(REFUSED_BY_TENANT, 4))
def test_tenant_alone_refuses_what_is_its_own(case: Case) -> None:
    assert run(Tenant(App(), settings=SETTINGS), case.make()).status == case.status


@pytest.mark.parametrize("case", cases([case for case in REFUSED_BY_PROTOCOL if case.phase == "head"], 12))
def test_tenant_alone_leaves_the_head_to_protocol(case: Case) -> None:
    request = case.make()
    chunked = "HTTP_TRANSFER_ENCODING" in request  # whoever meets a chunked body reads it to its end

    assert run(Tenant(App(), settings=SETTINGS), request).status == (400 if chunked else 200)


@pytest.mark.parametrize("layer", [Protocol, Tenant])
def test_a_layer_alone_needs_nothing_but_the_app(layer: Any) -> None:
    app = App()

    assert run(layer(app), environ("POST", "/", body=b"a=1")).body == b"a=1"
    assert app.calls == 1


def test_no_layers_are_the_app_itself() -> None:
    app = App()

    assert stack(app) is app


BOTH = [
    ("protocol first, fused", "BSE1102"),
    ("protocol first, nested by hand", "BSE1102"),
    ("protocol first, interrupted", "BSE1102"),
    ("protocol first, interrupted by a copy", "BSE1102"),
    ("tenant first, fused", "BSE1002"),
    ("tenant first, nested by hand", "BSE1002"),
    ("tenant first, interrupted", "BSE1002"),
    ("tenant first, interrupted by a copy", "BSE1002"),
    ("guard", "BSE1102"),
]


@pytest.mark.parametrize("row", cases(BOTH, 9))
def test_the_outermost_layer_refuses_what_both_would(row: tuple[str, str], tmp_path: Path) -> None:
    request = environ("BREW", "/", headers={"Host": "evil.test"})

    assert code_of(run(arrange(row[0], App(), SETTINGS, tmp_path), request)) == row[1]


@pytest.mark.parametrize(
    ("arrangement", "code"),
    [("protocol first, fused", "BSE1002"), ("guard", "BSE1002"), ("protocol first, interrupted", "BSE1121")],
)
def test_a_fused_head_comes_before_an_outer_body(arrangement: str, code: str, tmp_path: Path) -> None:
    request = environ("POST", "/", headers={"Host": "evil.test", "Content-Type": "application/json"}, body=b"{")

    assert code_of(run(arrange(arrangement, App(), SETTINGS, tmp_path), request)) == code


def test_a_middleware_that_delegates_attributes_is_not_left_out() -> None:
    between = Delegating(Tenant(App()))
    answer = run(Protocol(between), environ())

    assert answer.status == 200
    assert between.calls == 1


def test_a_layer_class_with_a_call_of_its_own_is_called() -> None:
    class Counted(Tenant):
        calls = 0

        def __call__(self, *arguments: Any) -> Any:
            Counted.calls += 1
            return super().__call__(*arguments)

    assert run(Protocol(Counted(App())), environ()).status == 200
    assert Counted.calls == 1


OWN_SETTINGS = [
    (
        "surfaces",
        lambda app: Tenant(app, settings={"SURFACES": SETTINGS["SURFACES"]}),
        lambda: environ("GET", "/admin", headers={"Host": API}),
        404,
    ),
    (
        "the inspection limit",
        lambda app: Protocol(app, settings={"INSPECT_BYTES_MAX": 1024}),
        lambda: environ("POST", "/", headers={"Content-Type": "application/json"}, body=b'"' + b"a" * 2000 + b'"'),
        413,
    ),
    (
        "the hard maximum",
        lambda app: Protocol(app, settings={"BODY_BYTES_MAX": 2048}),
        lambda: environ("POST", "/", body=b"a" * 3000),
        413,
    ),
    (
        "streaming paths",
        lambda app: Protocol(app, settings={"STREAMING_PATHS": ["/in"]}),
        lambda: environ("POST", "/in", headers={"Content-Type": "application/json"}, body=b"{"),
        200,
    ),
    (
        "exceptions",
        lambda app: Protocol(app, settings={"EXCEPTIONS": [{"rule": "protocol.method", "comment": "needed"}]}),
        lambda: environ("BREW", "/"),
        200,
    ),
]


@pytest.mark.parametrize("between", [(), (passing,)], ids=["directly inside", "interrupted"])
@pytest.mark.parametrize("row", cases(OWN_SETTINGS, 5))
def test_a_layer_keeps_its_own_settings_inside_another(row: Any, between: Any) -> None:
    _, inner, make, status = row
    assert run(inner(App()), make()).status == status, "alone"

    app = inner(App())
    for layer in (*between, Tenant):
        app = layer(app)
    assert run(app, make()).status == status


def test_a_refusal_has_the_form_that_the_refusing_layer_is_set_to() -> None:
    app = Tenant(Protocol(App(), settings={"ERROR_FORMAT": "problem"}))

    assert run(app, environ("BREW", "/")).header("Content-Type") == "application/problem+json"


def test_layers_of_one_stack_share_one_request_id() -> None:
    app = App()
    events: list[Any] = []
    request = environ("GET", "/", headers={"X-Account-Id": "x"})
    run(stack(app, Protocol, passing, lambda inner: Tenant(inner, emit=events.append)), request)

    assert {event.request_id for event in events} == {app.environs[0]["bsguard.request_id"]}


def test_the_same_layer_twice_does_no_harm() -> None:
    answer = run(stack(App(), Protocol, Tenant, Protocol, Tenant), environ("POST", "/", body=b"x", chunked=True))

    assert answer.body == b"x"
    assert len([name for name, _ in answer.headers if name == "X-Request-Id"]) == 1
