"""Bodies that break on the way: chunk streams that are none, trailers that may not be, bytes that never come.

RFC 9112 section 7.1. These faults show only when the body is read, after the head was found good: a guard that leaves
reading to the app has let them in. Section 8: "A server that receives an incomplete request message … MAY send an error
response"; we always do, and never pass half a body on.
"""

from __future__ import annotations

from tests.data.http.case import CANARY, JSON, WEB, Hostile, chunks, get, head, post, post_chunked

BROKEN = ("BSE1120",)
SIZE = b"%x" % len(JSON)
FIRST = SIZE + b"\r\n" + JSON + b"\r\n"
END = b"0\r\n\r\n"

# What is wrong with the stream -> the bytes after the head.
STREAMS = {
    "size with 0x": b"0x" + FIRST + END,
    "size with a plus sign": b"+" + FIRST + END,
    "size with a minus sign": b"-" + FIRST + END,
    "size with an underscore": b"1_2\r\n" + JSON + b"\r\n" + END,
    "size with a leading space": b" " + FIRST + END,
    "size with a trailing space": SIZE + b" \r\n" + JSON + b"\r\n" + END,
    "size with a leading tab": b"\t" + FIRST + END,
    "size in quotes": b'"' + SIZE + b'"\r\n' + JSON + b"\r\n" + END,
    "size with a letter that is no digit": b"1g\r\n" + JSON + b"\r\n" + END,
    "size missing": b"\r\n" + JSON + b"\r\n" + END,
    "size missing before an extension": b";a=b\r\n" + JSON + b"\r\n" + END,
    "size followed by a bare line feed": SIZE + b"\n" + JSON + b"\r\n" + END,
    "size followed by a bare carriage return": SIZE + b"\r" + JSON + b"\r\n" + END,
    "size of seventeen digits": b"F" * 17 + b"\r\n" + JSON + b"\r\n" + END,
    "size line without an end": b"5;" + b"a" * 9000,
    "data longer than its size": b"5\r\n" + JSON + b"\r\n" + END,
    "data shorter than its size": b"ff\r\n" + JSON + b"\r\n" + END,
    "data without its line end": SIZE + b"\r\n" + JSON + END,
    "data ended by a bare line feed": SIZE + b"\r\n" + JSON + b"\n" + END,
    "data ended by two letters": SIZE + b"\r\n" + JSON + b"XX" + END,
    "second size broken": FIRST + b"zz\r\n" + CANARY + b"\r\n" + END,
    "extension with a bare carriage return": SIZE + b";a=b\rc\r\n" + JSON + b"\r\n" + END,
    "nothing at all": b"",
    "cut in the size": SIZE[:1],
    "cut in the data": FIRST[:9],
    "cut before the last chunk": FIRST,
    "cut in the last chunk": FIRST + b"0\r\n",
    "trailer without a colon": FIRST + b"0\r\n" + CANARY + b"\r\n\r\n",
    "trailer with a space before the colon": FIRST + b"0\r\nX-Sum : " + CANARY + b"\r\n\r\n",
    "trailer folded": FIRST + b"0\r\nX-Sum: a\r\n b\r\n\r\n",
    "trailer ended by a bare line feed": FIRST + b"0\r\nX-Sum: a\n\r\n\r\n",
    "trailer with NUL": FIRST + b"0\r\nX-Sum: a\0b\r\n\r\n",
    "trailers cut": FIRST + b"0\r\nX-Sum: " + CANARY,
}
# gunicorn 23 stops reading at the last chunk's size, so these end well there.
BEHIND_THE_BODY = ("cut in the last chunk", "trailers cut", "extension with a bare carriage return")

# RFC 9110 6.5.1: fields that say how to read, route or trust a message may not follow it. gunicorn 23 takes these, and
# shows them to nobody.
FORBIDDEN_TRAILERS = (
    b"Host: evil.test",
    b"Content-Length: 5",
    b"Transfer-Encoding: chunked",
    b"Authorization: Bearer " + CANARY,
)
# RFC 9112 7.1.1 gives the grammar of extensions; gunicorn 23 does not check it, and shows extensions to nobody either.
BAD_EXTENSIONS = {
    "NUL": b";a=\0",
    "no name": b";=a",
    "an open quote": b';a="b',
    "a space in the value": b";a=b c",
}

BREAKAGE = tuple(
    Hostile(
        f"{what}, {surface}",
        post_chunked(stream, kind=kind, host=host, target=target),
        "RFC 9112 7.1: the chunk grammar; the fault shows only on reading",
        guard=BROKEN,
        unseen_before=27 if what in BEHIND_THE_BODY else 0,
    )
    for what, stream in STREAMS.items()
    for surface, kind, host, target in (
        ("JSON on the api", b"application/json", b"api.test", b"/v1/items/" + CANARY),
        ("text on the web", b"text/plain", WEB, b"/form"),
    )
)

HARMLESS_BEFORE = (
    *(
        Hostile(
            f"trailer {line.split(b':')[0].decode()}",
            post_chunked(chunks(JSON, trailers=line + b"\r\n")),
            "RFC 9110 6.5.1: a field that may not come in a trailer",
            guard=BROKEN,
            unseen_before=27,
        )
        for line in FORBIDDEN_TRAILERS
    ),
    *(
        Hostile(
            f"extension with {what}",
            post_chunked(SIZE + extension + b"\r\n" + JSON + b"\r\n" + END),
            "RFC 9112 7.1.1: not a chunk extension",
            guard=BROKEN,
            unseen_before=27,
        )
        for what, extension in BAD_EXTENSIONS.items()
    ),
)


def cut(raw: bytes, missing: int) -> bytes:
    """The request without its last bytes, though its Content-Length still counts them."""
    return raw[:-missing]


SHORT = (
    *(
        Hostile(
            f"{missing} of {len(JSON)} bytes missing",
            cut(post(JSON), missing),
            "RFC 9112 8: the connection ended before Content-Length was reached",
            guard=BROKEN,
        )
        for missing in (1, 5, len(JSON))
    ),
    Hostile(
        "whole document, then a length that goes on",
        head(b"POST /v1/items/" + CANARY + b" HTTP/1.1", b"Content-Type: application/json", b"Content-Length: 99")
        + JSON,
        "RFC 9112 8: valid JSON so far, yet not the body that was announced",
        guard=BROKEN,
    ),
    Hostile(
        "length shorter than the document",
        head(b"POST /v1/items/" + CANARY + b" HTTP/1.1", b"Content-Type: application/json", b"Content-Length: 5")
        + JSON,
        "RFC 9112 6: the rest belongs to the next request, so this document is cut",
        guard=("BSE1121",),
    ),
    Hostile(
        "head cut before its end",
        get()[:-2],
        "RFC 9112 8: no empty line came, there is no request",
        server=(0, 400),
    ),
    Hostile(
        "request line cut",
        b"GET /v1/items/" + CANARY,
        "RFC 9112 8: there is no request",
        server=(0, 400),
    ),
)

FAMILIES = {"broken-chunks": BREAKAGE, "forbidden-in-chunks": HARMLESS_BEFORE, "short-body": SHORT}
