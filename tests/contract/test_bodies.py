"""Bodies that are no JSON: what the guard reads is what the application reads, in bounded memory."""

from __future__ import annotations

import io
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, jsonify, request

from bsguard import Contract
from bsguard.testing import environ, run
from tests.contract.support import Guarded, operation, spec

if TYPE_CHECKING:
    from pathlib import Path

PARTS = {"Content-Type": "multipart/form-data; boundary=XX"}
TEXTS = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^[^<Ã]*$"}}}


def bodies(**content: Any) -> dict[str, Any]:
    """An operation that takes these media types."""
    return operation(requestBody={"required": True, "content": content})


def part(name: str, content: bytes, *headers: str, extra: str = "") -> bytes:
    head = "\r\n".join([f'--XX\r\nContent-Disposition: form-data; name="{name}"{extra}', *headers])
    return head.encode("latin-1") + b"\r\n\r\n" + content + b"\r\n"


END = b"--XX--\r\n"
FORBIDDEN = "Ã".encode()
#: One letter in UTF-8; two in Latin-1, the first of them forbidden.
HIDDEN = "é".encode()
#: Multipart messages; whether they are refused, for none may bring the application a text that the schema forbids.
MESSAGES: dict[str, tuple[bytes, bool]] = {
    "plain": (part("a", b"x") + END, False),
    "a forbidden letter": (part("a", FORBIDDEN) + END, True),
    "in a charset of its own": (
        part("a", b"\xc3", "Content-Type: text/plain; charset=iso-8859-1") + END,
        True,
    ),
    "hidden in a charset": (part("a", HIDDEN, "Content-Type: text/plain; charset=iso-8859-1") + END, True),
    "two charsets": (part("a", b"x", "Content-Type: text/plain; charset=utf-8; charset=iso-8859-1") + END, True),
    "UTF-8 by name": (part("a", b"x", "Content-Type: text/plain; charset=UTF-8") + END, False),
    "a file of any charset": (
        part("a", b"", "Content-Type: text/plain; charset=x", extra='; filename="f"') + END,
        False,
    ),
    "bytes that are no text": (part("a", b"\xff") + END, True),
    "a second copy": (part("a", b"x") + part("a", b"<") + END, True),
    "after the end": (part("a", b"x") + END + part("a", b"<") + END, False),
    "before the beginning": (b"preamble\r\n" + part("a", b"x") + END, False),
    "a name in another form": (part("b", b"<", extra="; name*=utf-8''a") + END, True),
    "a transfer encoding": (part("a", b"PA==", "Content-Transfer-Encoding: base64") + END, False),
    "no end": (part("a", b"x"), True),
}


@pytest.fixture
def echo(tmp_path: Path) -> Any:
    """A Flask application that tells the texts it was given, and the guard around it."""
    app = Flask("echo", static_folder=None)

    @app.post("/x")
    def texts() -> Any:
        return jsonify(request.form.to_dict(flat=False))

    guarded = Guarded(tmp_path, spec({"/x": {"post": bodies(**{"multipart/form-data": {"schema": TEXTS}})}}))
    return Contract(app, guarded.layer.config)


@pytest.mark.parametrize("case", MESSAGES)
def test_the_application_reads_the_parts_that_were_judged(case: str, echo: Any) -> None:
    body, refused = MESSAGES[case]

    answer = run(echo, environ("POST", "/x", headers=PARTS, body=body))

    assert (answer.status != 200) is refused, answer.body
    assert refused or not any(piece in answer.body for piece in (b"<", b"\\u00c3"))
    assert len(MESSAGES) == 14


