"""The request as all layers see it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from bsguard.core.errors import BodyError
from bsguard.core.request import ENVIRON_KEY, REQUEST_ID_KEY, Request, parse_authority
from bsguard.core.strict_json import JsonProblem
from bsguard.testing import environ, run
from tests.unit.support import API, SURFACES, request_of, settings_from, table

LONGEST = ".".join(["a" * 62, *["a" * 63] * 3])[:253]

AUTHORITIES: dict[str, tuple[str, tuple[str, int | None] | None]] = {
    "a name": ("api.test", ("api.test", None)),
    "a name in capitals": ("API.Test", ("api.test", None)),
    "a port": ("api.test:8443", ("api.test", 8443)),
    "a final dot": ("api.test.:80", ("api.test", 80)),
    "one label": ("localhost", ("localhost", None)),
    "an address": ("192.0.2.1:80", ("192.0.2.1", 80)),
    "six": ("[2001:DB8::1]:80", ("[2001:db8::1]", 80)),
    "six without a port": ("[::1]", ("[::1]", None)),
    "an underscore": ("my_host.test", ("my_host.test", None)),
    "the largest port": ("a:65535", ("a", 65535)),
    "the longest label": ("a" * 63 + ".test", ("a" * 63 + ".test", None)),
    "the longest name and port": (LONGEST + ":65535", (LONGEST, 65535)),
    "longer than the longest name and port": ("a" + LONGEST + ":65535", None),
    "nothing": ("", None),
    "a port too large": ("a:65536", None),
    "a port of letters": ("a:http", None),
    "a port that is missing": ("a:", None),
    "a label too long": ("a" * 64 + ".test", None),
    "an empty label": ("a..test", None),
    "a leading dot": (".a.test", None),
    "a leading hyphen": ("-a.test", None),
    "a user": ("user@api.test", None),
    "a path": ("api.test/x", None),
    "a query": ("api.test?x", None),
    "a fragment": ("api.test#x", None),
    "a backslash": ("api.test\\x", None),
    "a space": ("api.test ", None),
    "a line end": ("api.test\n", None),
    "a tab": ("api\t.test", None),
    "two hosts": ("api.test, www.test", None),
    "two hosts with a semicolon": ("api.test;www.test", None),
    "an escape": ("api%2etest", None),
    "six without brackets": ("::1", None),
    "six with a zone": ("[fe80::1%25eth0]", None),
    "six that is none": ("[:::]", None),
    "dots in brackets": ("[....]", None),
    "a name in brackets": ("[api.test]", None),
    "characters beyond ASCII": ("b\xfccher.test", None),
    "a name too long": (".".join(["a" * 60] * 5), None),
}


@pytest.mark.parametrize(("raw", "authority"), table(39, AUTHORITIES))
def test_an_authority_is_exactly_one_host_and_perhaps_a_port(
    raw: str, authority: tuple[str, int | None] | None
) -> None:
    assert parse_authority(raw) == authority


def test_who_first_sees_an_environ_makes_its_view_and_the_next_shares_it() -> None:
    sent, settings = environ(), settings_from()
    request, owner = Request.of(sent, settings)
    again, owner_again = Request.of(sent, settings)

    assert owner
    assert not owner_again
    assert again is request is sent[ENVIRON_KEY]
    assert sent[REQUEST_ID_KEY] == request.id


def test_a_client_cannot_hand_in_a_view() -> None:
    sent = environ(headers={"bsguard.request": "x", "Bsguard-Request": "x"})
    sent[ENVIRON_KEY] = "something else"
    request, owner = Request.of(sent, settings_from())

    assert owner
    assert sent[ENVIRON_KEY] is request


def test_a_copied_environ_gets_a_view_of_its_own_that_shares_the_facts() -> None:
    sent, settings = environ("POST", "/a", body=b"12345"), settings_from()
    request, _ = Request.of(sent, settings)
    copied = dict(sent, PATH_INFO="/b")
    view, owner = Request.of(copied, settings)

    assert not owner
    assert view is not request
    assert view.shared is request.shared
    assert (request.path, view.path) == ("/a", "/b")
    assert sent[ENVIRON_KEY] is request


def test_layers_with_settings_of_their_own_get_a_view_of_their_own() -> None:
    sent = environ(peer="10.0.0.1", headers={"X-Forwarded-For": "192.0.2.7"})
    plain, equal, trusting = settings_from(), settings_from(), settings_from(TRUSTED_PROXIES="10.0.0.0/8")
    first, _ = Request.of(sent, plain)
    same, _ = Request.of(sent, equal)
    other, owner = Request.of(sent, trusting)

    assert same is first
    assert other is not first
    assert not owner
    assert other.shared is first.shared
    assert (first.client.address, other.client.address) == ("10.0.0.1", "192.0.2.7")


def test_another_stream_makes_another_body() -> None:
    sent, settings = environ("POST", "/", body=b"12345"), settings_from()
    request, _ = Request.of(sent, settings)
    assert request.body.read(10) == b"12345"
    sent["wsgi.input"] = io.BytesIO(b"abcde")
    view, _ = Request.of(sent, settings)

    assert view is request
    assert view.body.read(10) == b"abcde"


def test_facts_are_read_live() -> None:
    sent = environ("GET", "/v1/a", headers={"Host": API, "Content-Type": "text/html"})
    request = request_of(sent, SURFACES=SURFACES)
    assert request.placement.problem is None
    assert not request.media_type.json  # type: ignore[union-attr]
    sent.update(REQUEST_METHOD="PUT", PATH_INFO="/b", CONTENT_TYPE="application/json", HTTP_HOST="evil.test")

    assert request.method == "PUT"
    assert request.path == "/b"
    assert request.media_type.json  # type: ignore[union-attr]
    assert request.host == "evil.test"
    assert request.placement.problem == "host"


PATHS: dict[str, tuple[dict[str, Any], str]] = {
    "plain": ({"PATH_INFO": "/a"}, "/a"),
    "a mount point": ({"SCRIPT_NAME": "/app", "PATH_INFO": "/a"}, "/app/a"),
    "UTF-8": ({"PATH_INFO": "/caf\xc3\xa9"}, "/café"),
    "no UTF-8": ({"PATH_INFO": "/caf\xe9"}, "/caf\ufffd"),
    "no native text": ({"PATH_INFO": "/€"}, "/?"),
    "nothing": ({"PATH_INFO": ""}, ""),
}


@pytest.mark.parametrize(("keys", "path"), table(6, PATHS))
def test_the_path_is_decoded_and_whole(keys: dict[str, Any], path: str) -> None:
    assert request_of(environ() | keys).path == path


FIXED: dict[str, tuple[dict[str, Any], str, str]] = {
    "no prefix": ({}, "", "/v1/a"),
    "no prefix, and a mount point": ({}, "/mnt", "/mnt/v1/a"),
    "a prefix": ({"X-Forwarded-Prefix": "/app"}, "", "/v1/a"),
    "a prefix in place of a mount point": ({"X-Forwarded-Prefix": "/app"}, "/mnt", "/mnt/v1/a"),
    "a prefix that ends in a slash": ({"X-Forwarded-Prefix": "/app/"}, "", "/v1/a"),
    "a prefix that the client wrote before it": ({"X-Forwarded-Prefix": "/other, /app"}, "", "/v1/a"),
    "a shorter prefix that the client wrote before it": ({"X-Forwarded-Prefix": "/ap, /app"}, "", "/v1/a"),
    "a slash that the client wrote before it": ({"X-Forwarded-Prefix": "/, /app"}, "", "/v1/a"),
    "the API's path as a prefix": ({"X-Forwarded-Prefix": "/v1"}, "", "/v1/a"),
}


@pytest.mark.parametrize(("headers", "mount", "path"), table(9, FIXED))
def test_a_prefix_that_proxy_fix_puts_in_front_is_not_part_of_the_path(
    headers: dict[str, str], mount: str, path: str
) -> None:
    seen: list[str] = []

    def app(sent: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(request_of(sent).path)
        seen.append(request_of(dict(sent, SCRIPT_NAME=sent["SCRIPT_NAME"] + "/v1", PATH_INFO="/a")).path)
        start_response("200 OK", [])
        return []

    run(ProxyFix(app, x_prefix=1), environ("GET", "/v1/a", headers=headers, SCRIPT_NAME=mount))

    assert seen == [path, path], "the second time below a mount point of the application's own"


TARGETS: dict[str, tuple[dict[str, Any], str | None]] = {
    "gunicorn": ({"RAW_URI": "/a%20b"}, "/a%20b"),
    "uWSGI": ({"RAW_URI": None, "REQUEST_URI": "/a%20b"}, "/a%20b"),
    "both": ({"RAW_URI": "/x", "REQUEST_URI": "/y"}, "/x"),
    "neither": ({"RAW_URI": None}, None),
}


@pytest.mark.parametrize(("keys", "target"), table(4, TARGETS))
def test_the_raw_target_is_the_server_s(keys: dict[str, Any], target: str | None) -> None:
    sent = {key: value for key, value in (environ() | keys).items() if value is not None}

    assert request_of(sent).raw_target == target


IDS: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "from a declared proxy": ({"TRUSTED_PROXIES": ["10.0.0.0/8"]}, {}, True),
    "under a name of its own": (
        {"TRUSTED_PROXIES": ["10.0.0.0/8"], "REQUEST_ID_HEADER": "X-Trace"},
        {"headers": {"X-Trace": "handed.in-1_2"}},
        True,
    ),
    "from nobody we know": ({"TRUSTED_PROXIES": ["192.0.2.0/24"]}, {}, False),
    "where no proxy is declared": ({}, {}, False),
    "with a line end": ({"TRUSTED_PROXIES": ["10.0.0.0/8"]}, {"headers": {"X-Request-Id": "a\nb"}}, False),
    "with a space": ({"TRUSTED_PROXIES": ["10.0.0.0/8"]}, {"headers": {"X-Request-Id": "a b"}}, False),
    "too long": ({"TRUSTED_PROXIES": ["10.0.0.0/8"]}, {"headers": {"X-Request-Id": "a" * 129}}, False),
    "empty": ({"TRUSTED_PROXIES": ["10.0.0.0/8"]}, {"headers": {"X-Request-Id": ""}}, False),
}


@pytest.mark.parametrize(("settings", "more", "taken"), table(8, IDS))
def test_a_request_id_is_taken_from_declared_proxies_only(
    settings: dict[str, Any], more: dict[str, Any], taken: bool
) -> None:
    sent = environ(**({"peer": "10.0.0.1", "headers": {"X-Request-Id": "handed.in-1_2"}} | more))
    request_id = request_of(sent, **settings).id

    assert (request_id == "handed.in-1_2") is taken
    assert taken or (len(request_id) == 24 and set(request_id) <= set("0123456789abcdef"))


def test_ids_differ() -> None:
    assert len({request_of(environ()).id for _ in range(100)}) == 100


def test_a_header_is_text_and_empty_when_absent() -> None:
    request = request_of(environ(headers={"Accept": "text/html"}))

    assert request.header("HTTP_ACCEPT") == "text/html"
    assert request.header("HTTP_ORIGIN") == ""
    assert request_of(environ(headers={"Content-Type": "nonsense"})).media_type is None
    assert request_of(environ()).media_type is None
    assert request_of(environ(headers={"Host": "a b"})).host == ""


def test_streaming_is_by_path() -> None:
    values = {"STREAMING_PATHS": ["/up/{id}"]}

    assert request_of(environ("PUT", "/up/1"), **values).streaming
    assert not request_of(environ("PUT", "/up"), **values).streaming
    assert not request_of(environ("PUT", "/up/1")).streaming


def test_json_is_parsed_once_for_each_body() -> None:
    sent = environ("POST", "/", body=b'{"a": 1}')
    request = request_of(sent)
    first = request.json(8)

    assert first == {"a": 1}
    assert request.json(8) is first
    sent["wsgi.input"] = io.BytesIO(b"[1, 2, 3")
    with pytest.raises(JsonProblem):
        Request.of(sent, request.settings)[0].json(8)


def test_json_over_the_inspection_limit_is_not_parsed() -> None:
    request = request_of(environ("POST", "/", body=b"[" + b"1," * 600 + b"1]"), INSPECT_BYTES_MAX=1024)

    with pytest.raises(BodyError, match="declared length is over 1024 bytes"):
        request.json(8)
