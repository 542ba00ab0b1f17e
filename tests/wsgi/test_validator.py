"""``wsgiref.validate`` on both sides of the stack: we keep PEP 3333 towards the server and towards the application."""

from __future__ import annotations

import gc
import io
from functools import partial
from typing import Any
from wsgiref.validate import validator

import pytest

from bsguard import Protocol, Tenant, guard, stack
from bsguard.testing import environ
from tests.wsgi.requests import ALL, SETTINGS, WITHOUT_WAF
from tests.wsgi.support import Breaking, ClientGone, cases, copying, observer, passing, read_body, reader, serve

JSON = {"Content-Type": "application/json"}


def echo(environ: Any, start_response: Any) -> Any:
    """Reads and answers as the validator wants it."""
    body = read_body(environ)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return iter([] if environ["REQUEST_METHOD"] == "HEAD" else [body])


def streaming(environ: Any, start_response: Any) -> Any:
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"a")
    return (chunk for chunk in (b"b", b"c"))


def stacks(mode: Any, app: Any, folder: Any) -> dict[str, Any]:
    """The arrangements, each with a validator around it and around the application."""
    settings = {"settings": SETTINGS, "mode": mode}
    protocol, tenant = partial(Protocol, **settings), partial(Tenant, **settings)
    inside = validator(app)
    reading, observing = partial(reader([], bytes_max=4096), **settings), partial(observer([]), **settings)
    return {
        "protocol": protocol(inside),
        "tenant": tenant(inside),
        "fused": stack(inside, protocol, tenant, reading, observing),
        "interrupted": stack(inside, protocol, validator, passing, tenant),
        "interrupted by a copy": stack(inside, tenant, copying, validator, protocol),
        "guard": guard(
            inside, {**SETTINGS, "MODE": mode, "STATE_DIR": folder / "state", "EVENTS_STORED": False, **WITHOUT_WAF}
        ),
    }


NAMES = ("protocol", "tenant", "fused", "interrupted", "interrupted by a copy", "guard")

#: What the validator itself objects to or warns of: these never come from a server that keeps the PEP.
UNSENDABLE = {"a length that is no number", "an unknown method"}
SENDABLE = [case for case in ALL if case.id not in UNSENDABLE]


def check(app: Any, request: dict[str, Any], statuses: set[int]) -> None:
    """Serve *request*; the validator must have nothing to say, not even when all is thrown away."""
    errors = request["wsgi.errors"] = io.StringIO()
    sent = serve(validator(app), request)
    del app, request
    gc.collect(1)

    assert sent.error is None
    assert errors.getvalue() == ""
    assert sent.status in statuses


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", cases(SENDABLE, 33))
def test_every_request_is_served_by_the_letter(case: Any, name: str, tmp_path: Any) -> None:
    alone = name in ("protocol", "tenant")
    if name == "tenant" and case.id == "broken chunks":
        alone = False

    check(stacks("enforce", echo, tmp_path)[name], case.make(), {case.status, 200, 400} if alone else {case.status})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", cases([case for case in SENDABLE if case.id != "broken chunks"], 32))
def test_every_request_is_passed_on_by_the_letter(case: Any, name: str, tmp_path: Any) -> None:
    check(stacks("monitor", echo, tmp_path)[name], case.make(), {200})


@pytest.mark.parametrize("mode", ["enforce", "monitor", "off"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_write_and_generators_are_passed_on_by_the_letter(method: str, name: str, mode: str, tmp_path: Any) -> None:
    request = environ(method, "/v1/x", headers={"Host": "api.test", **JSON})

    check(stacks(mode, streaming, tmp_path)[name], request, {200})


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("name", NAMES)
def test_an_answer_without_a_body_is_passed_on_by_the_letter(name: str, status: int, tmp_path: Any) -> None:
    def bare(environ: Any, start_response: Any) -> Any:
        start_response(f"{status} Nothing", [])
        return iter([])

    check(stacks("enforce", bare, tmp_path)[name], environ("GET", "/v1/x", headers={"Host": "api.test"}), {status})


@pytest.mark.parametrize("accept", ["*/*", "application/problem+json"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_refusals_are_made_by_the_letter(method: str, accept: str) -> None:
    check(Protocol(validator(echo)), environ(method, "/a%2Fb", headers={"Accept": accept}), {400})


def test_a_breaking_body_is_passed_on_by_the_letter() -> None:
    got: list[bytes] = []

    def reading(environ: Any, start_response: Any) -> Any:
        while True:
            got.append(environ["wsgi.input"].read(1))

    request = environ("POST", "/", headers=JSON, chunked=True) | {"wsgi.input": Breaking(b'{"a":')}
    sent = serve(validator(Protocol(validator(reading), mode="monitor")), request | {"wsgi.errors": io.StringIO()})

    assert isinstance(sent.error, ClientGone)
    assert sent.status == 500
    assert b"".join(got) == b'{"a":'
