"""What a refusal looks like: its form, its headers, and that nothing submitted is in it."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from bsguard import Protocol, Tenant, stack
from bsguard.testing import environ
from tests.wsgi.requests import REFUSED, REFUSED_COUNT, SETTINGS
from tests.wsgi.support import Breaking, cases, hello, serve

if TYPE_CHECKING:
    from tests.wsgi.requests import Case

PROBLEM = "application/problem+json"


def guarded(**settings: Any) -> Any:
    both = {**SETTINGS, **settings}
    return stack(hello, partial(Protocol, settings=both), partial(Tenant, settings=both))


@pytest.mark.parametrize("case", cases(REFUSED, REFUSED_COUNT))
def test_a_refusal_is_an_envelope(case: Case) -> None:
    sent = serve(guarded(), case.make())
    document = json.loads(sent.body)

    assert sent.status == case.status
    assert re.fullmatch(r"\d{3} [A-Z][A-Za-z' -]+", sent.line)
    assert sent.header("Content-Type") == "application/json"
    assert sent.header("Content-Length") == str(len(sent.body))
    assert sent.header("Cache-Control") == "no-store"
    assert sent.header("X-Content-Type-Options") == "nosniff"
    assert document["status"] == "error"
    assert document["error"]["code"] == case.code
    assert sorted(document["error"]) == ["code", "message", "type"]
    assert document["request_id"] == sent.header("X-Request-Id")


@pytest.mark.parametrize("asked", ["by the client", "by setting"])
@pytest.mark.parametrize("case", cases(REFUSED, REFUSED_COUNT))
def test_a_refusal_is_a_problem_where_it_is_asked_for(case: Case, asked: str) -> None:
    request = case.make()
    if asked == "by the client":
        request["HTTP_ACCEPT"] = PROBLEM
    sent = serve(guarded(ERROR_FORMAT="problem" if asked == "by setting" else "envelope"), request)
    document = json.loads(sent.body)

    assert sent.status == document["status"] == case.status
    assert sent.header("Content-Type") == PROBLEM
    assert sent.header("Content-Length") == str(len(sent.body))
    assert sorted(document) == ["code", "instance", "status", "title", "type"]
    assert document["code"] == case.code
    assert document["instance"].endswith(sent.header("X-Request-Id"))


# (id, Accept, media type of the refusal)
ACCEPTS = [
    ("nothing", None, "application/json"),
    ("anything", "*/*", "application/json"),
    ("HTML, as browsers say it", "text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
    ("JSON", "application/json", "application/json"),
    ("problem details", PROBLEM, PROBLEM),
    ("problem details in capitals", "Application/Problem+JSON", PROBLEM),
    ("problem details among others", f"application/json, {PROBLEM};q=0.9", PROBLEM),
    ("problem details refused", f"application/json, {PROBLEM};q=0", "application/json"),
    ("an alike type", "application/problem+xml", "application/json"),
]


@pytest.mark.parametrize("row", cases(ACCEPTS, 9))
def test_the_client_chooses_the_form_by_accept(row: Any) -> None:
    headers = {} if row[1] is None else {"Accept": row[1]}

    assert serve(guarded(), environ("BREW", "/", headers=headers)).header("Content-Type") == row[2]


# --- HEAD -----------------------------------------------------------------------------------------------------------

HEADS = [case for case in REFUSED if case.make()["REQUEST_METHOD"] == "GET"]


@pytest.mark.parametrize("accept", ["*/*", PROBLEM])
@pytest.mark.parametrize("case", cases(HEADS, 10))
def test_a_refused_head_has_the_headers_of_the_get_and_no_body(case: Case, accept: str) -> None:
    get = serve(guarded(), case.make() | {"HTTP_ACCEPT": accept})
    head = serve(guarded(), case.make() | {"HTTP_ACCEPT": accept, "REQUEST_METHOD": "HEAD"})

    assert head.body == b""
    assert head.line == get.line
    assert [name for name, _ in head.headers] == [name for name, _ in get.headers]
    assert head.header("Content-Length") == get.header("Content-Length") == str(len(get.body))


# --- what belongs to some refusals ----------------------------------------------------------------------------------

BELONGING = [
    ("the methods there are", "an unknown method", "Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    ("the codings there are", "a coded body", "Accept-Encoding", "identity"),
    ("the media type there is", "a form on the API", "Accept-Post", "application/json"),
    ("no methods elsewhere", "an encoded slash", "Allow", ""),
]


@pytest.mark.parametrize("row", cases(BELONGING, 4))
def test_a_refusal_says_what_would_do(row: Any) -> None:
    _, name, header, value = row
    case = next(case for case in REFUSED if case.id == name)

    assert serve(guarded(), case.make()).header(header) == value


@pytest.mark.parametrize(
    ("server", "closes"), [("granian/1.0", True), ("gunicorn/23.0.0", False), ("waitress", False), ("testing", False)]
)
def test_a_refusal_for_framing_closes_the_connection_where_the_server_lets_it(server: str, closes: bool) -> None:
    headers = {"Transfer-Encoding": "chunked", "Content-Length": "2", "Host": "www.test"}
    sent = serve(guarded(), environ("POST", "/", headers=headers, SERVER_SOFTWARE=server))
    other = serve(guarded(), environ("BREW", "/", SERVER_SOFTWARE=server))

    assert sent.status == 400
    assert sent.header("Connection") == ("close" if closes else "")
    assert other.header("Connection") == ""


# --- CORS -----------------------------------------------------------------------------------------------------------

ORIGIN = "https://app.test"
EXPOSED = "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, Allow"

# (id, origins, credentials, the request's Origin, allow-origin, allow-credentials, expose, vary)
CORS = [
    ("not configured", [], False, ORIGIN, "", "", "", ""),
    ("a declared origin", [ORIGIN], False, ORIGIN, ORIGIN, "", EXPOSED, "Origin"),
    ("a declared origin with credentials", [ORIGIN], True, ORIGIN, ORIGIN, "true", EXPOSED, "Origin"),
    ("another origin", [ORIGIN], True, "https://evil.test", "", "", "", "Origin"),
    ("no origin", [ORIGIN], True, None, "", "", "", "Origin"),
    ("the null origin", [ORIGIN], False, "null", "", "", "", "Origin"),
    ("an origin that begins alike", [ORIGIN], False, ORIGIN + ".evil.test", "", "", "", "Origin"),
    ("any origin", ["*"], False, "https://some.test", "*", "", EXPOSED, "Origin"),
    ("any origin, none sent", ["*"], False, None, "", "", "", "Origin"),
]


@pytest.mark.parametrize("phase", ["refused by the head", "refused by the body", "HEAD"])
@pytest.mark.parametrize("row", cases(CORS, 9))
def test_a_refusal_can_be_read_by_the_scripts_that_may(row: Any, phase: str) -> None:
    _, origins, credentials, origin, *expected = row
    app = guarded(CORS_ORIGINS=origins, CORS_CREDENTIALS=credentials)
    headers = {"Host": "www.test", "Content-Type": "application/json"} | ({"Origin": origin} if origin else {})
    request = {
        "refused by the head": lambda: environ("BREW", "/", headers=headers),
        "refused by the body": lambda: environ("POST", "/", headers=headers, body=b"{"),
        "HEAD": lambda: environ("HEAD", "/a%2Fb", headers=headers),
    }[phase]()
    sent = serve(app, request)
    names = (
        "Access-Control-Allow-Origin",
        "Access-Control-Allow-Credentials",
        "Access-Control-Expose-Headers",
        "Vary",
    )

    assert sent.status in (400, 405)
    assert [sent.header(name) for name in names] == expected


def test_what_the_app_answers_gets_no_cors_headers_of_ours() -> None:
    request = environ("GET", "/", headers={"Host": "www.test", "Origin": ORIGIN})
    sent = serve(guarded(CORS_ORIGINS=[ORIGIN]), request)

    assert [name for name, _ in sent.headers] == ["Content-Type", "X-Request-Id"]


def test_a_preflight_passes_without_credentials() -> None:
    headers = {
        "Host": "api.test",
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }

    assert serve(guarded(CORS_ORIGINS=[ORIGIN]), environ("OPTIONS", "/v1/items", headers=headers)).status == 200


# --- no echo --------------------------------------------------------------------------------------------------------

MARK = "c4nary7"

MARKED: list[Any] = [
    ("in the method", lambda: environ(MARK.upper(), "/")),
    ("in the path", lambda: environ("GET", f"/{MARK}%2Fb")),
    ("in a script in the path", lambda: environ("GET", f"/<script>{MARK}</script>")),
    ("in the query", lambda: environ("GET", f"/?{MARK}={MARK}#x")),
    ("in the path the app would see", lambda: environ("GET", "/x", PATH_INFO=f"/{MARK}")),
    ("in a header's name", lambda: environ("GET", "/", **{f"HTTP_X-{MARK}": "1"})),
    ("in a header's value", lambda: environ("GET", "/", headers={"X-Any": f"{MARK}\x01"})),
    ("in the host", lambda: environ("GET", "/", headers={"Host": f"{MARK}.test"})),
    ("in a malformed host", lambda: environ("GET", "/", headers={"Host": f"{MARK},b"})),
    ("in the credential", lambda: environ("GET", "/", headers={"Authorization": f"Bearer {MARK} {MARK}"})),
    ("in the media type", lambda: environ("POST", "/", headers={"Content-Type": MARK}, body=b"x")),
    (
        "in the API's media type",
        lambda: environ(
            "POST", "/v1/x", headers={"Host": "api.test", "Content-Type": f"application/{MARK}"}, body=b"x"
        ),
    ),
    ("in the content coding", lambda: environ("POST", "/", headers={"Content-Encoding": MARK}, body=b"x")),
    ("in the expectation", lambda: environ("GET", "/", headers={"Expect": MARK})),
    ("in the upgrade", lambda: environ("GET", "/", headers={"Upgrade": MARK})),
    ("in the length", lambda: environ("POST", "/", headers={"Content-Length": MARK})),
    ("in the transfer coding", lambda: environ("POST", "/", headers={"Transfer-Encoding": MARK})),
    ("in the origin", lambda: environ("BREW", "/", headers={"Origin": f"https://{MARK}.test"})),
    ("in what is accepted", lambda: environ("BREW", "/", headers={"Accept": f"{PROBLEM}, text/{MARK}"})),
    ("in the request id", lambda: environ("BREW", "/", headers={"X-Request-Id": MARK})),
    ("in the version", lambda: environ("GET", "/", SERVER_PROTOCOL=f"HTTP/{MARK}")),
    ("in a key of the body", lambda: _json(f'{{"{MARK}":1,"{MARK}":2}}')),
    ("in a value of the body", lambda: _json(f'{{"a":"{MARK}')),
    ("in a method override", lambda: environ("POST", "/", headers={"X-HTTP-Method-Override": MARK})),
    (
        "in what the server says of the body",
        lambda: environ("POST", "/", chunked=True) | {"wsgi.input": Breaking(b"", ValueError(MARK))},
    ),
]


def _json(text: str) -> dict[str, Any]:
    return environ("POST", "/", headers={"Content-Type": "application/json"}, body=text.encode())


@pytest.mark.parametrize("form", ["envelope", "problem"])
@pytest.mark.parametrize("row", cases(MARKED, 25))
def test_nothing_submitted_comes_back(row: Any, form: str) -> None:
    request = row[1]()
    if request["HTTP_HOST"] == "localhost":
        request["HTTP_HOST"] = "www.test"
    sent = serve(guarded(ERROR_FORMAT=form, CORS_ORIGINS=[ORIGIN]), request)
    wire = sent.line + repr(sent.headers) + sent.body.decode()

    assert 400 <= sent.status < 500 or sent.status == 505
    assert MARK not in wire.lower()


@pytest.mark.parametrize("row", cases([row for row in MARKED if "body" in row[0] or "credential" in row[0]], 4))
@pytest.mark.parametrize("mode", ["enforce", "monitor"])
def test_bodies_and_credentials_stay_out_of_events(row: Any, mode: Any) -> None:
    events: list[Any] = []
    app = stack(hello, partial(Protocol, mode=mode, emit=events.append), partial(Tenant, mode=mode, emit=events.append))
    serve(app, row[1]())

    assert [event for event in events if hasattr(event, "rule")]
    assert MARK not in repr(events).lower()