class Endless(io.RawIOBase):
    """A stream of so many bytes that are made when they are read."""

    def __init__(self, head: bytes, count: int, tail: bytes) -> None:
        self.rest = [head, *[b"x" * 65_536] * (count // 65_536), tail]
        self.length = sum(map(len, self.rest))

    def read(self, size: int = -1) -> bytes:
        piece = self.rest.pop(0) if self.rest else b""
        if 0 <= size < len(piece):
            self.rest.insert(0, piece[size:])
        return piece[:size] if size >= 0 else piece


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (part("f", b"", extra='; filename="f"')[:-2], 200),
        (part("a", b"")[:-2], 400),
        (b"", 400),
        (b'--XX\r\nContent-Disposition: form-data; name="', 400),
    ],
    ids=["a file", "a text", "no boundary", "a header without end"],
)
def test_a_large_message_is_not_held_in_memory(head: bytes, status: int, tmp_path: Path) -> None:
    document = spec({"/x": {"post": bodies(**{"multipart/form-data": {"schema": {"type": "object"}}})}})
    layer = Guarded(tmp_path, document).layer
    contract = Contract(sink, layer.config, settings={"BODY_BYTES_MAX": 64 * 1024 * 1024})
    stream = Endless(head, 24 * 1024 * 1024, b"\r\n" + END)
    made = environ("POST", "/x", headers=PARTS, body=b"-") | {"CONTENT_LENGTH": str(stream.length)}
    run(contract, environ("POST", "/x", headers=PARTS, body=part("a", b"") + END))  # imports

    tracemalloc.start()
    try:
        answer = run(contract, made | {"wsgi.input": stream})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert answer.status == status
    assert peak < 2 * 1024 * 1024


def sink(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b""]


def test_a_large_upload_in_chunks_is_not_held_against_the_limit_for_texts(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, spec({"/x": {"post": bodies(**{"image/png": {}})}}))

    sent = guarded.ask("POST", "/x", headers={"Content-Type": "image/png"}, body=b"x" * 200_000, chunked=True)

    assert (sent.status, len(sent.body)) == (200, 200_000)


WILD = {"schema": {"type": "object", "required": ["a"]}}


@pytest.mark.parametrize("media_range", ["*/*", "application/*"])
def test_json_within_a_range_is_judged(media_range: str, tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, spec({"/x": {"post": bodies(**{media_range: WILD, "application/vnd.x+json": {}})}}))

    for media_type, body, status in (
        ("application/json", b'{"a": 1}', 200),
        ("application/json", b"{}", 400),
        ("application/merge-patch+json", b"{}", 400),
        ("application/json; charset=utf-16", b"{}", 415),
        ("application/vnd.x+json", b"{}", 200),
        ("application/octet-stream", b"{}", 200),
    ):
        assert guarded.ask("POST", "/x", headers={"Content-Type": media_type}, body=body).status == status, media_type
    (operation_,) = guarded.layer.assembly.documents[0].operations
    assert operation_.notes == (f"bodies of {media_range} that are no JSON are not judged by their schema",)


COOKIE = {"name": "c", "in": "cookie", "schema": {"type": "string", "pattern": "^[^<]*$"}}
#: Cookie headers, and whether the application would find a text in them that the schema forbids.
COOKIES: list[tuple[str, bool]] = [
    ("c=abc", False),
    ('c="abc"', False),
    (r'c="\074script"', True),
    (r'c="\<"', True),
    ("c = <", True),
    ("c=<", True),
    ("c=a; c=<", True),
    ("c; c=<", True),
    ('a="; c=<"', False),
    ('a="; c=<', True),
    ("C=<", False),
    ("d c=<", False),
]


@pytest.mark.parametrize(("header", "refused"), COOKIES)
def test_cookies_are_read_as_the_application_reads_them(header: str, refused: bool, tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, spec({"/x": {"get": operation(COOKIE)}}))
    app = Flask("cookies", static_folder=None)
    app.add_url_rule("/x", "x", lambda: jsonify(request.cookies.getlist("c")))
    headers = {"Cookie": header}

    given = run(app, environ("GET", "/x", headers=headers)).body

    assert (guarded.ask("GET", "/x", headers=headers).status == 400) is refused
    assert refused or b"<" not in given
    assert len(COOKIES) == 12
