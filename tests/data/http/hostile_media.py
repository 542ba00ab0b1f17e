"""Media types, content codings and sizes of bodies: what says how the bytes are to be read (RFC 9110 section 8)."""

from __future__ import annotations

import gzip
import zlib

from tests.data.http.case import CANARY, JSON, WEB, Defused, Hostile, chunks, head, post, post_chunked

UNSUPPORTED = ("BSE1108",)

NOT_JSON = (
    *(
        Hostile(
            f"{kind.decode()} on the api",
            post(body, kind=kind),
            "RFC 9110 15.5.16: the api takes JSON and nothing else",
            guard=UNSUPPORTED,
        )
        for kind, body in {
            b"text/plain": JSON,
            b"text/json": JSON,
            b"text/html": JSON,
            b"application/xml": b"<a>" + CANARY + b"</a>",
            b"application/x-www-form-urlencoded": b"a=" + CANARY,
            b"multipart/form-data; boundary=b": b"--b\r\n\r\n" + CANARY + b"\r\n--b--\r\n",
            b"application/octet-stream": JSON,
            b"application/jsonx": JSON,
            b"application/x-json": JSON,
            b"application/json-seq": JSON,
            b"application/json5": JSON,
            b"application/jsonp": JSON,
            b"application/ndjson": JSON,
            b"application/msgpack": JSON,
            b"application/vnd.a+jsonx": JSON,
            b"text/x+json-ish": JSON,
            b"image/png": JSON,
        }.items()
    ),
    *(
        Hostile(
            f"no type at all on {method.decode()}",
            post(JSON, kind=None, method=method),
            "RFC 9110 8.3: the receiver would have to guess",
            guard=("BSE1108", "BSE1107"),
        )
        for method in (b"POST", b"PUT", b"PATCH")
    ),
    *(
        Hostile(
            f"form on {method.decode()}",
            post(b"a=" + CANARY, kind=b"application/x-www-form-urlencoded", method=method),
            "RFC 9110 15.5.16",
            guard=UNSUPPORTED,
        )
        for method in (b"PUT", b"PATCH")
    ),
    Hostile(
        "chunked text on the api", post_chunked(chunks(JSON), kind=b"text/plain"), "RFC 9110 15.5.16", guard=UNSUPPORTED
    ),
)

# Which of 400 and 415 a charset gets is a matter of taste; that it is not taken as UTF-8 is not.
CHARSETS = tuple(
    Hostile(
        f"charset {charset.decode()}",
        post(JSON, kind=b"application/json; charset=" + charset),
        "RFC 8259 8.1: JSON is UTF-8; a reader that obeys the charset reads another text",
        guard=("BSE1107", "BSE1108"),
    )
    for charset in (
        b"utf-16",
        b"utf-16le",
        b"utf-32",
        b"utf-7",
        b"latin1",
        b"iso-8859-1",
        b"ascii,utf-8",
        b'"utf-16"',
        CANARY,
    )
)

BAD_TYPES = (
    *(
        Hostile(
            f"malformed: {kind.decode()}",
            post(JSON, kind=kind),
            "RFC 9110 8.3.1: type `/` subtype, both tokens, then parameters",
            guard=("BSE1107", "BSE1108"),
        )
        for kind in (
            b"application/json, text/plain",
            b"application/json,application/json",
            b"json",
            b"application/",
            b"/json",
            b"application/json/x",
            b"application json",
            b"application/json x",
            b"*/*",
            b"application/*",
            b"application/json; charset",
            b"application/json; charset=",
            b"application/json; =utf-8",
            b"application/json; charset=utf-8; charset=utf-16",
            b'application/json; charset="utf-8',
            b"application/json charset=utf-8",
            b"(" + CANARY + b")/json",
        )
    ),
    Hostile(
        "twice",
        post(JSON, b"Content-Type: text/plain"),
        "RFC 9110 5.3: a field of one value; each reader takes another",
        guard=("BSE1107", "BSE1108"),  # servers that take the last show it as text
        server=(400,),
    ),
    Hostile(
        "twice, the same",
        post(JSON, b"Content-Type: application/json"),
        "RFC 9110 5.3",
        guard=("BSE1107",),
        server=(400,),
        unseen_before=27,
    ),
    Hostile(
        "underscore name beside the real one",
        post(JSON, b"Content_Type: text/plain"),
        "RFC 3875 4.1.18: `-` and `_` fall on the same variable",
        guard=("BSE1104", "BSE1107"),
        defused=Defused(absent=("HTTP_CONTENT_TYPE",), body=JSON),
    ),
    Hostile(
        "byte above ASCII",
        post(JSON, kind=b"application/js\xf6n"),
        "RFC 9110 8.3.1: a subtype is a token",
        guard=("BSE1107", "BSE1108"),
    ),
    Hostile(
        "empty",
        post(JSON, kind=b""),
        "RFC 9110 8.3.1",
        guard=("BSE1107", "BSE1108"),
    ),
)

