"""What Flask answers passes the guard unchanged: streams, files, conditional answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from wsgiref.util import FileWrapper

import pytest
from flask import Flask, Response, request, send_file, send_from_directory, stream_with_context

from bsguard import BSGuard, identify
from bsguard.testing import capture_events, environ, run
from tests.flask_ext.support import ENFORCE, MONITOR

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["enforce", "monitor"])
def app(make_app: Any, request: pytest.FixtureRequest) -> Flask:
    made: Flask = make_app(**(ENFORCE if request.param == "enforce" else MONITOR))
    BSGuard(made)
    return made


def test_a_blueprint_streams_in_its_request_context(app: Flask) -> None:
    with capture_events() as events:
        answer = app.test_client().get("/stream")
        assert answer.text == "0 /stream\n1 /stream\n2 /stream\n"
        answer.close()

    assert "Content-Length" not in answer.headers
    finished = [event for event in events if event.name == "request.finished"]
    assert [(event.status, event.account) for event in finished] == [(200, "acct-8")]


def test_a_stream_goes_out_piece_by_piece(app: Flask) -> None:
    made: list[int] = []

    @app.get("/slow")
    def slow() -> Response:
        def pieces() -> Iterator[bytes]:
            for number in range(3):
                made.append(number)
                yield b"x"

        return Response(pieces())

    chunks = app(environ("GET", "/slow"), lambda *_: None)
    taken = iter(chunks)
    next(taken)
    assert made == [0]
    next(taken)
    assert made == [0, 1]
    chunks.close()


def test_a_client_that_goes_away_ends_the_stream(app: Flask) -> None:
    said: list[str] = []

    @app.get("/events")
    def server_sent() -> Response:
        def pieces() -> Iterator[str]:
            try:
                while True:
                    yield f"data: {request.path}\n\n"
            finally:
                said.append(request.path)
                identify("acct-9")

        answer = Response(stream_with_context(pieces()), mimetype="text/event-stream")
        answer.call_on_close(lambda: said.append("closed"))
        return answer

    with capture_events() as events:
        chunks = app(environ("GET", "/events"), lambda *_: None)
        assert next(iter(chunks)) == b"data: /events\n\n"
        chunks.close()

    assert said == ["/events", "closed"] or said == ["closed", "/events"]
    assert [event.account for event in events if event.name == "request.finished"] == ["acct-9"]


def test_an_upload_is_echoed_as_a_stream(app: Flask) -> None:
    @app.post("/echo")
    def echo() -> Response:
        return Response(stream_with_context(iter(lambda: request.stream.read(1000), b"")))

    data = b'["' + b"x" * 100_000 + b'"]'
    answer = app.test_client().post("/echo", data=data, content_type="application/json")

    assert answer.data == data
    answer.close()


@pytest.fixture
def files(app: Flask, tmp_path: Path) -> Flask:
    (tmp_path / "report.txt").write_bytes(b"0123456789" * 10_000)

    @app.get("/report")
    def report() -> Response:
        return send_file(tmp_path / "report.txt", as_attachment=True, conditional=True)

    @app.get("/files/<path:name>")
    def file(name: str) -> Response:
        return send_from_directory(tmp_path, name)

    return app


def test_a_file_is_sent_whole(files: Flask) -> None:
    answer = files.test_client().get("/report")

    assert answer.data == b"0123456789" * 10_000
    assert answer.headers["Content-Length"] == "100000"
    assert answer.headers["Content-Disposition"] == "attachment; filename=report.txt"
    answer.close()


def test_a_file_is_handed_to_the_server_s_file_wrapper(files: Flask) -> None:
    request = environ("GET", "/report", **{"wsgi.file_wrapper": FileWrapper})
    chunks = files(request, lambda *_: None)
    assert type(chunks) is FileWrapper
    chunks.close()  # type: ignore[attr-defined]

    assert run(files, environ("GET", "/report", **{"wsgi.file_wrapper": FileWrapper})).body == b"0123456789" * 10_000


def test_a_part_of_a_file_is_sent(files: Flask) -> None:
    answer = files.test_client().get("/report", headers={"Range": "bytes=10-19"})

    assert (answer.status_code, answer.data) == (206, b"0123456789")
    answer.close()


def test_a_file_that_did_not_change_is_not_sent(files: Flask) -> None:
    client = files.test_client()
    first = client.get("/files/report.txt")
    second = client.get("/files/report.txt", headers={"If-None-Match": first.headers["ETag"]})

    assert (second.status_code, second.data) == (304, b"")
    assert second.headers["X-Request-Id"]
    first.close()
    second.close()


def test_the_head_of_a_file_has_no_body(files: Flask) -> None:
    answer = files.test_client().head("/report")

    assert (answer.data, answer.headers["Content-Length"]) == (b"", "100000")
    answer.close()


@pytest.mark.parametrize("name", ["../secret", "%2e%2e/secret", "..%2fsecret", "missing.txt"])
def test_no_path_leads_out_of_the_folder(files: Flask, name: str) -> None:
    assert files.test_client().get(f"/files/{name}").status_code in (400, 404)


def test_an_error_page_is_the_app_s_own(app: Flask) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.register_error_handler(ZeroDivisionError, lambda error: ("divided", 500))

    assert app.test_client().get("/fail").text == "divided"
    assert app.test_client().get("/nowhere").text == "no such page"


def test_an_id_that_the_app_sets_is_kept(app: Flask) -> None:
    @app.after_request
    def stamp(response: Response) -> Response:
        response.headers["X-Request-Id"] = "mine"
        return response

    assert app.test_client().get("/").headers.getlist("X-Request-Id") == ["mine"]


def test_the_app_knows_the_id(app: Flask) -> None:
    answer = app.test_client().get("/id")

    assert answer.text == answer.headers["X-Request-Id"]
