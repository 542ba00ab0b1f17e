"""Every rule of the protocol layer fires on what it is about, alone, and keeps silent on what only comes close."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bsguard import Protocol
from bsguard.core.verdict import ALLOW, Verdict
from bsguard.protocol import fields
from bsguard.protocol.config import PATH_FORMS, ProtocolConfig
from bsguard.protocol.rules import RULES
from bsguard.testing import environ, run
from tests.unit.protocol_broken import BROKEN, Broken
from tests.unit.protocol_legal import LEGAL, Legal
from tests.unit.support import App, protocol_says, rules_of, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from bsguard.standard import Guard


def fresh(sent: dict[str, Any]) -> dict[str, Any]:
    """The request once more, its body from the start."""
    sent["wsgi.input"].seek(0)
    return {key: value for key, value in sent.items() if not key.startswith("bsguard.")}


@pytest.mark.parametrize("case", table(138, BROKEN))
def test_a_request_that_breaks_one_rule_is_found_by_that_rule(case: Broken) -> None:
    head, body = protocol_says(fresh(case.sent), case.config, case.settings)

    assert sorted(set(rules_of(head, body))) == sorted(case.rules)
    (code,) = {one.code for one in (*head.findings, *body.findings) if one.rule == case.rules[0]}
    assert code == case.code
    assert all(finding.reason and finding.action == "deny" for finding in (*head.findings, *body.findings))


@pytest.mark.parametrize("case", table(138, BROKEN))
def test_a_request_that_breaks_one_rule_is_refused_unread_by_the_app(case: Broken) -> None:
    app = App()
    found = [one for verdict in protocol_says(fresh(case.sent), case.config, case.settings) for one in verdict.findings]
    answer = run(Protocol(app, case.config, settings=case.settings), fresh(case.sent))

    assert app.called == 0
    assert answer.status == found[0].code.status
    if case.sent["REQUEST_METHOD"] != "HEAD":
        assert json.loads(answer.body)["error"]["code"] == found[0].code.id


@pytest.mark.parametrize("case", table(84, LEGAL))
def test_a_request_that_only_comes_close_is_allowed_without_a_word(case: Legal) -> None:
    assert protocol_says(fresh(case.sent), case.config, case.settings) == (ALLOW, ALLOW)


@pytest.mark.parametrize("case", table(84, LEGAL))
def test_a_request_that_only_comes_close_reaches_the_app_as_it_is(case: Legal) -> None:
    app = App()
    sent = fresh(case.sent)
    answer = run(Protocol(app, case.config, settings=case.settings), dict(sent))
    seen = app.environs[0]

    assert answer.status == 200
    assert {key: value for key, value in seen.items() if key in sent and not key.startswith("wsgi.input")} == {
        key: value for key, value in sent.items() if not key.startswith("wsgi.input")
    }
    sent["wsgi.input"].seek(0)
    assert app.bodies == [sent["wsgi.input"].read()]


def test_every_rule_is_provoked_and_none_is_unknown() -> None:
    assert {case.rules[0] for case in BROKEN.values()} == set(RULES)
    assert {rule for case in BROKEN.values() for rule in case.rules} <= set(RULES)
    assert all(text.endswith(".") for text in RULES.values())


def test_a_method_that_is_refused_is_told_what_is_allowed() -> None:
    answer = run(Protocol(App(), {"METHODS": "GET,PUT"}), environ("POST"))

    assert answer.header("Allow") == "GET, PUT"


def test_a_coding_that_is_refused_is_told_what_is_accepted() -> None:
    sent = environ("POST", headers={"Content-Encoding": "br"}, body=b"x")

    assert run(Protocol(App(), {"CONTENT_ENCODINGS": "gzip"}), sent).header("Accept-Encoding") == "identity, gzip"


def test_a_type_that_is_refused_is_told_what_is_accepted() -> None:
    surfaces = [{"name": "api", "kind": "api"}]
    for method, told in (("POST", "application/json"), ("PUT", "")):
        sent = environ(method, headers={"Content-Type": "text/plain"}, body=b"x")
        answer = run(Protocol(App(), settings={"SURFACES": surfaces}), sent)
        assert (answer.status, answer.header("Accept-Post")) == (415, told)


def test_the_proxy_header_is_dropped_in_every_mode_but_off() -> None:
    for mode, kept in (("enforce", False), ("monitor", False), ("off", True)):
        app = App()
        answer = run(Protocol(app, mode=mode), environ(headers={"Proxy": "http://evil.test"}))  # type: ignore[arg-type]
        assert answer.status == 200
        assert ("HTTP_PROXY" in app.environs[0]) is kept
    assert protocol_says(environ(headers={"Proxy": "x"}))[0] == Verdict(remove=("HTTP_PROXY",))


def test_all_findings_are_reported_at_once() -> None:
    sent = environ(
        "TRACE", "/a/%2e%2e//b", headers={"Host": "!", "Expect": "x", "Upgrade": "h2c"}, SERVER_PROTOCOL="HTTP/3"
    )

    assert rules_of(*protocol_says(sent)) == [
        "protocol.method",
        "protocol.version",
        "protocol.host.invalid",
        "protocol.expect",
        "protocol.upgrade",
        "protocol.target.double-slash",
        "protocol.target.dot-segment",
    ]


TWICE: dict[str, tuple[dict[str, str], str]] = {
    "an upgrade and its settings": ({"Upgrade": "h2c", "HTTP2-Settings": "AAA"}, "protocol.upgrade"),
    "two ways to another method": ({"X-HTTP-Method": "PUT", "X-Method-Override": "PUT"}, "protocol.method-override"),
    "mount point and path": ({"Script-Name": "/a", "Path-Info": "/b"}, "protocol.header.mount"),
}


@pytest.mark.parametrize(("headers", "rule"), table(3, TWICE))
def test_a_rule_that_two_headers_break_is_found_once(headers: dict[str, str], rule: str) -> None:
    assert rules_of(protocol_says(environ(headers=headers))[0]) == [rule]


def test_a_name_that_was_good_once_does_not_make_another_good() -> None:
    layer = Protocol(App())
    good, bad = environ(headers={"X-A": "1"}), environ(**{"HTTP_X_A ": "1"})

    for sent, status in ((good, 200), (bad, 400), (good, 200), (bad, 400)):
        assert run(layer, dict(sent)).status == status


def test_memory_of_names_is_bounded() -> None:
    layer = Protocol(App())
    for number in range(fields._GOOD_NAMES_MAX + 500):
        assert run(layer, environ(**{f"HTTP_X_{number}": "1"})).status == 200
    run(layer, environ(**{f"HTTP_{'X' * 5000}": "1"}))
    remembered = layer._header_lines._known[0]

    assert len(remembered) < fields._GOOD_NAMES_MAX + 100
    assert max(map(len, remembered)) < 100
    assert run(layer, environ(HTTP_X_NEW="a\0")).status == 400


def test_an_exempt_path_is_exempt_from_https_only() -> None:
    config = {"HTTPS_PATHS_EXEMPT": "/health"}
    sent = environ("POST", "/health", peer="9.9.9.9", headers={"Content-Type": "application/json"}, body=b"{]")

    assert rules_of(*protocol_says(sent, config)) == ["protocol.json.syntax"]


def test_a_declared_path_form_loosens_nothing_else() -> None:
    config = {"PATH_FORMS": PATH_FORMS}
    for target in ("/a%2f..%2fb", "/a//../b", "/a/%2e%2e/%2541", "/a%5c..", "/%2f%00"):
        assert rules_of(protocol_says(environ("GET", target), config)[0]) != [], target
    assert ProtocolConfig().path_forms == ()


def test_a_coded_json_body_that_was_declared_is_not_judged() -> None:
    sent = environ("POST", headers={"Content-Type": "application/json", "Content-Encoding": "gzip"}, body=b"\x1f\x8b")

    assert protocol_says(sent, {"CONTENT_ENCODINGS": "gzip"}) == (ALLOW, ALLOW)


def test_a_refusal_names_the_first_finding_that_refuses(make_guard: Callable[..., Guard]) -> None:
    sent = {"method": "TRACE", "headers": {"Expect": "x"}}
    assert run(make_guard(App()), environ(**sent)).status == 405  # type: ignore[arg-type]
    config = {"PROTOCOL_RULE_MODES": {"protocol.method": "monitor"}}

    assert run(make_guard(App(), config), environ(**sent)).status == 417  # type: ignore[arg-type]
