"""Legal messages, odd ones first: methods, versions, header values and connections that a guard must leave alone."""

from __future__ import annotations

from tests.data.http.case import API, JSON, WEB, Legal, Seen, chunks, get, head, passes, post, post_chunked

ITEM = b"/v1/items/1"

METHODS = (
    passes("GET", get(ITEM), "the plainest request"),
    passes("HEAD", head(b"HEAD /v1/items/1 HTTP/1.1"), "RFC 9110 9.3.2"),
    passes("DELETE", head(b"DELETE /v1/items/1 HTTP/1.1"), "RFC 9110 9.3.5"),
    passes("OPTIONS", head(b"OPTIONS /v1/items/1 HTTP/1.1"), "RFC 9110 9.3.7"),
    passes("OPTIONS of the server", head(b"OPTIONS * HTTP/1.1", host=WEB), "RFC 9112 3.2.4"),
    passes(
        "preflight",
        head(
            b"OPTIONS /v1/items HTTP/1.1",
            b"Origin: https://app.example",
            b"Access-Control-Request-Method: PUT",
            b"Access-Control-Request-Headers: authorization, content-type",
        ),
        "Fetch 3.3.2: the app answers it",
    ),
    passes("POST", post(JSON, target=ITEM), "RFC 9110 9.3.3", JSON),
    passes("PUT", post(JSON, target=ITEM, method=b"PUT"), "RFC 9110 9.3.4", JSON),
    passes(
        "PATCH",
        post(JSON, target=ITEM, method=b"PATCH", kind=b"application/merge-patch+json"),
        "RFC 5789, RFC 7396",
        JSON,
    ),
    passes("POST without any body", head(b"POST /v1/items/1 HTTP/1.1"), "RFC 9112 6.3: no length, no body"),
    *(
        passes(
            f"{method} with a length of zero",
            head(method.encode() + b" /v1/items/1 HTTP/1.1", b"Content-Length: 0"),
            "RFC 9110 8.6: zero is a length, and no body",
        )
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    ),
)

VERSIONS = (
    passes("HTTP/1.0", head(b"GET /v1/items/1 HTTP/1.0"), "RFC 9112 2.3"),
    passes("HTTP/1.0 kept alive", head(b"GET /v1/items/1 HTTP/1.0", b"Connection: keep-alive"), "RFC 9112 C.2.2"),
    passes(
        "HTTP/1.0 with a body",
        head(b"POST /v1/items/1 HTTP/1.0", b"Content-Type: application/json", b"Content-Length: %d" % len(JSON)) + JSON,
        "RFC 9112 2.3",
        JSON,
    ),
    Legal(
        "empty line in front",
        b"\r\n" + get(ITEM),
        "RFC 9112 2.2: a server SHOULD ignore at least one empty line",
        (Seen("GET", "/v1/items/1"),),
        newer=True,
    ),
    Legal(
        "bytes behind the body",
        post(JSON, target=ITEM) + b"\r\n",
        "RFC 9112 2.2: an old client adds a line end; it is not in Content-Length",
        (Seen("POST", "/v1/items/1", JSON),),
    ),
)

