"""Heads are judged before any body is read, a body is read once, and not at all when nobody wants it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from bsguard import Protocol, Tenant, guard, stack
from bsguard.core import codes
from bsguard.core.layer import Layer
from bsguard.core.verdict import ALLOW, Finding
from bsguard.testing import environ, run
from tests.wsgi.requests import REFUSED, SETTINGS, WITHOUT_WAF
from tests.wsgi.support import App, Counting, Untouchable, cases, copying, denier, hello, passing, raiser, reader

if TYPE_CHECKING:
    from pathlib import Path

    from tests.wsgi.requests import Case

REFUSED_BY_HEAD = [case for case in REFUSED if case.phase == "head"]
REFUSAL = Finding("denier.any", codes.RESTRICTED, "because")


@pytest.mark.parametrize("order", ["reader first", "reader last"])
@pytest.mark.parametrize("case", cases(REFUSED_BY_HEAD, 16))
def test_no_byte_is_read_of_a_request_whose_head_is_refused(case: Case, order: str) -> None:
    seen: list[bytes] = []
    layers = [partial(layer, settings=SETTINGS) for layer in (reader(seen), Protocol, Tenant)]
    body = Untouchable()
    answer = run(
        stack(App(), *(layers if order == "reader first" else [*layers[1:], layers[0]])),
        case.make() | {"wsgi.input": body},
    )

    assert answer.status == case.status
    assert not body.touched
    assert seen == []


@pytest.mark.parametrize("position", range(4))
def test_any_head_comes_before_every_body(position: int) -> None:
    seen: list[bytes] = []
    layers = [reader(seen, name=f"reader{number}") for number in range(3)]
    layers.insert(position, denier("inspect_head", REFUSAL))
    body = Untouchable()
    answer = run(stack(App(), *layers), environ("POST", "/", body=b"text") | {"wsgi.input": body})

    assert answer.status == 404
    assert not body.touched
    assert seen == []


def test_heads_run_in_order_and_so_do_bodies() -> None:
    order: list[str] = []

    def layer(name: str) -> Any:
        def noting(what: str) -> Any:
            return lambda self, *_: order.append(f"{name} {what}") or ALLOW

        methods = {"inspect_head": noting("head"), "inspect_body": noting("body"), "observe": noting("observe")}
        return type(name, (Layer,), {"name": name, **methods})

    def app(environ: Any, start_response: Any) -> list[bytes]:
        order.append("app")
        return hello(environ, start_response)

    fused = ["a head", "b head", "a body", "b body", "app", "a observe", "b observe"]
    run(stack(app, layer("a"), layer("b")), environ())
    assert order == fused

    order.clear()
    run(layer("a")(layer("b")(app)), environ())
    assert order == fused

    order.clear()
    run(stack(app, layer("a"), passing, layer("b")), environ())
    assert order == ["a head", "a body", "b head", "b body", "app", "b observe", "a observe"]


def test_a_body_that_is_refused_ends_the_judging() -> None:
    seen: list[bytes] = []
    answer = run(
        stack(App(), denier("inspect_body", REFUSAL), reader(seen)), environ("POST", "/", body=b"text", chunked=True)
    )

    assert answer.status == 404
    assert seen == []


def test_bodies_are_judged_only_when_every_head_has_passed() -> None:
    app = App()
    broken = reader([])
    broken.inspect_body = raiser(AssertionError("judged"))

    assert run(stack(app, broken, denier("inspect_head", REFUSAL)), environ()).status == 404
    assert app.calls == 0


def test_the_first_refusal_counts_and_all_findings_are_reported() -> None:
    events: list[Any] = []
    answer = run(
        Protocol(App(), emit=events.append), environ("BREW", "/a%2Fb", headers={"Expect": "tea", "Host": "a,b"})
    )

    assert answer.status == 405
    assert sorted(event.rule for event in events if event.name == "request.denied") == [
        "protocol.expect",
        "protocol.host.invalid",
        "protocol.method",
        "protocol.target.encoded-slash",
    ]


# --- one read -------------------------------------------------------------------------------------------------------

WAYS = {
    "fused": (),
    "interrupted": (passing,),
    "interrupted by a copy": (copying,),
}


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
@pytest.mark.parametrize("way", WAYS)
def test_several_body_readers_cost_one_read(way: str, chunked: bool) -> None:
    data = b'{"a": "' + b"x" * 90_000 + b'"}'
    seen: list[bytes] = []
    app = App()
    source = Counting(data, piece=1000)
    request = environ("POST", "/", headers={"Content-Type": "application/json"}, body=data, chunked=chunked)
    layers = [reader(seen, name="one"), *WAYS[way], Protocol, *WAYS[way], reader(seen, name="two"), Tenant]
    answer = run(stack(app, *layers), request | {"wsgi.input": source})

    assert answer.status == 200
    assert source.taken == len(data)
    assert seen == [data, data]
    assert app.bodies == [data]
    assert app.streams[0] is not source


def test_the_body_is_parsed_once_for_all_layers() -> None:
    parsed: list[object] = []

    def parsing(name: str) -> Any:
        layer = reader([], name=name)
        layer.inspect_body = lambda self, request: parsed.append(request.json(64)) or ALLOW
        return layer

    run(stack(App(), parsing("one"), parsing("two")), environ("POST", "/", body=b'{"a": 1}'))

    assert parsed == [{"a": 1}, {"a": 1}]
    assert parsed[0] is parsed[1]


# --- no read --------------------------------------------------------------------------------------------------------

UNREAD = [
    ("a form", "POST", {"Content-Type": "application/x-www-form-urlencoded"}, b"a=1"),
    ("an upload", "POST", {"Content-Type": "multipart/form-data; boundary=x"}, b"--x--"),
    ("no media type", "PUT", {}, b"bytes"),
    ("a large upload", "PUT", {"Content-Type": "image/png"}, b"p" * 300_000),
    ("nothing", "GET", {}, b""),
    ("a length of nothing", "POST", {"Content-Type": "application/json", "Content-Length": "0"}, b""),
]

QUIET = {"MODE": "enforce", "EVENTS_STORED": False, **WITHOUT_WAF}
UNWANTING = {
    "protocol": lambda app, _: Protocol(app),
    "tenant": lambda app, _: Tenant(app),
    "both": lambda app, _: stack(app, Protocol, Tenant),
    "both, interrupted": lambda app, _: stack(app, Tenant, passing, Protocol),
    "guard": lambda app, folder: guard(app, {**QUIET, "STATE_DIR": folder / "state"}),
    "a reader that is off": lambda app, _: stack(app, partial(reader([]), mode="off"), Protocol),
}


@pytest.mark.parametrize("stacked", UNWANTING)
@pytest.mark.parametrize("row", cases(UNREAD, 6))
def test_nothing_is_read_when_nobody_wants_it_and_the_app_gets_the_server_s_stream(
    row: Any, stacked: str, tmp_path: Path
) -> None:
    _, method, headers, body = row
    got: list[Any] = []
    source = Untouchable()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        got.append(environ["wsgi.input"])
        return hello(environ, start_response)

    request = environ(method, "/", headers=headers, body=body) | {"wsgi.input": source}
    answer = run(UNWANTING[stacked](app, tmp_path), request)

    assert answer.status == 200
    assert not source.touched
    assert got[0] is source


def test_a_chunked_body_is_read_to_its_end_though_nobody_wants_it() -> None:
    source = Counting(b"x" * 100_000, piece=700)
    taken: list[int] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        taken.append(source.taken)
        return hello(environ, start_response)

    request = environ("POST", "/", body=b"x", chunked=True) | {"wsgi.input": source}

    assert run(Tenant(app), request).status == 200
    assert taken == [100_000]


def test_all_layers_off_read_no_chunks() -> None:
    source = Untouchable()
    request = environ("POST", "/", body=b"x", chunked=True) | {"wsgi.input": source}

    assert run(Protocol(hello, mode="off"), request).status == 200
    assert not source.touched
