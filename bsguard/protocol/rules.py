"""The rules of the protocol layer: one table of ids with what each refuses and why.

Ids are stable: exceptions, rule modes and dashboards name them. ``docs/reference/rules.md`` is generated from this
table, and a test provokes each rule.
"""

from __future__ import annotations

from typing import Final

RULES: Final[dict[str, str]] = {
    "protocol.method": "The method is not on the allow-list. Methods are case-sensitive (RFC 9110 §9.1).",
    "protocol.version": "Neither HTTP/1.0, HTTP/1.1 nor HTTP/2.",
    "protocol.https": "Plain HTTP, or HTTPS claimed by a header from a peer that is no declared proxy.",
    "protocol.header.name": "A header name that HTTP does not allow, or a second spelling of a framing header.",
    "protocol.header.value": "A control character in a header value (RFC 9110 §5.5).",
    "protocol.header.mount": "A header named after SCRIPT_NAME or PATH_INFO, from a peer that is no declared proxy.",
    "protocol.header.count": "More header lines than allowed.",
    "protocol.header.size": "Headers larger in total than allowed.",
    "protocol.framing.transfer-encoding": "Transfer-Encoding is anything but `chunked` (RFC 9112 §6.1).",
    "protocol.framing.te-with-cl": "Transfer-Encoding and Content-Length together: smuggling (RFC 9112 §6.1).",
    "protocol.framing.te-on-http10": "Transfer-Encoding on HTTP/1.0 (RFC 9112 §6.1).",
    "protocol.framing.unterminated": "A chunked body that the server does not decode, so nobody knows its end.",
    "protocol.framing.content-length": "Content-Length is not a plain number (RFC 9110 §8.6).",
    "protocol.host.missing": "No Host header, or an empty one (RFC 9112 §3.2).",
    "protocol.host.invalid": "Host is not one host name or address with an optional port.",
    "protocol.content-type.invalid": "Content-Type is not one well-formed media type (RFC 9110 §8.3).",
    "protocol.content-type.not-json": "A body on an api surface that is not JSON.",
    "protocol.content-type.charset": "JSON in a charset other than UTF-8 (RFC 8259 §8.1).",
    "protocol.content-encoding": "A content coding that is not declared; a coded body cannot be judged.",
    "protocol.authorization.size": "Authorization longer than allowed.",
    "protocol.authorization.invalid": "Authorization malformed, or more than one credential in it.",
    "protocol.expect": "Expect is anything but `100-continue` (RFC 9110 §10.1.1).",
    "protocol.upgrade": "A protocol upgrade that is not declared; `h2c` would carry requests past every layer.",
    "protocol.method-override": "A header that asks for another method than the one that was judged.",
    "protocol.body.method": "A body on a method that is not declared to take one (RFC 9110 §9.3).",
    "protocol.body.size": "A declared length over the hard maximum.",
    "protocol.target.length": "The request target is longer than allowed.",
    "protocol.target.form": "The target is neither a path, nor `*` for OPTIONS, nor a URL of this very host.",
    "protocol.target.characters": "A character in the target that must be percent-encoded (RFC 3986 §2).",
    "protocol.target.fragment": "A fragment in the target; clients never send one (RFC 9110 §7.1).",
    "protocol.target.escape": "A percent sign without two hexadecimal digits.",
    "protocol.target.query-escape": "The same in the query, on api surfaces.",
    "protocol.target.utf8": "The decoded path is not UTF-8.",
    "protocol.target.control": "A control character in the decoded path.",
    "protocol.target.backslash": "A backslash in the path, plain or encoded; some readers take it for a slash.",
    "protocol.target.dot-segment": "A `.` or `..` segment, plain or encoded, also before a `;`.",
    "protocol.target.double-slash": "An empty segment; some readers drop it, some do not.",
    "protocol.target.encoded-slash": "An encoded slash; some readers split there, some do not.",
    "protocol.target.double-escape": "An escape that is still there after decoding.",
    "protocol.target.mismatch": "The path that the application sees is not the one on the wire.",
    "protocol.json.encoding": "A JSON body that is not plain UTF-8.",
    "protocol.json.depth": "A JSON body nested deeper than allowed.",
    "protocol.json.syntax": "A body that claims to be JSON and is not.",
    "protocol.json.duplicate-key": "An object with the same key twice; readers differ in which they take.",
    "protocol.json.number": "NaN, Infinity, or a number that overflows.",
    "protocol.json.surrogate": "A lone surrogate escape, which is no Unicode text.",
}
