"""Ways to spell `Transfer-Encoding: chunked` so that one reader sees it and another does not, all from one loop.

A byte is put in at each place of a header line where readers are known to be lenient. The request around it always
says with a correct Content-Length where its body ends, and its body is a chunk stream: a party that goes by chunks
gives itself away by what it takes for the body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.data.http.case import CANARY, WEB, chunks, post

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACES = {
    "before the name": b"%bTransfer-Encoding: chunked",
    "inside the name": b"Transfer%b-Encoding: chunked",
    "for the hyphen": b"Transfer%bEncoding: chunked",
    "behind the name": b"Transfer-Encoding%b: chunked",
    "behind the name and a space": b"Transfer-Encoding %b: chunked",
    "for the colon": b"Transfer-Encoding%b chunked",
    "behind the colon": b"Transfer-Encoding:%bchunked",
    "before the value": b"Transfer-Encoding: %bchunked",
    "inside the value": b"Transfer-Encoding: chu%bnked",
    "behind the value": b"Transfer-Encoding: chunked%b",
    "around the value": b"Transfer-Encoding: %bchunked%b",
    "between two codings": b"Transfer-Encoding: identity%bchunked",
    "at the end of the header before": b"X-Junk: x%bTransfer-Encoding: chunked",
    "on a line of its own before": b"%b\r\nTransfer-Encoding: chunked",
    "behind the line end": b"Transfer-Encoding: chunked\r\n%b",
    "before a line feed for the line end": b"X-Junk: x%b\nTransfer-Encoding: chunked",
}
BYTES = [
    *(bytes([byte]) for byte in range(0x21)),
    *(bytes([byte]) for byte in b"\"#%'(),-./:;<=>?@[\\]^_`{|}~\x7f\x80\x85\xa0\xad\xc3\xff"),
    b"\r\n",
    b"\r\n ",
    b"\n ",
    b" \t",
    b"chunked",
]
DECODED = b"AAAAA" + CANARY
STREAM = chunks(DECODED)


def gadgets() -> Iterator[tuple[str, bytes]]:
    """Each gadget: where the byte went and which, and the whole request."""
    for place, line in PLACES.items():
        for byte in BYTES:
            spelled = line.replace(b"%b", byte)
            yield f"{byte!r} {place}", post(STREAM, spelled, kind=b"text/plain", host=WEB, target=b"/form")
