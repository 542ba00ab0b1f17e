"""The contract under a real gunicorn: the application gets, byte for byte, what was judged, or nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.data.http.case import CANARY, JSON

if TYPE_CHECKING:
    from tests.servers.conftest import StartServer

pytestmark = pytest.mark.server


def asked(target: bytes, method: bytes = b"GET", host: bytes = b"api.test") -> bytes:
    return b"%b %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (method, target, host)


def sent(body: bytes, media_type: bytes = b"application/json", *, pieces: int = 0) -> bytes:
    """A POST with its length, or in chunks of so many bytes."""
    head = b"POST /v1/items HTTP/1.1\r\nHost: api.test\r\nContent-Type: %b\r\n" % media_type
    if not pieces:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    chunks = [body[start : start + pieces] for start in range(0, len(body), pieces)]
    return (
        head
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])
    )


PARTS = b"multipart/form-data; boundary=XX"
FILE = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n%b\r\n--XX--\r\n' % (b"\0x" * 100_000)
FIELD = b'--XX\r\nContent-Disposition: form-data; name="%b"\r\n\r\nx\r\n--XX--\r\n'

#: A request, the path that the application must see (None: it must see nothing), its body, and the status.
SENT: dict[str, tuple[bytes, str | None, bytes, int]] = {
    "a plain path": (asked(b"/v1/items?limit=3"), "/v1/items", b"", 200),
    "an undeclared parameter": (asked(b"/v1/items?x=3"), None, b"", 400),
    "a doubled parameter": (asked(b"/v1/items?limit=3&limit=4"), None, b"", 400),
    "a path parameter": (asked(b"/v1/items/a"), "/v1/items/a", b"", 200),
    "one in escapes": (asked(b"/v1/items/%61"), "/v1/items/a", b"", 200),
    "one beyond ASCII": (asked(b"/v1/items/%C3%A9"), "/v1/items/\u00c3\u00a9", b"", 200),
    "one that is not UTF-8": (asked(b"/v1/items/%E9"), None, b"", 400),
    "an escaped slash": (asked(b"/v1/items%2Fa"), "/v1/items/a", b"", 200),
    "an escaped slash in a parameter": (asked(b"/v1/items/a%2Fb"), None, b"", 404),
    "a twice escaped slash": (asked(b"/v1/items/a%252Fb"), None, b"", 400),
    "an escaped line break": (asked(b"/v1/items/a%0A"), None, b"", 400),
    "an escaped question mark": (asked(b"/v1/items%3Flimit=x"), None, b"", 404),
    "an empty segment": (asked(b"/v1/items//a"), None, b"", 404),
    "an empty parameter": (asked(b"/v1/items/"), None, b"", 404),
    "dots": (asked(b"/v1/x/../items"), None, b"", 404),
    "an absolute target": (asked(b"http://api.test/v1/items?limit=x"), None, b"", 400),
    "another host": (asked(b"/v1/items", host=b"evil.test"), None, b"", 421),
    "a port beside the host": (asked(b"/v1/items", host=b"api.test:8443"), "/v1/items", b"", 200),
    "another method": (asked(b"/v1/items", b"DELETE"), None, b"", 405),
    "HEAD": (asked(b"/v1/items?limit=x", b"HEAD"), None, b"", 400),
    "a body": (sent(JSON), "/v1/items", JSON, 200),
    "a body in chunks": (sent(JSON, pieces=3), "/v1/items", JSON, 200),
    "a wrong body": (sent(b'{"prompt": 1}'), None, b"", 400),
    "a wrong body in chunks": (sent(b'{"prompt": 1}', pieces=1), None, b"", 400),
    "a second key": (sent(b'{"prompt": "a", "\\u0070rompt": 1}'), None, b"", 400),
    "spaces around": (sent(b' {"prompt" : "a"}\n'), "/v1/items", b' {"prompt" : "a"}\n', 200),
    "UTF-16": (sent('{"prompt": "a"}'.encode("utf-16")), None, b"", 400),
    "nothing in chunks": (sent(b"", pieces=1), None, b"", 400),
    "another media type": (sent(JSON, b"text/plain"), None, b"", 415),
    "a file in parts": (sent(FILE, PARTS), "/v1/items", FILE, 200),
    "a file in parts and chunks": (sent(FILE, PARTS, pieces=50_000), "/v1/items", FILE, 200),
    "an unknown part": (sent(FIELD % b"x", PARTS), None, b"", 400),
    "a known part": (sent(FIELD % b"prompt", PARTS), "/v1/items", FIELD % b"prompt", 200),
    "an image": (sent(b"\x89PNG" * 50_000, b"image/png"), "/v1/items", b"\x89PNG" * 50_000, 200),
    "an image in chunks": (
        sent(b"\x89PNG" * 50_000, b"image/png", pieces=9_000),
        "/v1/items",
        b"\x89PNG" * 50_000,
        200,
    ),
}


@pytest.mark.parametrize("worker", ["sync"], indirect=True)
def test_the_application_gets_what_was_judged_or_nothing(start: StartServer) -> None:
    server = start("contract")
    for case, (data, path, body, status) in SENT.items():
        answers = server.exchange(data).final
        calls = server.calls()

        assert [answer.status for answer in answers] == [status], case
        assert [(call["path"], call["body"]) for call in calls] == ([] if path is None else [(path, body)]), case
        assert path is not None or CANARY not in answers[0].body, case
    assert len(SENT) == 35
