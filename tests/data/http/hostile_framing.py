"""Where one request ends and the next begins: Transfer-Encoding, Content-Length, both, and headers that hide them.

RFC 9112 section 6.1: "A server MAY reject a request that contains both Content-Length and Transfer-Encoding"; section
6.3 makes everything that leaves the length in doubt a 400. Two parties that read the same bytes differently run a
request that nobody judged.
"""

from __future__ import annotations

from tests.data.http.case import CANARY, JSON, TARGET, WEB, Defused, Hostile, chunks, get, head, post

STREAM = chunks(JSON)
SMUGGLED = get(b"/v1/smuggled?" + CANARY)
FRAMING = ("BSE1105",)


def framed(*lines: bytes, body: bytes = STREAM, version: bytes = b"HTTP/1.1") -> bytes:
    """A JSON POST whose framing headers are the lines given."""
    return head(b"POST " + TARGET + b" " + version, b"Content-Type: application/json", *lines) + body


TRANSFER_ENCODING = (
    Hostile(
        "chunked twice in two headers",
        framed(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        "RFC 9112 6.1: a sender MUST NOT apply chunked more than once",
        server=(400,),
    ),
    Hostile(
        "chunked twice in one list",
        framed(b"Transfer-Encoding: chunked, chunked"),
        "RFC 9112 6.1: a sender MUST NOT apply chunked more than once",
        server=(400,),
    ),
    Hostile(
        "identity then chunked in two headers",
        framed(b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked"),
        "RFC 9112 7: identity is no transfer coding any more; another reader may stop at it",
        guard=FRAMING,
    ),
    Hostile(
        "identity then chunked in one list",
        framed(b"Transfer-Encoding: identity, chunked"),
        "RFC 9112 7: identity is no transfer coding any more; another reader may stop at it",
        guard=FRAMING,
    ),
    Hostile(
        "chunked then identity in two headers",
        framed(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"),
        "RFC 9112 6.3: chunked is not the final coding, so the length cannot be told",
        server=(400,),
    ),
    Hostile(
        "chunked then identity in one list",
        framed(b"Transfer-Encoding: chunked, identity"),
        "RFC 9112 6.3: chunked is not the final coding, so the length cannot be told",
        server=(400,),
    ),
    Hostile(
        "identity alone",
        framed(b"Transfer-Encoding: identity", body=JSON),
        "RFC 9112 6.3: a Transfer-Encoding without chunked has no length",
        guard=FRAMING,
        server=(400,),
    ),
    Hostile(
        "gzip alone",
        framed(b"Transfer-Encoding: gzip", body=JSON),
        "RFC 9112 6.3: a Transfer-Encoding without chunked has no length",
        guard=FRAMING,
        server=(400,),
    ),
    *(
        Hostile(
            f"{coding.decode()} then chunked",
            framed(b"Transfer-Encoding: " + coding + b", chunked"),
            "RFC 9112 6.1: legal, but nothing here decodes it: what is judged is not what the app would decode",
            guard=FRAMING,
        )
        for coding in (b"gzip", b"deflate", b"compress")
    ),
    *(
        Hostile(
            f"unknown coding {name}",
            framed(b"Transfer-Encoding: " + value),
            "RFC 9112 6.1: a coding that is not understood gets 501",
            guard=FRAMING if name == "non-breaking space" else (),
            server=(501, 400),
        )
        for name, value in {
            "xchunked": b"xchunked",
            "chunked in double quotes": b'"chunked"',
            "chunked in single quotes": b"'chunked'",
            "chunked with a parameter": b"chunked;q=1",
            "chunk": b"chunk",
            "empty": b"",
            "empty member before": b", chunked",
            "empty member after": b"chunked,",
            "percent-encoded": b"%63hunked",
            "non-breaking space": b"\xa0chunked",
        }.items()
    ),
    Hostile(
        "vertical tab before chunked",
        framed(b"Transfer-Encoding: \x0bchunked"),
        "RFC 9110 5.5: a control byte in a field value; some servers strip it and read chunked",
        guard=("BSE1104", "BSE1105"),
        server=(400, 501),
    ),
    Hostile(
        "chunked under HTTP/1.0",
        framed(b"Transfer-Encoding: chunked", version=b"HTTP/1.0"),
        "RFC 9112 6.1: a 1.0 message with Transfer-Encoding has faulty framing",
        server=(400,),
    ),
)

BOTH = (
    Hostile(
        "both headers",
        framed(b"Content-Length: %d" % len(STREAM), b"Transfer-Encoding: chunked"),
        "RFC 9112 6.3: Transfer-Encoding with Content-Length ought to be handled as an error",
        server=(400,),
    ),
    Hostile(
        "both headers, Content-Length zero",
        framed(b"Transfer-Encoding: chunked", b"Content-Length: 0"),
        "RFC 9112 6.3",
        server=(400,),
    ),
    Hostile(
        "request hidden behind the last chunk",
        framed(
            b"Content-Length: %d" % (5 + len(SMUGGLED)), b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED
        ),
        "RFC 9112 11.2: the party that goes by chunks runs the hidden request",
        server=(400,),
    ),
    Hostile(
        "request hidden in a chunk",
        framed(b"Content-Length: 4", b"Transfer-Encoding: chunked", body=chunks(SMUGGLED)),
        "RFC 9112 11.2: the party that goes by Content-Length runs the hidden request",
        server=(400,),
    ),
    Hostile(
        "request hidden after a length of zero",
        head(b"GET " + TARGET + b" HTTP/1.1", b"Content-Length: 0", b"Transfer-Encoding: chunked") + SMUGGLED,
        "RFC 9112 11.2",
        server=(400,),
    ),
)


def sized(*lengths: bytes) -> bytes:
    """A JSON POST with one Content-Length line for each value."""
    return framed(*(b"Content-Length: " + length for length in lengths), body=JSON)


N = b"%d" % len(JSON)
CONTENT_LENGTH = (
    *(
        Hostile(
            name,
            sized(*lengths),
            "RFC 9110 8.6, RFC 9112 6.3: Content-Length is one run of digits, given once",
            server=(400,),
        )
        for name, lengths in {
            "twice, the same": (N, N),
            "twice, different": (N, b"5"),
            "a list of the same": (N + b", " + N,),
            "a plus sign": (b"+" + N,),
            "negative": (b"-1",),
            "hexadecimal": (b"0x5",),
            "underscore between digits": (b"1_8",),
            "two numbers": (N + b" 1",),
            "a fraction": (N + b".0",),
            "an exponent": (b"1e1",),
            "empty": (b"",),
            "superscript digit": (b"\xb2",),
            "digits of another script": ("\u0665".encode(),),
            "in quotes": (b'"' + N + b'"',),
        }.items()
    ),
    *(
        Hostile(
            f"{len(digits)} digits",
            sized(digits),
            "far beyond any limit; a 64-bit reader wraps around",
            guard=("BSE1105", "BSE1119"),
        )
        for digits in (b"9" * 16, b"18446744073709551616", b"1" + b"0" * 200)
    ),
    Hostile(
        "more than the process takes",
        sized(b"16777217"),
        "RFC 9110 15.5.14: over BODY_BYTES_MAX, refused before a byte of it is read",
        guard=("BSE1119",),
    ),
    Hostile(
        "underscore name alone",
        get(TARGET, b"Content_Length: 5") + b"x=" + CANARY,
        "RFC 3875 4.1.18: a reader that maps it takes what follows for a body",
        guard=("BSE1104", "BSE1105"),
        defused=Defused(absent=("CONTENT_LENGTH", "HTTP_CONTENT_LENGTH")),
    ),
    Hostile(
        "underscore name beside the real one",
        framed(b"Content-Length: " + N, b"Content_Length: 999", body=JSON),
        "RFC 3875 4.1.18",
        guard=("BSE1104", "BSE1105"),
        defused=Defused(absent=("HTTP_CONTENT_LENGTH",), body=JSON),
    ),
)


# The ten ways to hide a header from one of two readers.
HIDING = {
    "SPACE": (b"%(name)b : %(value)b",),
    "WRAP": (b"%(name)b:", b" %(value)b"),
    "TAB": (b"%(name)b\t: %(value)b",),
    "LPAD": (b"X-Junk: x", b" %(name)b: %(value)b"),
    "HOP": (b"%(name)b: %(value)b", b"Connection: %(name)b"),
    "SKIPHOP": (b"%(name)b: %(value)b", b"Connection : %(name)b"),
    "DUPE": (b"%(name)b: %(value)b", b"%(name)b: %(value)b"),
    "UNDER": (b"%(under)b: %(value)b",),
    "NWRAP": (b"X-Junk: x\n%(name)b: %(value)b",),
    "RWRAP": (b"X-Junk: x\r%(name)b: %(value)b",),
}


def hidden(technique: str, name: bytes, value: bytes) -> tuple[bytes, ...]:
    """The header lines that carry one header, hidden by one technique."""
    parts = {b"name": name, b"value": value, b"under": name.replace(b"-", b"_")}

    return tuple(line % parts for line in HIDING[technique])


# What of the ten leaves the request well-formed: then the header must be gone by the time the app looks.
WELL_FORMED = ("HOP", "DUPE", "UNDER")

HIDDEN = (
    *(
        Hostile(
            f"X-Account-Id by {technique}",
            get(TARGET, *hidden(technique, b"X-Account-Id", CANARY)),
            "the account comes from access control, never from a client's header, however it is spelled",
            guard=("BSE1104",) if technique in WELL_FORMED else (),
            server=() if technique in WELL_FORMED else (400,),
            defused=Defused(absent=("HTTP_X_ACCOUNT_ID",)) if technique in WELL_FORMED else None,
        )
        for technique in HIDING
    ),
    *(
        Hostile(
            f"Transfer-Encoding by {technique}",
            post(
                STREAM,
                *hidden(technique, b"Transfer-Encoding", b"chunked"),
                kind=b"text/plain",
                host=WEB,
                target=b"/form",
            ),
            "Content-Length is right and the body a chunk stream: only one of the two lengths may ever be read",
            guard=FRAMING if technique == "UNDER" else (),
            server=() if technique == "UNDER" else (400,),
            defused=Defused(absent=("HTTP_TRANSFER_ENCODING",), body=STREAM) if technique == "UNDER" else None,
        )
        for technique in HIDING
    ),
    Hostile(
        "request behind an obsolete fold",
        get(TARGET, b"X-Junk: x", b" Transfer-Encoding: chunked") + b"0\r\n\r\n" + SMUGGLED,
        "RFC 9112 5.2: a server MUST refuse a folded line or replace it",
        server=(400,),
    ),
)

# The same spellings where the operator has told the server to merge `_` into `-`: then nothing stands before us.
MERGED = (
    *(
        Hostile(
            f"{name.decode()} merged",
            get(TARGET, name + b": " + CANARY),
            "stripping goes by environ key, after the server's spelling games",
            guard=("BSE1104",),
            defused=Defused(absent=("HTTP_X_ACCOUNT_ID",)),
            profile="merging",
        )
        for name in (b"X_Account_Id", b"X-Account_Id", b"x_account-id")
    ),
    Hostile(
        "both spellings merged",
        get(TARGET, b"X-Account-Id: a", b"X_Account_Id: " + CANARY),
        "stripping goes by environ key",
        guard=("BSE1104",),
        defused=Defused(absent=("HTTP_X_ACCOUNT_ID",)),
        profile="merging",
    ),
    Hostile(
        "Transfer_Encoding merged beside Content-Length",
        post(STREAM, b"Transfer_Encoding: chunked", kind=b"text/plain", host=WEB, target=b"/form"),
        "the environ now says chunked, the bytes were not read so",
        guard=FRAMING,
        profile="merging",
    ),
    Hostile(
        "Transfer_Encoding merged alone",
        head(b"GET " + TARGET + b" HTTP/1.1", b"Transfer_Encoding: chunked"),
        "the environ now says chunked, the bytes were not read so",
        guard=("BSE1105", "BSE1117"),
        defused=Defused(absent=("HTTP_TRANSFER_ENCODING",)),
        profile="merging",
    ),
    *(
        Hostile(
            f"{name.decode()} merged beside the real one",
            post(JSON, name + b": 999"),
            "HTTP_CONTENT_LENGTH and HTTP_CONTENT_TYPE do not exist in an honest environ (PEP 3333)",
            guard=("BSE1104", "BSE1105", "BSE1107"),
            profile="merging",
        )
        for name in (b"Content_Length", b"Content_Type")
    ),
)

FAMILIES = {
    "transfer-encoding": TRANSFER_ENCODING,
    "both-lengths": BOTH,
    "content-length": CONTENT_LENGTH,
    "hidden-header": HIDDEN,
    "merged-spelling": MERGED,
}
