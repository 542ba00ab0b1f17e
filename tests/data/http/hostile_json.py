"""JSON that two parsers read as two documents, or that costs more than it says (RFC 8259, RFC 7493, RFC 3629).

Each document is sent twice: with a length to the api as application/json, and chunked to the web as a `+json` type.
JSON is read strictly wherever it comes.
"""

from __future__ import annotations

import json

from tests.data.http.case import CANARY, WEB, Hostile, chunks, post, post_chunked

TEXT = json.dumps({"prompt": CANARY.decode(), "n": 1})


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    """Arrays, or whatever the two ends make, one in the other."""
    return opening * depth + b"1" + closing * depth


DUPLICATES = {
    "duplicate key": b'{"a":1,"a":2}',
    "duplicate key, same value": b'{"a":1,"a":1}',
    "duplicate key, apart": b'{"a":1,"b":2,"c":3,"a":4}',
    "duplicate key in an object": b'{"o":{"a":1,"a":2}}',
    "duplicate key in an array": b'[1,{"a":1,"a":2}]',
    "duplicate key, deep": b'{"a":[{"b":{"c":[{"x":1,"x":2}]}}]}',
    "duplicate key by escape": b'{"a":1,"\\u0061":2}',
    "duplicate key by two escapes": b'{"\\u002f":1,"\\/":2}',
    "duplicate empty key": b'{"":1,"":2}',
    "duplicate key that is a prototype": b'{"__proto__":1,"__proto__":2}',
}

NUMBERS = {
    "NaN": b'{"n":NaN}',
    "Infinity": b'{"n":Infinity}',
    "minus Infinity": b'{"n":-Infinity}',
    "number beyond the range": b'{"n":1e400}',
    "negative number beyond the range": b'{"n":-1e400}',
    "integer form beyond the range": b'{"n":1E+999}',
    "fraction beyond the range": b'{"n":123.456e500}',
    "integer of 5,000 digits": b'{"n":' + b"9" * 5000 + b"}",
    "integer of 100,000 digits": b'{"n":-' + b"9" * 100_000 + b"}",
    "leading zero": b'{"n":01}',
    "leading plus": b'{"n":+1}',
    "no digit before the point": b'{"n":.5}',
    "no digit after the point": b'{"n":1.}',
    "no digit in the exponent": b'{"n":1e}',
    "hexadecimal number": b'{"n":0x10}',
    "minus alone": b'{"n":-}',
    "digits of another script": '{"n":\u0665}'.encode(),
    "underscore in a number": b'{"n":1_000}',
}

ENCODINGS = {
    "byte order mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "UTF-16 with a mark": TEXT.encode("utf-16"),
    "UTF-16LE": TEXT.encode("utf-16-le"),
    "UTF-16BE": TEXT.encode("utf-16-be"),
    "UTF-32 with a mark": TEXT.encode("utf-32"),
    "UTF-32LE": TEXT.encode("utf-32-le"),
    "UTF-32BE": TEXT.encode("utf-32-be"),
    "UTF-7": "{+ACI-prompt+ACI-:1}".encode("ascii"),
    "Latin-1": '{"prompt":"é"}'.encode("latin-1"),
    "byte 0xff": b'{"prompt":"\xff"}',
    "overlong quote": b'{"prompt":"a\xc0\xa2,"}',
    "overlong NUL": b'{"prompt":"\xc0\x80"}',
    "overlong slash": b'{"prompt":"\xe0\x80\xaf"}',
    "surrogate in UTF-8": b'{"prompt":"\xed\xa0\x80"}',
    "surrogate pair in UTF-8": b'{"prompt":"\xed\xa0\xbd\xed\xb8\x80"}',
    "beyond U+10FFFF": b'{"prompt":"\xf4\x90\x80\x80"}',
    "cut character": b'{"prompt":"\xe2\x82"}',
    "bad UTF-8 in a key": b'{"\xff":1}',
    "bad UTF-8 behind the document": TEXT.encode() + b"\xff",
    "lone high surrogate escape": b'{"prompt":"\\ud800"}',
    "lone low surrogate escape": b'{"prompt":"\\udc00"}',
    "surrogate escapes in the wrong order": b'{"prompt":"\\udc00\\ud800"}',
    "high surrogate escape, then a letter": b'{"prompt":"\\ud83dx"}',
    "lone surrogate escape in a key": b'{"\\ud800":1}',
    "half a pair after a whole one": b'{"prompt":"\\ud83d\\ude00\\ud83d"}',
}

