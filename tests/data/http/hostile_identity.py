"""Who is asked, over what, by whom: Host, forwarding headers, Authorization, surfaces, methods in disguise."""

from __future__ import annotations

from tests.data.http.case import CANARY, JSON, TARGET, WEB, Defused, Hostile, chunks, get, head, post, post_chunked

HOST = ("BSE1106",)
UNDECLARED = ("BSE1002",)
NOT_HERE = ("BSE1001",)
HTTPS = ("BSE1101",)

BAD_HOSTS = (
    Hostile("none", get(host=None), "RFC 9112 3.2: a 1.1 request without Host MUST get 400", guard=HOST, server=(400,)),
    Hostile(
        "none under HTTP/1.0",
        head(b"GET " + TARGET + b" HTTP/1.0", host=None),
        "allowed by RFC 9112, but every surface here has a host, so there is nobody to ask",
        guard=("BSE1106", "BSE1002"),
    ),
    Hostile("empty", get(host=b""), "RFC 9110 7.2: an http URI has an authority", guard=HOST),
    Hostile(
        "twice, the same",
        get(TARGET, b"Host: api.test"),
        "RFC 9112 3.2: more than one MUST get 400",
        guard=HOST,
        server=(400,),
    ),
    Hostile("twice, different", get(TARGET, b"Host: evil.test"), "RFC 9112 3.2", guard=HOST, server=(400,)),
    *(
        Hostile(
            f"malformed: {name}", get(host=value), "RFC 3986 3.2: uri-host and an optional port of digits", guard=HOST
        )
        for name, value in {
            "space": b"api.test evil",
            "list": b"api.test, evil.test",
            "user": b"user@api.test",
            "user and password": b"user:" + CANARY + b"@api.test",
            "path": b"api.test/v1",
            "query": b"api.test?a",
            "fragment": b"api.test#a",
            "backslash": b"api.test\\evil",
            "scheme": b"http://api.test",
            "port of letters": b"api.test:http",
            "port too high": b"api.test:65536",
            "port with a sign": b"api.test:+80",
            "two ports": b"api.test:80:80",
            "only a port": b":80",
            "open bracket": b"[::1",
            "bracket with a name": b"[api.test]",
            "no address in brackets": b"[]",
            "percent escape cut": b"api.tes%7",
            "angle bracket": b"<" + CANARY + b">",
            "quote": b'"api.test"',
            "obs-text": b"\xe4pi.test",
        }.items()
    ),
    *(
        Hostile(f"undeclared: {name}", get(host=value), "RFC 9110 15.5.20: not for this server", guard=UNDECLARED)
        for name, value in {
            "another name": b"evil.test",
            "ours as a prefix": b"api.test.evil.test",
            "ours as a suffix": b"evil-api.test",
            "a subdomain": b"x.api.test",
            "the parent": b"test",
            "loopback": b"127.0.0.1",
            "IPv6": b"[::1]",
            "localhost with a port": b"localhost:8000",
            "a name of 250 bytes": b"a" * 63 + b"." + b"b" * 63 + b"." + b"c" * 63 + b"." + b"d" * 56 + b".a",
        }.items()
    ),
)

SURFACES = tuple(
    Hostile(name, raw, "a surface is chosen by host and confirmed by path", guard=NOT_HERE)
    for name, raw in {
        "api host, root": get(b"/"),
        "api host, other path": get(b"/admin/" + CANARY),
        "api host, prefix continued": get(b"/v1x/" + CANARY),
        "api host, prefix in other case": get(b"/V1/" + CANARY),
        "api host, prefix escaped beyond": get(b"/v1%3B/" + CANARY),
        "api host, prefix with parameters": get(b"/v1;a=b/" + CANARY),
        "api host, prefix inside": get(b"/x/v1/" + CANARY),
        "web host, api path": get(b"/v1/" + CANARY, host=WEB),
        "web host, api path escaped": get(b"/%76%31/" + CANARY, host=WEB),
        "web host, api prefix itself": get(b"/v1", host=WEB),
        "web host, api path, absolute form": get(b"http://www.test/v1/" + CANARY, host=WEB),
        "web host, api POST": post(JSON, host=WEB),
    }.items()
)

