"""In monitor mode nothing is refused, nothing is lost, and the reports are those that enforcing would act on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from bsguard import Protocol, Tenant, guard, stack
from bsguard.core import codes
from bsguard.core.verdict import Finding
from bsguard.testing import environ
from tests.wsgi.requests import PASSING, PASSING_COUNT, REFUSED, REFUSED_COUNT, SETTINGS, WITHOUT_WAF
from tests.wsgi.support import (
    App,
    Breaking,
    ClientGone,
    Counting,
    cases,
    code_of,
    denier,
    hello,
    named,
    passing,
    reader,
    rules_of,
    serve,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.wsgi.requests import Case

JSON = {"Content-Type": "application/json"}


def monitored(app: Any, way: str, folder: Path, emit: Any) -> Any:
    if way == "guard":
        return guard(app, {**SETTINGS, "STATE_DIR": folder / "state", "EVENTS_STORED": False, **WITHOUT_WAF}, emit=emit)
    layers = [partial(layer, settings=SETTINGS, mode="monitor", emit=emit) for layer in (Protocol, Tenant)]
    return stack(app, *(layers if way == "fused" else [layers[0], passing, layers[1]]))


@pytest.mark.parametrize("way", ["guard", "fused", "interrupted"])
@pytest.mark.parametrize("case", cases(REFUSED, REFUSED_COUNT))
def test_what_enforcing_would_refuse_is_reported_and_passed_on(case: Case, way: str, tmp_path: Path) -> None:
    events: list[Any] = []
    sent = serve(monitored(hello, way, tmp_path, events.append), case.make())

    assert sent.status == 200
    assert sent.body == b"hello"
    reports = named(events, "request.would_be_denied")
    assert (case.rule, case.code, "would_deny") in {(event.rule, event.code, event.action) for event in reports}
    assert not named(events, "request.denied")


@pytest.mark.parametrize("way", ["guard", "fused", "interrupted"])
@pytest.mark.parametrize("case", cases(PASSING, PASSING_COUNT))
def test_what_enforcing_would_pass_raises_no_alarm(case: Case, way: str, tmp_path: Path) -> None:
    events: list[Any] = []
    app = App()
    request = case.make()
    body = request["wsgi.input"].getvalue()

    assert serve(monitored(app, way, tmp_path, events.append), request).status == 200
    assert app.bodies == [body]
    assert rules_of(events) == []


@pytest.mark.parametrize("case", cases([case for case in REFUSED if case.id != "broken chunks"], REFUSED_COUNT - 1))
def test_the_app_gets_the_bytes_of_a_request_that_would_be_refused(case: Case, tmp_path: Path) -> None:
    got: list[bytes] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        got.append(b"".join(iter(partial(environ["wsgi.input"].read, 100), b"")))
        return hello(environ, start_response)

    request = case.make()
    body = request["wsgi.input"].getvalue()
    serve(monitored(app, "fused", tmp_path, print), request)

    assert got == [body]


# Where the body breaks, and how much of it the guard wants to read: more than there is, or less.
BREAKS = [
    ("at once", b""),
    ("after a byte", b"{"),
    ("after some", b'{"a": ' + b"1" * 500),
    ("over the inspection limit", b'"' + b"a" * 3000),
    ("over the hard maximum", b'"' + b"a" * 6000),
    ("long after the hard maximum", b'"' + b"a" * 100_000),
]


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
@pytest.mark.parametrize("row", cases(BREAKS, 6))
def test_a_breaking_body_arrives_in_order_and_ends_in_the_server_s_own_error(
    row: tuple[str, bytes], chunked: bool, tmp_path: Path
) -> None:
    error = ClientGone("reset by peer")
    got: list[bytes] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        while True:
            got.append(environ["wsgi.input"].read(1))

    request = environ("POST", "/v1/x", headers={**JSON, "Host": "api.test"}, body=b"x" * 200_000, chunked=chunked)
    request["wsgi.input"] = Breaking(row[1], error, piece=333)
    sent = serve(monitored(app, "fused", tmp_path, print), request)

    assert sent.error is error
    assert b"".join(got) == row[1]


SHORT = [("nothing came", b""), ("some came", b"abc"), ("more than the inspection limit came", b"a" * 3000)]


@pytest.mark.parametrize("row", cases(SHORT, 3))
def test_a_body_that_ends_early_is_handed_on_as_far_as_it_came(row: tuple[str, bytes], tmp_path: Path) -> None:
    app = App()
    events: list[Any] = []
    request = environ("POST", "/", headers={**JSON, "Content-Length": "1800", "Host": "www.test"})
    request["wsgi.input"] = Counting(row[1][:1800])
    if len(row[1]) > 1800:
        request["CONTENT_LENGTH"] = "4000"
        request["wsgi.input"] = Counting(row[1])
    sent = serve(monitored(app, "fused", tmp_path, events.append), request)

    assert sent.status == 200
    assert app.bodies == [row[1]]
    assert set(rules_of(events)) <= {"body.incomplete", "body.size"}
    assert rules_of(events)


OVER = [(f"{size} bytes", size) for size in (2047, 2048, 2049, 4095, 4096, 4097, 65_537, 200_000)]


@pytest.mark.parametrize("row", cases(OVER, 8))
def test_an_oversized_chunked_body_is_kept_as_far_as_read_and_the_rest_follows(
    row: tuple[str, int], tmp_path: Path
) -> None:
    data = bytes(range(256)) * (row[1] // 256 + 1)
    data = data[: row[1]]
    app = App()
    source = Counting(data, piece=1000)
    taken: list[int] = []

    def noting(environ: Any, start_response: Any) -> Any:
        taken.append(source.taken)
        return app(environ, start_response)

    request = environ("POST", "/", headers={"Host": "www.test"}, body=data, chunked=True) | {"wsgi.input": source}
    events: list[Any] = []
    sent = serve(monitored(noting, "fused", tmp_path, events.append), request)

    assert sent.status == 200
    assert app.bodies == [data]
    assert source.taken == len(data)
    assert taken[0] <= 4096 + 1  # the hard maximum, and the byte that shows it was passed
    assert rules_of(events) == (["body.size"] if row[1] > 4096 else [])


def test_a_body_over_the_inspection_limit_of_one_layer_is_still_read_for_another() -> None:
    seen: list[bytes] = []
    app = App()
    layers = [
        partial(reader(seen, name="small", bytes_max=10), mode="monitor"),
        partial(reader(seen, name="large", bytes_max=10_000), mode="monitor"),
    ]
    request = environ("POST", "/", body=b"x" * 5000, chunked=True)
    sent = serve(stack(app, *layers), request)

    assert sent.status == 200
    assert seen == [b"x" * 5000]
    assert app.bodies == [b"x" * 5000]


def test_a_fault_of_the_body_is_reported_once() -> None:
    events: list[Any] = []
    request = environ("POST", "/", headers=JSON, chunked=True) | {"wsgi.input": Breaking(b'{"a":')}
    serve(Protocol(hello, mode="monitor", emit=events.append), request)

    assert rules_of(events) == ["body.broken"]


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file of this process may grow past 100,000 bytes."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("mode", ["enforce", "monitor"])
def test_a_full_disk_costs_no_byte_of_the_body(mode: Any) -> None:
    data = bytes(range(250)) * 2000
    app = App()
    events: list[Any] = []
    request = environ("POST", "/", body=data, chunked=True) | {"wsgi.input": Counting(data, piece=999)}
    sent = serve(Protocol(app, mode=mode, emit=events.append), request)

    assert rules_of(events) == ["body.spool"]
    assert (sent.status, code_of(sent)) == ((200, "") if mode == "monitor" else (503, "BSE1901"))
    assert app.bodies == ([data] if mode == "monitor" else [])


def test_headers_are_stripped_though_nothing_is_refused(tmp_path: Path) -> None:
    app = App()
    headers = {"X-Account-Id": "victim", "X_Account_Id": "victim", "Proxy": "http://evil.test", "Host": "www.test"}
    serve(monitored(app, "fused", tmp_path, print), environ("GET", "/", headers=headers))

    assert not {"HTTP_X_ACCOUNT_ID", "HTTP_PROXY"} & set(app.environs[0])


def test_a_challenge_is_reported_as_one() -> None:
    events: list[Any] = []
    finding = Finding("denier.challenge", codes.RESTRICTED, "prove it", action="challenge")
    sent = serve(denier("inspect_head", finding)(hello, mode="monitor", emit=events.append), environ())

    assert sent.status == 200
    assert [event.action for event in events if hasattr(event, "action")] == ["would_challenge"]


def test_the_mode_is_said_once_when_the_guard_is_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = guard(hello, {"STATE_DIR": tmp_path / "state", "EVENTS_STORED": False})
    serve(made, environ())
    serve(made, environ())

    assert [record.message.count("bsguard monitors in") for record in caplog.records if record.name == "bsguard"] == [1]