DEPTH = {
    "65 arrays": nested(65),
    "65 objects": nested(65, b'{"a":', b"}"),
    "65 of both": nested(33, b'[{"a":', b"}]"),
    "65 deep behind a flat part": b'{"a":[1,2,3],"b":' + nested(64) + b"}",
    "5,000 arrays": nested(5000),
    "5,000 objects": nested(5000, b'{"a":', b"}"),
    "5,000 open brackets": b"[" * 5000,
    "60,000 arrays": nested(60_000),
    "26,000 open objects": b'{"a":' * 26_000,
}

SYNTAX = {
    "document behind the document": b'{"a":1}{"a":2}',
    "two documents on two lines": b'{"a":1}\n{"a":2}',
    "comma behind the document": b'{"a":1},',
    "letters behind the document": b'{"a":1}' + CANARY,
    "NUL behind the document": b'{"a":1}\0',
    "NUL before the document": b'\0{"a":1}',
    "cut object": b'{"a":1',
    "cut string": b'{"a":"' + CANARY,
    "cut escape": b'{"a":"\\u12"}',
    "cut word": b'{"a":tru}',
    "only spaces": b"   ",
    "line comment": b'{"a":1} // ' + CANARY,
    "block comment": b'{/* a */"a":1}',
    "hash comment": b'# a\n{"a":1}',
    "single quotes": b"{'a':1}",
    "key without quotes": b"{a:1}",
    "trailing comma in an object": b'{"a":1,}',
    "trailing comma in an array": b"[1,]",
    "missing comma": b'{"a":1 "b":2}',
    "missing colon": b'{"a" 1}',
    "missing value": b'{"a":}',
    "number as a key": b"{1:2}",
    "raw line feed in a string": b'{"a":"x\ny"}',
    "raw tab in a string": b'{"a":"x\ty"}',
    "raw NUL in a string": b'{"a":"x\0y"}',
    "bad escape": b'{"a":"\\x41"}',
    "bad hexadecimal escape": b'{"a":"\\u00zz"}',
    "signed hexadecimal escape": b'{"a":"\\u+041"}',
    "vertical tab between tokens": b'{"a":\x0b1}',
    "form feed between tokens": b'{"a":\x0c1}',
    "no-break space between tokens": b'{"a":\xc2\xa01}',
    "U+FEFF between tokens": b'{"a":\xef\xbb\xbf1}',
    "upper-case word": b'{"a":True}',
    "undefined": b'{"a":undefined}',
    "closing the wrong bracket": b'{"a":[1}]',
    "form sent as JSON": b"a=" + CANARY,
    "XML sent as JSON": b"<a>" + CANARY + b"</a>",
    "script guard in front": b')]}\',\n{"a":1}',
}


def judged(documents: dict[str, bytes], why: str) -> tuple[Hostile, ...]:
    """Each document by both ways."""
    return tuple(
        Hostile(f"{name}, {way}", raw, why, guard=("BSE1121",))
        for name, document in documents.items()
        for way, raw in (
            ("with a length on the api", post(document)),
            (
                "chunked on the web",
                post_chunked(chunks(document), kind=b"application/vnd.a+json", host=WEB, target=b"/form"),
            ),
        )
    )


FAMILIES = {
    "json-duplicates": judged(DUPLICATES, "RFC 7493 2.3: names must not be duplicated; parsers differ on who wins"),
    "json-numbers": judged(NUMBERS, "RFC 8259 6: no such number, or none that two readers keep alike"),
    "json-encoding": judged(ENCODINGS, "RFC 8259 8.1 and 8.2: UTF-8 without a mark, of characters that exist"),
    "json-depth": judged(DEPTH, "RFC 8259 9: a parser may limit depth; one that recurses falls over instead"),
    "json-syntax": judged(SYNTAX, "RFC 8259 2 to 7: lenient parsers read something, strict ones nothing"),
}
