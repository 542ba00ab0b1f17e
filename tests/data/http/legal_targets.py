"""Legal targets: every byte that RFC 3986 or a browser puts there, and the four forms of RFC 9112 section 3.2."""

from __future__ import annotations

from urllib.parse import quote

from tests.data.http.case import WEB, Legal, get, passes

PATHS = tuple(
    passes(f"path {name}", get(target), why)
    for name, target, why in (
        ("prefix itself", b"/v1", "the surface's own root"),
        ("trailing slash", b"/v1/", "RFC 3986 3.3"),
        ("UTF-8 of two bytes", b"/v1/caf%C3%A9", "RFC 3987 3.1"),
        ("UTF-8 in lower-case escapes", b"/v1/caf%c3%a9", "RFC 3986 2.1: case-insensitive"),
        ("UTF-8 of three bytes", quote("/v1/日本").encode(), "RFC 3987 3.1"),
        ("UTF-8 of four bytes", quote("/v1/🐳").encode(), "RFC 3987 3.1"),
        ("UTF-8 combining", quote("/v1/e\u0301").encode(), "RFC 3987 3.1"),
        ("space escaped", b"/v1/a%20b", "RFC 3986 2.1"),
        ("unreserved escaped", b"/v1/%61%2D%7E", "RFC 3986 2.3: the same resource, still legal"),
        ("question mark escaped", b"/v1/a%3Fb", "RFC 3986 2.2"),
        ("number sign escaped", b"/v1/a%23b", "RFC 3986 2.2"),
        ("delimiters escaped", b"/v1/a%26b%3Dc%2Bd%3Ae%40f%2Cg", "RFC 3986 2.2"),
        ("quotes and brackets escaped", b"/v1/%22%3C%3E%7B%7D%5E%60%7C", "RFC 3986 2.1"),
        ("every pchar", b"/v1/aZ09-._~!$&'()*+,;=:@", "RFC 3986 3.3"),
        ("parameters", b"/v1/a;b=c;d", "RFC 3986 3.3"),
        ("custom method", b"/v1/items:cancel", "RFC 3986 3.3"),
        ("dots inside a name", b"/v1/a..b/..c/d../...", "RFC 3986 3.3: none of them is a dot segment"),
        ("hidden name", b"/v1/.well-known/x", "RFC 8615"),
        ("extension", b"/v1/a.tar.gz", "RFC 3986 3.3"),
        ("brackets and bar as browsers send them", b"/v1/a[0]|b", "URL Standard: not in the path percent-encode set"),
        ("percent sign escaped", b"/v1/100%25/a%25-b", "RFC 3986 2.1: decoded once, no escape is left"),
        ("deep", b"/v1" + b"/a" * 200, "RFC 3986 3.3"),
        ("3,900 bytes", b"/v1/" + b"a" * 3896, "RFC 9110 4.1: at least 8,000 are recommended; the server takes 4,094"),
    )
)

QUERIES = tuple(
    passes(f"query {name}", get(b"/v1/items" + query), why)
    for name, query, why in (
        ("empty", b"?", "RFC 3986 3.4"),
        ("question marks", b"?a?b=c?d", "RFC 3986 3.4"),
        ("slashes", b"?next=//x.example/../y/./z", "RFC 3986 3.4: no path rules here"),
        ("delimiters", b"?a=!$'()*,;:@/?", "RFC 3986 3.4"),
        ("empty pairs", b"?&&a=&=b&c&&", "URL Standard 5.1"),
        ("same name twice", b"?a=1&a=2", "URL Standard 5.1"),
        ("brackets", b"?filter[name]=a&ids[]=1", "sent by most form libraries"),
        ("what browsers leave raw", b"?q={a}|b^c`d\\e", "URL Standard: the query percent-encode set"),
        ("escapes of every kind", b"?q=%00%0d%0a%2f%5c%2e%2e%25%7f", "RFC 3986 2.1: data, not structure"),
        ("twice escaped", b"?next=%252F%252e", "a URL inside a URL"),
        ("bytes that are no UTF-8", b"?q=%ff%fe%c0%80", "RFC 3986 2.1: octets, of any charset"),
        ("plus and space", b"?q=a+b%20c", "URL Standard 5.1"),
        ("method field", b"?_method=DELETE", "data unless the app says otherwise"),
        ("3,800 bytes", b"?q=" + b"a" * 3797, "below the server's limit"),
    )
)

FORMS = (
    passes("absolute form", get(b"http://api.test/v1/items/1"), "RFC 9112 3.2.2: a server MUST accept it"),
    passes("absolute form, https", get(b"https://api.test/v1/items/1"), "RFC 9112 3.2.2"),
    passes("absolute form, case", get(b"HTTP://API.test/v1/items/1"), "RFC 3986 3.1, 3.2.2: case-insensitive"),
    passes("absolute form, port", get(b"http://api.test:8000/v1/items/1", host=b"api.test:8000"), "RFC 9112 3.2.2"),
    passes("absolute form, query", get(b"http://api.test/v1/items?q=http://x/"), "RFC 9112 3.2.2"),
    passes(
        "absolute form without a path", get(b"http://www.test", host=WEB), "RFC 9110 4.2.3: an empty path is the root"
    ),
    passes("absolute form, root", get(b"http://www.test/", host=WEB), "RFC 9112 3.2.2"),
    passes("percent sign alone in a query of the web", get(b"/?q=100%&r=%zz", host=WEB), "typed into search fields"),
    passes("root of the web", get(b"/", host=WEB), "RFC 9112 3.2.1"),
    passes("page of the web", get(b"/blog/2026/a-title.html?page=2", host=WEB), "RFC 9112 3.2.1"),
    passes("name that only begins like the api's prefix", get(b"/v1beta", host=WEB), "a prefix ends at a segment"),
)

FAMILIES: dict[str, tuple[Legal, ...]] = {"paths": PATHS, "queries": QUERIES, "target-forms": FORMS}
