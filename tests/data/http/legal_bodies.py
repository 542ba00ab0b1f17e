"""Legal bodies: chunk streams as clients write them, JSON to its limits, and what browsers and uploaders send."""

from __future__ import annotations

import json

from tests.data.http.case import WEB, Legal, chunks, head, passes, post, post_chunked

ITEM = b"/v1/items/1"
TEXT = '{"prompt":"Zwölf Boxkämpfer 🥊 日本語です","n":1}'.encode()  # 0x3a bytes, so that its size has a letter
SIZE = b"%x" % len(TEXT)
END = b"0\r\n\r\n"

CHUNKED = (
    *(
        passes(f"chunked: {name}", post_chunked(stream, target=ITEM), why, TEXT)
        for name, why, stream in (
            ("one chunk", "RFC 9112 7.1", chunks(TEXT)),
            ("byte by byte, characters split", "RFC 9112 7.1", chunks(*[bytes([byte]) for byte in TEXT])),
            ("upper-case size", "RFC 9112 7.1: HEXDIG", SIZE.upper() + b"\r\n" + TEXT + b"\r\n" + END),
            ("leading zeros", "RFC 9112 7.1: 1*HEXDIG", b"0000" + SIZE + b"\r\n" + TEXT + b"\r\n0000\r\n\r\n"),
            ("extension", "RFC 9112 7.1.1", SIZE + b";a=b;c\r\n" + TEXT + b"\r\n0;d\r\n\r\n"),
            ("extension in quotes", "RFC 9112 7.1.1", SIZE + b';a="b; c\\" \xe9"\r\n' + TEXT + b"\r\n" + END),
            ("extension with bad whitespace", "RFC 9112 7.1.1: BWS", SIZE + b" ;\ta = b\r\n" + TEXT + b"\r\n" + END),
            ("trailer", "RFC 9112 7.1.2", chunks(TEXT, trailers=b"X-Sum: abc\r\n")),
            (
                "trailers of every kind",
                "RFC 9112 7.1.2",
                chunks(TEXT, trailers=b"X-Sum: a\r\nDigest:\r\nX-Note: \xfc\r\n"),
            ),
        )
    ),
    passes(
        "chunked: upper-case coding",
        head(b"POST /v1/items/1 HTTP/1.1", b"Content-Type: application/json", b"Transfer-Encoding: CHUNKED")
        + chunks(TEXT),
        "RFC 9112 7: names of codings are case-insensitive",
        TEXT,
    ),
    passes(
        "chunked: tabs around the coding",
        head(b"POST /v1/items/1 HTTP/1.1", b"Content-Type: application/json", b"Transfer-Encoding:\tchunked\t ")
        + chunks(TEXT),
        "RFC 9110 5.6.3",
        TEXT,
    ),
    passes("chunked: no bytes", post_chunked(END, kind=b"text/plain", host=WEB, target=b"/form"), "RFC 9112 7.1"),
    passes(
        "chunked: a thousand chunks",
        post_chunked(chunks(TEXT, *[b" "] * 1000), target=ITEM),
        "RFC 9112 7.1",
        TEXT + b" " * 1000,
    ),
    passes(
        "chunked: 100 KB of JSON",
        post_chunked(chunks(b'"', *[b"a" * 1000] * 100, b'"'), target=ITEM),
        "below the inspection limit",
        b'"' + b"a" * 100_000 + b'"',
    ),
)

TYPES = tuple(
    passes(f"type {kind.decode()}", post(TEXT, kind=kind, target=ITEM), why, TEXT)
    for kind, why in (
        (b"application/json; charset=utf-8", "RFC 9110 8.3.1"),
        (b"application/json;charset=UTF-8", "RFC 9110 8.3.2: case-insensitive"),
        (b'application/json; charset="utf-8"', "RFC 9110 8.3.1: quoted or not"),
        (b"Application/JSON", "RFC 9110 8.3.1: case-insensitive"),
        (b"application/json ; indent=2", "RFC 9110 5.6.6: OWS before the semicolon"),
        (b'application/json; profile="https://x.example/a;b, c"', "RFC 9110 5.6.6"),
        (b"application/json;", "RFC 9110 5.6.6: an empty parameter"),
        (b"application/vnd.api+json", "RFC 6839 3.1"),
        (b"application/problem+json; charset=utf-8", "RFC 9457"),
        (b"application/ld+json", "RFC 6839 3.1"),
    )
)


def nested(depth: int) -> bytes:
    """Arrays in arrays."""
    return b"[" * depth + b"]" * depth


