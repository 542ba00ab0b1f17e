"""Where in a request a value can stand. Each is a function of a value that makes the request, None if it cannot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes
from xml.sax.saxutils import escape, quoteattr

from bsguard.seclang import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.waf.corpus.encodings import Encoding

HEADERS = (
    (b"Host", b"api.example.com"),
    (b"User-Agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    (b"Accept", b"application/json, text/plain, */*"),
    (b"Accept-Language", b"en-GB,en;q=0.8"),
    (b"Accept-Encoding", b"gzip, deflate, br"),
)
BOUNDARY = b"----formdata-5f2c9a"
_CONTROLS = frozenset(range(0x20)) - {9} | {0x7F}
Place = "Callable[[bytes, Encoding], Request | None]"


def get(target: bytes, *headers: tuple[bytes, bytes]) -> Request:
    """A request without a body."""
    return Request(b"GET", target, replaced(headers), client=b"203.0.113.9")


def post(body: bytes, media: bytes, target: bytes = b"/v1/items") -> Request:
    """A request with a body."""
    extra = ((b"Content-Type", media), (b"Content-Length", b"%d" % len(body)))
    return Request(b"POST", target, replaced(extra), body, client=b"203.0.113.9")


def replaced(headers: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[bytes, bytes], ...]:
    """The usual headers with *headers* in place of their namesakes."""
    names = {name.lower() for name, _ in headers}
    return (*(header for header in HEADERS if header[0].lower() not in names), *headers)


def escaped(value: bytes, encoding: Encoding, safe: str = "!$'()*,:;@-._~") -> bytes:
    """*value* as a URL takes it, with no more escapes than it needs."""
    return value if encoding.is_url else quote_from_bytes(value, safe=safe).encode()


def as_json(value: bytes, encoding: Encoding) -> bytes:
    """*value* as a JSON string."""
    if encoding.is_json:
        return b'"' + value + b'"'
    text = value.decode("utf-8", "surrogateescape")
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogateescape")


def _path(value: bytes, encoding: Encoding) -> Request:
    return get(b"/v1/items/" + escaped(value, encoding, "/!$'()*,:;@-._~"))


def _query(value: bytes, encoding: Encoding) -> Request:
    return get(b"/v1/items?limit=10&q=" + escaped(value, encoding) + b"&page=2")


def _header(value: bytes, _: Encoding) -> Request | None:
    if not _CONTROLS.isdisjoint(value):
        return None
    return get(b"/v1/items", (b"X-Search", value))


def _referer(value: bytes, encoding: Encoding) -> Request:
    return get(b"/v1/items", (b"Referer", b"https://www.example.com/?q=" + escaped(value, encoding)))


def _agent(value: bytes, _: Encoding) -> Request | None:
    return get(b"/v1/items", (b"User-Agent", value)) if _CONTROLS.isdisjoint(value) else None


def _cookie(value: bytes, encoding: Encoding) -> Request:
    return get(
        b"/v1/items", (b"Cookie", b"theme=dark; last=" + escaped(value, encoding, "!$'()*:@-._~/") + b"; lang=en")
    )


def _form(value: bytes, encoding: Encoding) -> Request:
    return post(b"page=1&q=" + escaped(value, encoding) + b"&sort=asc", b"application/x-www-form-urlencoded")


def _multipart(head: bytes, content: bytes) -> Request:
    body = b"--%s\r\n%s\r\n\r\n%s\r\n--%s--\r\n" % (BOUNDARY, head, content, BOUNDARY)
    return post(body, b"multipart/form-data; boundary=" + BOUNDARY)


def _multipart_field(value: bytes, _: Encoding) -> Request:
    return _multipart(b'Content-Disposition: form-data; name="note"', value)


def _multipart_name(value: bytes, _: Encoding) -> Request | None:
    if not _CONTROLS.isdisjoint(value) or b'"' in value:
        return None
    return _multipart(b'Content-Disposition: form-data; name="%s"' % value, b"1")


def _file_name(value: bytes, _: Encoding) -> Request | None:
    if not _CONTROLS.isdisjoint(value) or b'"' in value:
        return None
    head = b'Content-Disposition: form-data; name="upload"; filename="%s"\r\nContent-Type: image/png' % value
    return _multipart(head, b"\x89PNG\r\n\x1a\n")


def _json_value(value: bytes, encoding: Encoding) -> Request:
    document = b'{"limit": 10, "filter": {"name": %s, "tags": ["a"]}}' % as_json(value, encoding)
    return post(document, b"application/json")


def _json_key(value: bytes, encoding: Encoding) -> Request:
    return post(b'{"limit": 10, "filter": {%s: 1}}' % as_json(value, encoding), b"application/json")


def _xml(document: str) -> Request:
    return post(document.encode(), b"application/xml")


def _xml_text(value: bytes, _: Encoding) -> Request | None:
    text = _xml_characters(value)
    return None if text is None else _xml(f"<order><id>7</id><name>{escape(text)}</name><size>2</size></order>")


def _xml_attribute(value: bytes, _: Encoding) -> Request | None:
    text = _xml_characters(value)
    return None if text is None else _xml(f"<order><name value={quoteattr(text)}/></order>")


def _xml_characters(value: bytes) -> str | None:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if all(ord(character) >= 0x20 or character in "\t\n\r" for character in text) else None


PLACES: Mapping[str, Callable[[bytes, Encoding], Request | None]] = {
    "path": _path,
    "query": _query,
    "header": _header,
    "referer": _referer,
    "agent": _agent,
    "cookie": _cookie,
    "form": _form,
    "multipart field": _multipart_field,
    "multipart name": _multipart_name,
    "file name": _file_name,
    "JSON value": _json_value,
    "JSON key": _json_key,
    "XML text": _xml_text,
    "XML attribute": _xml_attribute,
}