FORWARDED = tuple(
    Hostile(
        f"{lines[0].decode()} from an undeclared proxy" + ("" if len(lines) == 1 else ", twice"),
        get(TARGET, *lines),
        "only a declared proxy tells the scheme; gunicorn believes any loopback peer, so url_scheme proves nothing",
        guard=HTTPS,
    )
    for lines in (
        (b"X-Forwarded-Proto: https",),
        (b"X-Forwarded-Proto: http",),
        (b"X-Forwarded-Proto: https, http",),
        (b"X-Forwarded-Proto: " + CANARY,),
        (b"X-Forwarded-Protocol: ssl",),
        (b"X-Forwarded-Ssl: on",),
        (b"X-Forwarded-For: 203.0.113.9",),
        (b"X-Forwarded-For: 127.0.0.1",),
        (b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-For: 203.0.113.9"),
        (b"X-Forwarded-Host: api.test",),
        (b"X-Forwarded-Port: 443",),
        (b"X-Forwarded-Prefix: /v1",),
        (b"X-Real-IP: 203.0.113.9",),
        (b"Via: 1.1 p.example",),
        (b"Forwarded: for=203.0.113.9;proto=https",),
    )
)
CONFLICTING = Hostile(
    "two headers that contradict each other",
    get(TARGET, b"X-Forwarded-Proto: https", b"X-Forwarded-Ssl: off"),
    "the scheme is claimed both ways",
    guard=HTTPS,
    server=(400,),
)

# A declared proxy may say that the client came in clear; a client elsewhere may not claim otherwise.
BEHIND_PROXY = tuple(
    Hostile(name, get(TARGET, *lines), "the declared proxy's word, and it is not https", guard=HTTPS, profile="proxied")
    for name, lines in {
        "client in clear": (b"X-Forwarded-For: 203.0.113.9", b"X-Forwarded-Proto: http"),
        "nothing told": (),  # a declared proxy that says nothing is a misconfigured one, not a local caller
        "no scheme told": (b"X-Forwarded-For: 203.0.113.9",),
        "no such scheme": (b"X-Forwarded-For: 203.0.113.9", b"X-Forwarded-Proto: " + CANARY),
        "https only before the last hop": (b"X-Forwarded-For: 203.0.113.9", b"X-Forwarded-Proto: https, http"),
    }.items()
)
FROM_AFAR = tuple(
    Hostile(
        name,
        b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 80\r\n" + get(TARGET, *lines),
        "the peer is no loopback address, whatever its headers say",
        guard=HTTPS,
        profile="remote",
    )
    for name, lines in {
        "in clear": (),
        "claiming https": (b"X-Forwarded-Proto: https",),
        "claiming https by another header": (b"X-Forwarded-Ssl: on",),
        "claiming to be loopback": (b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Proto: https"),
        "claiming loopback by Forwarded": (b"Forwarded: for=127.0.0.1;proto=https",),
    }.items()
)

AUTHORIZATION = tuple(
    Hostile(name, get(TARGET, *lines), "RFC 9110 11.6.2: one credential", guard=("BSE1111",))
    for name, lines in {
        "twice": (b"Authorization: Bearer good", b"Authorization: Bearer " + CANARY),
        "twice, the same": (b"Authorization: Bearer " + CANARY, b"Authorization: Bearer " + CANARY),
        "a list": (b"Authorization: Bearer good, Bearer " + CANARY,),
        "a list without spaces": (b"Authorization: Bearer good,Bearer " + CANARY,),
        "Basic and Bearer": (b"Authorization: Basic Z29vZDpnb29k,Bearer " + CANARY,),
        "Digest, then Bearer": (b'Authorization: Digest username="u"', b"Authorization: Bearer " + CANARY),
        "unknown scheme, then Bearer": (b"Authorization: X a=1", b"Authorization: Bearer " + CANARY),
        "Basic with a comma": (b"Authorization: Basic Z29vZDpnb29k,Z29vZDpnb29k",),
    }.items()
)

BODIES = (
    *(
        Hostile(
            f"{method.decode()} with a body",
            post(JSON, method=method),
            "RFC 9110 9.3.1 and 9.3.5: content without meaning, which a cache or proxy may read as the next request",
            guard=("BSE1117",),
        )
        for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS")
    ),
    *(
        Hostile(
            f"{method.decode()} with a chunked body",
            post_chunked(chunks(JSON), method=method),
            "RFC 9110 9.3.1 and 9.3.5",
            guard=("BSE1117",),
        )
        for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS")
    ),
    Hostile(
        "GET whose body is a request",
        post(get(b"/v1/smuggled?" + CANARY), method=b"GET"),
        "RFC 9112 11.2: a reader that skips the body runs it",
        guard=("BSE1117",),
    ),
    Hostile(
        "GET with a body on the web",
        post(JSON, method=b"GET", host=WEB, target=b"/form"),
        "RFC 9110 9.3.1",
        guard=("BSE1117",),
    ),
)

OVERRIDES = tuple(
    Hostile(
        f"{name.decode()} on {method.decode()}",
        post(JSON, name + b": DELETE", method=method) if method == b"POST" else get(TARGET, name + b": DELETE"),
        "the method judged must be the method run",
        guard=("BSE1118",),
    )
    for name in (b"X-HTTP-Method-Override", b"X-HTTP-Method", b"X-Method-Override")
    for method in (b"POST", b"GET")
)

ACCOUNT = tuple(
    Hostile(
        name,
        get(TARGET, *lines),
        "the account comes from access control, never from a client's header",
        guard=("BSE1104",),
        defused=Defused(absent=("HTTP_X_ACCOUNT_ID",)),
    )
    for name, lines in {
        "once": (b"X-Account-Id: " + CANARY,),
        "lower case": (b"x-account-id: " + CANARY,),
        "upper case": (b"X-ACCOUNT-ID: " + CANARY,),
        "empty": (b"X-Account-Id:",),
        "three times": (b"X-Account-Id: a", b"x-account-id: b", b"X-Account-ID: " + CANARY),
        "mixed spelling": (b"X-Account_Id: " + CANARY,),
        "both spellings": (b"X-Account-Id: a", b"X_Account_Id: " + CANARY),
    }.items()
)

FAMILIES = {
    "host": BAD_HOSTS,
    "surface": SURFACES,
    "forwarded": (*FORWARDED, CONFLICTING),
    "behind-proxy": BEHIND_PROXY,
    "from-afar": FROM_AFAR,
    "authorization": AUTHORIZATION,
    "unexpected-body": BODIES,
    "method-override": OVERRIDES,
    "account-header": ACCOUNT,
}