DOCUMENTS = tuple(
    passes(f"JSON: {name}", post(document, target=ITEM), why, document)
    for name, why, document in (
        ("empty object", "RFC 8259 4", b"{}"),
        ("empty array", "RFC 8259 5", b"[]"),
        ("string", "RFC 8259 2: any value", b'"a"'),
        ("number", "RFC 8259 2", b"-0.5e-3"),
        ("null", "RFC 8259 2", b"null"),
        ("whitespace of every kind", "RFC 8259 2", b' \t\r\n{ "a"\t:\r\n[ 1 ,\n2 ] }\n\r '),
        ("characters in UTF-8", "RFC 8259 8.1", TEXT),
        ("characters in escapes", "RFC 8259 7", b'{"a":"\\u00e9\\u65e5\\/\\b\\f\\n\\r\\t\\"\\\\"}'),
        ("surrogate pair", "RFC 8259 7", b'{"a":"\\ud83d\\ude00\\uD83D\\uDE00"}'),
        ("text that spells a surrogate escape", "RFC 8259 7", b'{"a":"\\\\ud800"}'),
        ("escaped NUL", "RFC 8259 7", b'{"a":"\\u0000"}'),
        ("noncharacter", "RFC 8259 8.1", b'{"a":"\xef\xbf\xbf\\uffff"}'),
        ("U+FEFF inside a string", "RFC 8259 8.1: no mark, a character", b'{"a":"\xef\xbb\xbfb"}'),
        ("line separators", "RFC 8259 7: only JavaScript minds", b'{"a":"\xe2\x80\xa8\xe2\x80\xa9"}'),
        ("DEL in a string", "RFC 8259 7", b'{"a":"\x7f"}'),
        ("names that differ in case", "RFC 8259 4", b'{"a":1,"A":2,"\xc3\xa9":3,"e\xcc\x81":4}'),
        ("the same name in two objects", "RFC 8259 4", b'[{"a":1},{"a":1,"b":{"a":1}}]'),
        ("empty name", "RFC 8259 4", b'{"":1}'),
        ("names of objects in scripts", "RFC 8259 4: data here", b'{"__proto__":1,"constructor":{"prototype":1}}'),
        ("largest double", "RFC 8259 6", b"1.7976931348623157e308"),
        ("underflow", "RFC 8259 6", b"1e-400"),
        ("minus zero", "RFC 8259 6", b"[-0,-0.0]"),
        ("integer beyond 64 bits", "RFC 8259 6", b"[18446744073709551616,-9223372036854775809]"),
        ("integer of 300 digits", "RFC 8259 6", b"1" + b"0" * 299),
        ("64 deep", "the limit itself", nested(64)),
        (
            "64 deep behind brackets in a string",
            "brackets in strings do not nest",
            b'["' + b"[{" * 500 + b'",' + nested(63) + b"]",
        ),
        ("wide", "RFC 8259 9", json.dumps([{"id": n, "tags": ["a", "b"]} for n in range(2000)]).encode()),
        ("a thousand names", "RFC 8259 4", json.dumps({f"k{n}": n for n in range(1000)}).encode()),
        (
            "text that looks like an attack",
            "data",
            b'{"a":"../../etc/passwd\\u0000 <script> \' OR 1=1-- NaN Infinity"}',
        ),
        ("120 KB", "below the inspection limit", b'{"a":"' + b"\xc3\xa9" * 60_000 + b'"}'),
    )
)

FILE = bytes(range(256)) * 16
MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="t"\r\n\r\nhello\r\n'
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="../a.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n" + FILE + b"\r\n--b--\r\n"
)
FORM = b"name=Gr%C3%BC%C3%9Fe&q=a+b&x=%00&bad=%zz&=&json=%7B%22a%22%3A1%2C%22a%22%3A2%7D"

# On the web surface nothing but JSON is looked into by the protocol rules.
WEB_BODIES = (
    *(
        passes(f"web: {name}", post(body, kind=kind, host=WEB, target=b"/form", method=method), why, body)
        for name, why, kind, body, method in (
            ("form", "URL Standard 5", b"application/x-www-form-urlencoded", FORM, b"POST"),
            ("multipart with a file", "RFC 7578", b"multipart/form-data; boundary=b", MULTIPART, b"POST"),
            ("text", "RFC 2046 4.1", b"text/plain; charset=iso-8859-1", b"Gr\xfc\xdfe", b"POST"),
            ("XML", "RFC 7303", b"application/xml", b"\xef\xbb\xbf<a/>", b"POST"),
            ("UTF-16 text", "RFC 2781", b"text/plain; charset=utf-16", "a".encode("utf-16"), b"POST"),
            (
                "upload of 300 KB",
                "files are above the inspection limit",
                b"application/octet-stream",
                FILE * 74,
                b"PUT",
            ),
            ("image", "RFC 9110 8.3", b"image/png", b"\x89PNG\r\n\x1a\n" + FILE, b"PUT"),
            ("JSON", "strict JSON is fine anywhere", b"application/json", TEXT, b"POST"),
            ("a chunk stream inside a length", "RFC 9112 6.2: bytes", b"text/plain", chunks(TEXT), b"POST"),
            ("a request inside a body", "RFC 9112 6.2: bytes", b"text/plain", b"GET /v1/x HTTP/1.1\r\n\r\n", b"POST"),
        )
    ),
    passes("web: no type", post(FILE, kind=None, host=WEB, target=b"/form"), "RFC 9110 8.3: SHOULD, not MUST", FILE),
    passes(
        "web: chunked multipart",
        post_chunked(
            chunks(MULTIPART[:100], MULTIPART[100:]), kind=b"multipart/form-data; boundary=b", host=WEB, target=b"/form"
        ),
        "RFC 9112 7.1",
        MULTIPART,
    ),
    passes(
        "web: chunked upload of 200 KB",
        post_chunked(chunks(*[FILE] * 50), kind=b"application/octet-stream", host=WEB, target=b"/form"),
        "RFC 9112 7.1",
        FILE * 50,
    ),
    *(
        passes(
            f"web: multipart read by {way.decode()}",
            post(MULTIPART, b"X-Read: " + way, kind=b"multipart/form-data; boundary=b", host=WEB, target=b"/form"),
            "PEP 3333: read(size), readline() and iteration give the same bytes",
            MULTIPART,
        )
        for way in (b"lines", b"pieces", b"iteration")
    ),
    *(
        passes(
            f"JSON read by {way.decode()}",
            post_chunked(chunks(TEXT + b"\n", b" \n"), b"X-Read: " + way, target=ITEM),
            "PEP 3333: replayed bytes read like any others",
            TEXT + b"\n \n",
        )
        for way in (b"lines", b"pieces", b"iteration")
    ),
)

FAMILIES: dict[str, tuple[Legal, ...]] = {
    "chunked": CHUNKED,
    "json-types": TYPES,
    "json-documents": DOCUMENTS,
    "web-bodies": WEB_BODIES,
}