BEARER = b"Authorization: Bearer "
HEADERS = tuple(
    passes(name, get(ITEM, *lines), why)
    for name, why, lines in (
        ("names in lower case", "RFC 9110 5.1", (b"accept: */*", b"user-agent: a")),
        ("names in mixed case", "RFC 9110 5.1", (b"aCCEPT: */*",)),
        ("no space behind the colon", "RFC 9110 5.6.3", (b"Accept:*/*",)),
        ("tabs around the value", "RFC 9110 5.6.3", (b"Accept:\t*/*\t ",)),
        ("tab inside the value", "RFC 9110 5.5", (b"X-Note: a\tb",)),
        ("empty value", "RFC 9110 5.5", (b"X-Note:",)),
        ("obs-text in UTF-8", "RFC 9110 5.5", (b"X-Note: " + "Grüße".encode(),)),
        ("obs-text in Latin-1", "RFC 9110 5.5", (b"X-Note: Gr\xfc\xdfe",)),
        ("obs-text byte 0x85", "RFC 9110 5.5: no line end here", (b"X-Note: a\x85b",)),
        ("every visible byte", "RFC 9110 5.5", (b"X-Note: " + bytes(range(0x21, 0x7F)),)),
        ("a value that looks like a header", "RFC 9110 5.5", (b"X-Note: X-Account-Id: 1",)),
        ("a list in two lines", "RFC 9110 5.3", (b"Accept: text/html", b"Accept: */*;q=0.1")),
        ("two Cookie lines", "RFC 9113 8.2.3", (b"Cookie: a=1", b"Cookie: b=2")),
        (
            "Cookie with odd bytes",
            "sent by browsers; RFC 6265 5.4",
            (b'Cookie: a="x y"; b={"c":1}; d=\xfc; =e; f; g=h=i,j;',),
        ),
        ("If-None-Match", "RFC 9110 13.1.2", (b'If-None-Match: W/"a", "b,c", *',)),
        ("Range", "RFC 9110 14.2", (b"Range: bytes=0-499, -500, 9500-",)),
        ("If-Range", "RFC 9110 13.1.5", (b"Range: bytes=0-1", b'If-Range: "a"')),
        ("dates", "RFC 9110 5.6.7", (b"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",)),
        ("Accept with parameters", "RFC 9110 12.5.1", (b'Accept: text/html;q=0.8;level="1;2", application/*+json',)),
        ("User-Agent with comments", "RFC 9110 10.1.5", (b"User-Agent: a/1.0 (x; (y) \\) z) b/2",)),
        ("Referer", "RFC 9110 10.1.3", (b"Referer: https://user.example/a?b=//c/../d%2f%00",)),
        ("TE", "RFC 9110 10.1.4", (b"Connection: TE", b"TE: trailers, deflate;q=0.5")),
        ("Trailer without a body", "RFC 9110 6.6.2", (b"Trailer: X-Sum",)),
        ("Max-Forwards", "RFC 9110 7.6.2", (b"Max-Forwards: 10",)),
        ("Origin null", "Fetch 3.2", (b"Origin: null",)),
        (
            "what browsers send",
            "Fetch metadata",
            (b"Sec-Fetch-Site: none", b'Sec-CH-UA: "A;B";v="9"', b"DNT: 1", b"Priority: u=1, i"),
        ),
        (
            "trace context",
            "W3C Trace Context",
            (b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",),
        ),
        ("Connection: close", "RFC 9112 9.6", (b"Connection: close",)),
        ("Connection names a header", "RFC 9110 7.6.1", (b"Connection: X-Note", b"X-Note: a")),
        ("Accept-Encoding", "RFC 9110 12.5.3", (b"Accept-Encoding: gzip, br;q=0.5, *;q=0",)),
        ("Content-Type without a body", "common; RFC 9110 8.3", (b"Content-Type: application/json",)),
        ("Basic credential", "RFC 7617", (b"Authorization: Basic dXNlcjpwYXNzOndvcmQ=",)),
        ("Bearer token of 7,000 bytes", "RFC 6750", (BEARER + b"e" * 3000 + b"." + b"y" * 3000 + b"." + b"J" * 998,)),
        ("Bearer token of every byte", "RFC 6750 2.1", (BEARER + b"aZ09-._~+/==",)),
        (
            "Digest credential, a list by its grammar",
            "RFC 7616 3.4",
            (
                b'Authorization: Digest username="u", realm="r, s", nonce="n", uri="/v1/items/1", '
                b'response="0", qop=auth, nc=00000001',
            ),
        ),
        (
            "signed credential with commas",
            "RFC 9110 11.4: auth-params are a list",
            (b"Authorization: AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host;x-date, Signature=0f",),
        ),
        ("scheme in lower case", "RFC 9110 11.1", (b"Authorization: bearer abc",)),
        ("99 headers beside Host", "the server's limit is 100", tuple(b"X-%d: a" % n for n in range(99))),
        ("a header of 8,000 bytes", "the server's limit is 8,190", (b"X-Note: " + b"a" * 8000,)),
        ("60 KB of headers", "below the sum that is allowed", tuple(b"X-%d: " % n + b"a" * 7500 for n in range(8))),
    )
)

HOSTS = tuple(
    passes(name, get(ITEM, host=host), why)
    for name, host, why in (
        ("port", b"api.test:8443", "RFC 9110 7.2"),
        ("upper case", b"API.Test", "RFC 3986 3.2.2: case-insensitive"),
        ("final dot", b"api.test.", "RFC 3986 3.2.2: an absolute name"),
        ("port zero-padded", b"api.test:00080", "RFC 3986 3.2.3: *DIGIT"),
    )
)

STRIPPED = tuple(
    passes(name, get(ITEM, *lines), "passes without what a client may not say", absent=absent)
    for name, lines, absent in (
        ("account header", (b"X-Account-Id: 7",), ("HTTP_X_ACCOUNT_ID",)),
        (
            "account header named in Connection",
            (b"X-Account-Id: 7", b"Connection: X-Account-Id"),
            ("HTTP_X_ACCOUNT_ID",),
        ),
        ("Proxy", (b"Proxy: http://p.example",), ("HTTP_PROXY",)),
    )
)

CONTINUE = (
    passes("100-continue", post(JSON, b"Expect: 100-continue", target=ITEM), "RFC 9110 10.1.1", JSON),
    passes("100-Continue", post(JSON, b"Expect: 100-Continue", target=ITEM), "RFC 9110 10.1.1: case-insensitive", JSON),
    passes(
        "100-continue, chunked",
        post_chunked(chunks(JSON), b"Expect: 100-continue", target=ITEM),
        "RFC 9110 10.1.1",
        JSON,
    ),
)

PIPELINED = (
    Legal(
        "three GET",
        get(b"/v1/a") + get(b"/v1/b") + get(b"/v1/c"),
        "RFC 9112 9.3.2",
        (Seen("GET", "/v1/a"), Seen("GET", "/v1/b"), Seen("GET", "/v1/c")),
    ),
    Legal(
        "two POST, then GET",
        post(JSON, target=b"/v1/a") + post_chunked(chunks(b"[", b"1]"), target=b"/v1/b") + get(b"/v1/c"),
        "RFC 9112 9.3.2: each body ends where its framing says",
        (Seen("POST", "/v1/a", JSON), Seen("POST", "/v1/b", b"[1]"), Seen("GET", "/v1/c")),
    ),
    Legal(
        "chunked with trailers, then GET",
        post_chunked(chunks(JSON, trailers=b"X-Sum: a\r\n"), target=b"/v1/a") + get(b"/v1/b"),
        "RFC 9112 7.1.2: trailers belong to the first",
        (Seen("POST", "/v1/a", JSON), Seen("GET", "/v1/b")),
    ),
    Legal(
        "across surfaces",
        get(b"/v1/a", host=API) + get(b"/page", host=WEB) + get(b"/v1/c", host=API),
        "RFC 9112 9.3: each request is judged by its own Host",
        (Seen("GET", "/v1/a"), Seen("GET", "/page"), Seen("GET", "/v1/c")),
    ),
    Legal(
        "a body the app does not read, then GET",
        post(b"a" * 5000, b"X-Read: none", kind=b"text/plain", host=WEB, target=b"/upload") + get(b"/page", host=WEB),
        "RFC 9112 9.3: what was not read is skipped, not run",
        (Seen("POST", "/upload"), Seen("GET", "/page")),
    ),
    Legal(
        "a chunked body the app does not read, then GET",
        post_chunked(chunks(JSON, JSON), b"X-Read: none", kind=b"text/plain", host=WEB, target=b"/upload")
        + get(b"/page", host=WEB),
        "RFC 9112 9.3: what was not read is skipped, not run",
        (Seen("POST", "/upload"), Seen("GET", "/page")),
    ),
)

BEHIND_PROXY = tuple(
    passes(name, get(ITEM, *lines), why, profile="proxied")
    for name, why, lines in (
        ("the proxy saw https", "declared proxy", (b"X-Forwarded-For: 203.0.113.9", b"X-Forwarded-Proto: https")),
        ("two hops", "declared proxy", (b"X-Forwarded-For: 198.51.100.1, 203.0.113.9", b"X-Forwarded-Proto: https")),
        ("with Via", "RFC 9110 7.6.3", (b"X-Forwarded-Proto: https", b"Via: 1.0 fred, 1.1 p.example.net (a, b)")),
    )
)

# One more of each is in the hostile tables.
AT_THE_LIMIT = tuple(
    passes(name, raw, "exactly what is allowed", body, profile=profile)
    for name, raw, body, profile in (
        ("target of 8,192 bytes", get(ITEM + b"/" + b"a" * (8191 - len(ITEM))), b"", "wide"),
        ("Authorization of 8,192 bytes", get(ITEM, BEARER + b"a" * 8185), b"", "wide"),
        ("100 headers", get(ITEM, *(b"X-%d: a" % n for n in range(99))), b"", "wide"),
        ("text of 8,192 bytes", post(b"a" * 8192, kind=b"text/plain", host=WEB, target=b"/form"), b"a" * 8192, "small"),
        (
            "chunked text of 8,192 bytes",
            post_chunked(chunks(b"a" * 8192), kind=b"text/plain", host=WEB, target=b"/form"),
            b"a" * 8192,
            "small",
        ),
        ("JSON of 1,024 bytes", post(b'"' + b"a" * 1022 + b'"', target=ITEM), b'"' + b"a" * 1022 + b'"', "small"),
        (
            "chunked JSON of 1,024 bytes",
            post_chunked(chunks(b'"' + b"a" * 1022 + b'"'), target=ITEM),
            b'"' + b"a" * 1022 + b'"',
            "small",
        ),
        (
            "JSON of 131,072 bytes",
            post(b'"' + b"a" * 131_070 + b'"', target=ITEM),
            b'"' + b"a" * 131_070 + b'"',
            "main",
        ),
    )
)

FAMILIES = {
    "at-the-limit": AT_THE_LIMIT,
    "methods": METHODS,
    "versions": VERSIONS,
    "headers": HEADERS,
    "hosts": HOSTS,
    "stripped": STRIPPED,
    "continue": CONTINUE,
    "pipelined": PIPELINED,
    "behind-proxy": BEHIND_PROXY,
}
