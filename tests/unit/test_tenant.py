"""The tenant layer: no client header ever names the account, and every surface keeps to itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bsguard import Protocol, Tenant, identify, stack
from bsguard.core import codes
from bsguard.core.verdict import ALLOW
from bsguard.tenant import layer as tenant_module
from bsguard.tenant.layer import RULES
from bsguard.testing import environ, run, spellings
from tests.unit.support import API, SURFACES, WEB, App, rules_of, table, tenant_says

if TYPE_CHECKING:
    from collections.abc import Callable

    from bsguard.standard import Guard

CANARY = "c4nary7"
ACCOUNT = "HTTP_X_ACCOUNT_ID"


def reads_as_account(key: str) -> bool:
    return "".join(filter(str.isalnum, key.upper())) == "HTTPXACCOUNTID"


#: The ways of the tool that looks for hidden headers, as the keys and values that servers make of them.
HIDDEN: dict[str, list[dict[str, str]]] = {
    "SPACE, a space behind the name": [{ACCOUNT + " ": CANARY}, {ACCOUNT: CANARY}],
    "WRAP, the value on a folded line": [{ACCOUNT: CANARY}, {ACCOUNT: f" {CANARY}"}, {ACCOUNT: f"\r\n {CANARY}"}],
    "TAB, a tab behind the name": [{ACCOUNT + "\t": CANARY}, {ACCOUNT: CANARY}],
    "LPAD, a space before the name": [
        {"HTTP_ X_ACCOUNT_ID": CANARY},
        {"HTTP__X_ACCOUNT_ID": CANARY},
        {ACCOUNT: CANARY},
    ],
    "HOP, named in Connection": [{ACCOUNT: CANARY, "HTTP_CONNECTION": "X-Account-Id"}],
    "SKIPHOP, named in a Connection of another name": [
        {ACCOUNT: CANARY, "HTTP_CONNECTION ": "X-Account-Id"},
        {ACCOUNT: CANARY, "HTTP_CONNECTION": "X-Account-Id"},
    ],
    "DUPE, sent twice": [{ACCOUNT: f"{CANARY},{CANARY}"}, {ACCOUNT: f"{CANARY}, {CANARY}"}, {ACCOUNT: CANARY}],
    "UNDER, underscores": [{ACCOUNT: CANARY}, {"HTTP_X__ACCOUNT__ID": CANARY}, {"HTTP_X_account_id": CANARY}],
    "NWRAP, behind a bare line feed": [{"HTTP_X_JUNK": "x", ACCOUNT: CANARY}, {"HTTP_X_JUNK\nX_ACCOUNT_ID": CANARY}],
    "RWRAP, behind a bare carriage return": [{"HTTP_X_JUNK": "x", ACCOUNT: CANARY}, {"HTTP_\rX_ACCOUNT_ID": CANARY}],
}


@pytest.mark.parametrize("forms", table(10, HIDDEN))
def test_a_hidden_account_header_never_reaches_the_app(
    make_guard: Callable[..., Guard], forms: list[dict[str, str]]
) -> None:
    for keys in forms:
        for mode in ("enforce", "monitor"):
            app = App()
            answer = run(make_guard(app, {"MODE": mode}), environ(**keys))
            assert answer.status in (200, 400)
            for seen in app.environs:
                assert [key for key in seen if reads_as_account(key)] == [], (keys, mode)


def test_a_header_glued_to_another_by_a_line_end_is_refused(make_guard: Callable[..., Guard]) -> None:
    for glue in ("\n", "\r", "\r\n", "\n ", "\x0b"):
        app = App()
        answer = run(make_guard(app), environ(headers={"X-Junk": f"x{glue}X-Account-Id: {CANARY}"}))
        assert (answer.status, app.called) == (400, 0)


@pytest.mark.parametrize("name", ["X-Account-Id", "X-Tenant", "Account", "X-User-Id-2"])
def test_every_spelling_of_a_stripped_header_is_removed(name: str) -> None:
    keys = dict.fromkeys(spellings(name), CANARY)
    verdict = tenant_says(environ(**keys), {"STRIP_HEADERS": [name]})

    assert len(keys) >= 8
    assert set(verdict.remove) == set(keys)
    assert verdict.findings == ()


def test_headers_of_another_name_stay() -> None:
    kept = {
        "HTTP_X_ACCOUNT": "1",
        "HTTP_X_ACCOUNT_ID_2": "1",
        "HTTP_MY_X_ACCOUNT_ID": "1",
        "HTTP_X_ACCOUNT_IDS": "1",
        "HTTP_ACCOUNT_ID": "1",
        "X_ACCOUNT_ID": "1",
        "bsguard.x_account_id": "1",
    }

    assert tenant_says(environ(**kept)) == ALLOW


def test_nothing_is_stripped_where_nothing_is_named() -> None:
    assert tenant_says(environ(headers={"X-Account-Id": "1"}), {"STRIP_HEADERS": []}) == ALLOW


def test_a_key_that_was_harmless_once_does_not_hide_another() -> None:
    app = App()
    guarded = Tenant(app)
    for keys in ({"HTTP_X_A": "1"}, {"HTTP_X_A": "1", ACCOUNT: CANARY}, {ACCOUNT: CANARY}, {"HTTP_X_A": "1"}):
        run(guarded, environ(**keys))

    assert [ACCOUNT in seen for seen in app.environs] == [False] * 4
    assert ["HTTP_X_A" in seen for seen in app.environs] == [True, True, False, True]


def test_memory_of_names_is_bounded_and_stripping_goes_on_when_it_is_full() -> None:
    app = App()
    guarded = Tenant(app)
    for number in range(tenant_module._HARMLESS_MAX + 500):
        run(guarded, environ(**{f"HTTP_X_{number}": "1"}))
    run(guarded, environ(**{f"HTTP_{'X' * 5000}": "1", ACCOUNT: CANARY}))

    assert len(guarded._harmless) < tenant_module._HARMLESS_MAX + 100
    assert max(map(len, guarded._harmless)) < 100
    assert ACCOUNT not in app.environs[-1]


def test_stripping_is_reported_without_the_value(make_guard: Callable[..., Guard]) -> None:
    events: list[Any] = []
    many = {f"HTTP_X_ACCOUNT_ID{' ' * number}": CANARY for number in range(1, 30)}
    run(
        make_guard(App(), {"LAYERS": ["tenant"]}, emit=events.append),
        environ(**{"HTTP_X_ACCOUNT_ID\n": CANARY}, **many),
    )
    (stripped,) = [event for event in events if event.name == "headers.stripped"]

    assert stripped.layer == "tenant"
    assert len(stripped.keys) == 10
    assert stripped.keys[0] == "HTTP_X_ACCOUNT_ID\\n"
    assert CANARY not in repr(events)


PLACES: dict[str, tuple[str, str, list[str], int, str]] = {
    "the API": (API, "/v1/a", [], 200, ""),
    "the API with a port": (f"{API}:8443", "/v1/a", [], 200, ""),
    "the API in capitals": ("API.Test.", "/v1/a", [], 200, ""),
    "the API's host outside its prefix": (API, "/", ["tenant.path"], 404, "BSE1001"),
    "the API's host beside its prefix": (API, "/v10", ["tenant.path"], 404, "BSE1001"),
    "the API's path on the site": (WEB, "/v1/a", ["tenant.path"], 404, "BSE1001"),
    "the site": (WEB, "/login", [], 200, ""),
    "nobody's host": ("evil.test", "/login", ["tenant.host"], 421, "BSE1002"),
    "an address as host": ("127.0.0.1", "/v1/a", ["tenant.host"], 421, "BSE1002"),
    "a host that is none": ("a b", "/v1/a", ["tenant.host"], 421, "BSE1002"),
}


@pytest.mark.parametrize(("host", "target", "rules", "status", "code"), table(10, PLACES))
def test_every_surface_keeps_to_itself(host: str, target: str, rules: list[str], status: int, code: str) -> None:
    sent = environ("GET", target, headers={"Host": host})
    app = App()
    verdict = tenant_says(dict(sent), {"SURFACES": SURFACES})
    answer = run(Tenant(app, settings={"SURFACES": SURFACES}), sent)

    assert rules_of(verdict) == rules
    assert [finding.code.id for finding in verdict.findings] == ([code] if code else [])
    assert (answer.status, app.called) == (status, int(not rules))


def test_every_rule_is_provoked() -> None:
    assert {rule for row in PLACES.values() for rule in row[2]} == set(RULES)
    assert codes.RESTRICTED.message == "Restricted access"


def test_headers_are_stripped_from_a_request_that_is_refused_too() -> None:
    verdict = tenant_says(environ(headers={"Host": "evil.test", "X-Account-Id": "1"}), {"SURFACES": SURFACES})

    assert verdict.remove == (ACCOUNT,)
    assert rules_of(verdict) == ["tenant.host"]


def test_without_surfaces_every_host_and_path_is_served() -> None:
    assert tenant_says(environ("GET", "/x", headers={"Host": "evil.test"})) == ALLOW


def test_the_account_comes_from_the_app_alone(make_guard: Callable[..., Guard]) -> None:
    def app(sent: dict[str, Any], start_response: Any) -> list[bytes]:
        if sent["PATH_INFO"] == "/known":
            identify("acct_7")
        start_response("200 OK", [])
        return [b""]

    events: list[Any] = []
    made = make_guard(app, emit=events.append)
    for target in ("/known", "/unknown"):
        run(made, environ("GET", target, headers={"X-Account-Id": CANARY, "Account": CANARY}))

    assert [event.account for event in events if event.name == "request.finished"] == ["acct_7", ""]
    assert [event.account for event in events if event.name == "headers.stripped"] == ["", ""]


def test_naming_an_account_outside_a_request_or_a_guard_does_nothing() -> None:
    identify("acct_7")

    def app(sent: dict[str, Any], start_response: Any) -> list[bytes]:
        identify("acct_7")
        start_response("200 OK", [])
        return [b"hello"]

    assert run(app, environ()).body == b"hello"


def test_layers_find_each_other_s_edits() -> None:
    app = App()
    run(stack(app, Tenant, Protocol), environ(headers={"X-Account-Id": CANARY, "Proxy": CANARY}))

    assert CANARY not in repr([value for key, value in app.environs[0].items() if key.startswith("HTTP_")])