CODINGS = tuple(
    Hostile(
        f"{coding.decode()}{where}",
        post(body, b"Content-Encoding: " + coding, host=host, target=target),
        "RFC 9110 8.4: nothing here decodes it, so nothing here has seen what it says",
        guard=("BSE1109",),
    )
    for coding, body in {
        b"gzip": gzip.compress(JSON, mtime=0),
        b"x-gzip": gzip.compress(JSON, mtime=0),
        b"deflate": zlib.compress(JSON),
        b"br": JSON,
        b"zstd": JSON,
        b"gzip, gzip": gzip.compress(gzip.compress(JSON, mtime=0), mtime=0),
        b"aes128gcm": JSON,
        CANARY: JSON,
    }.items()
    for where, host, target in (("", b"api.test", b"/v1/items/" + CANARY), (" on the web", WEB, b"/form"))
)

LONG = b'"' + b"a" * 131_071 + b'"'
TOO_LARGE = (
    Hostile(
        "JSON over the inspection limit",
        post(LONG),
        "RFC 9110 15.5.14: what is not inspected is not passed on",
        guard=("BSE1119",),
    ),
    Hostile(
        "chunked JSON over the inspection limit", post_chunked(chunks(LONG)), "RFC 9110 15.5.14", guard=("BSE1119",)
    ),
    Hostile(
        "upload over the maximum",
        head(b"POST /form HTTP/1.1", b"Content-Type: application/octet-stream", b"Content-Length: 16777217", host=WEB),
        "RFC 9110 15.5.14",
        guard=("BSE1119",),
    ),
    Hostile(
        "text over a maximum of 8 KB",
        post(b"a" * 8193, kind=b"text/plain", host=WEB, target=b"/form"),
        "RFC 9110 15.5.14: by the length announced",
        guard=("BSE1119",),
        profile="small",
    ),
    Hostile(
        "chunked text over a maximum of 8 KB",
        post_chunked(chunks(b"a" * 8193), kind=b"text/plain", host=WEB, target=b"/form"),
        "RFC 9110 15.5.14: by counting what comes",
        guard=("BSE1119",),
        profile="small",
    ),
    Hostile(
        "chunked text over a maximum of 8 KB, byte by byte",
        post_chunked(chunks(*[b"a"] * 8193), kind=b"text/plain", host=WEB, target=b"/form"),
        "RFC 9110 15.5.14: by counting what comes",
        guard=("BSE1119",),
        profile="small",
    ),
    Hostile(
        "a chunk announced over a maximum of 8 KB",
        post_chunked(b"7fffffff\r\n" + b"a" * 9000, kind=b"text/plain", host=WEB, target=b"/form"),
        "RFC 9110 15.5.14: no memory is set aside for what is only announced",
        guard=("BSE1119", "BSE1120"),
        profile="small",
    ),
    Hostile(
        "JSON over a limit of 1 KB",
        post(b'"' + b"a" * 1023 + b'"'),
        "RFC 9110 15.5.14",
        guard=("BSE1119",),
        profile="small",
    ),
)

FAMILIES = {
    "not-json": NOT_JSON,
    "charset": CHARSETS,
    "content-type": BAD_TYPES,
    "content-encoding": CODINGS,
    "too-large": TOO_LARGE,
}
