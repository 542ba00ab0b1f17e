"""``flask bsguard explain`` and ``exceptions``: from a refusal to its rule, and from the rule to an exception."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from flask import Flask

from bsguard import BSGuard
from bsguard.cli import group, main
from bsguard.cli.raw_request import NotARequest, read_request
from bsguard.extension import guard_of
from bsguard.observe.store import EventStore
from tests.managed.crs_like import a_rule_set

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

SQL = b"GET /search?q=union+select HTTP/1.1\r\nHost: localhost\r\n\r\n"
XSS = b"GET /?q=%3Cscript HTTP/1.1\nHost: localhost\n\n"


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    return {
        "MODE": "enforce",
        "LAYERS": ["protocol", "limiter", "managed"],
        "MANAGED_CRS_DIR": str(a_rule_set(tmp_path / "crs")),
        "STATE_DIR": str(tmp_path / "state"),
    }


@pytest.fixture
def bsguard(tmp_path: Path, settings: dict[str, Any]) -> Any:
    def invoke(*words: object) -> Result:
        path = tmp_path / "settings.json"
        path.write_text(json.dumps(settings))
        return CliRunner().invoke(main, ["--config", str(path), *map(str, words)])

    return invoke


@pytest.fixture
def explained(bsguard: Any, tmp_path: Path) -> Any:
    """What ``explain --request --json`` says of a request."""

    def explain(data: bytes, *words: str) -> dict[str, Any]:
        path = tmp_path / "request.txt"
        path.write_bytes(data)
        result = bsguard("explain", "--request", path, "--json", *words)
        facts: dict[str, Any] = json.loads(result.stdout)
        assert result.exit_code == (0 if facts["outcome"] == "passed" else 1)
        return facts

    return explain


def test_a_request_in_a_file_is_judged_rule_by_rule(explained: Any, bsguard: Any, tmp_path: Path) -> None:
    facts = explained(SQL)

    assert {key: facts[key] for key in ("outcome", "layer", "rule", "code", "status")} == {
        "outcome": "refused",
        "layer": "managed",
        "rule": "managed.949110",
        "code": "BSE1401",
        "status": 403,
    }
    (matched,) = (event for event in facts["events"] if event["event"] == "rule.matched")
    assert (matched["rule"], matched["variables"], matched["score"]) == ("managed.942100", ["ARGS:q"], 5)
    lines = bsguard("explain", "--request", tmp_path / "request.txt").stdout.splitlines()
    assert lines[0] == "managed    rule.matched             managed.942100  on ARGS:q  (xxxxx xxxxxx)  +5  SQL"
    assert "score 5 of 5 from managed.942100 +5" in lines[1]
    assert lines[-1] == (
        "refused by managed: managed.949110, BSE1401 (403): Inbound Anomaly Score Exceeded (Total Score: 5)"
    )


def test_what_scores_too_little_is_shown_and_passes(explained: Any) -> None:
    facts = explained(XSS)

    assert (facts["outcome"], facts["rule"], facts["status"]) == ("passed", "", 200)
    assert [event["rule"] for event in facts["events"]] == ["managed.941100"]


def test_monitoring_is_told_from_enforcing(explained: Any, settings: dict[str, Any]) -> None:
    settings["MODE"] = "monitor"

    assert (explained(SQL)["outcome"], explained(SQL)["rule"]) == ("would_be_refused", "managed.949110")


REQUESTS: dict[str, tuple[bytes, tuple[str, ...], str, str]] = {
    "plain HTTP from afar": (SQL, ("--client", "203.0.113.9"), "refused", "protocol.https"),
    "HTTPS from afar": (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        ("--client", "203.0.113.9", "--https"),
        "passed",
        "",
    ),
    "a method that is not declared": (b"BREW / HTTP/1.1\nHost: x\n\n", (), "refused", "protocol.method"),
    "no Host": (b"GET / HTTP/1.1\n\n", (), "refused", "protocol.host.missing"),
    "two Hosts": (b"GET / HTTP/1.1\nHost: x\nHost: y\n\n", (), "refused", "protocol.host.invalid"),
    "a form": (
        b"POST / HTTP/1.1\nHost: x\nContent-Type: application/x-www-form-urlencoded\n\nq=union+select",
        (),
        "refused",
        "managed.949110",
    ),
    "a body that is cut at its length": (
        b"POST / HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: 2\n\n{}\n\n",
        (),
        "passed",
        "",
    ),
    "a body shorter than its length": (
        b"POST / HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: 9\n\n{}",
        (),
        "refused",
        "body.incomplete",
    ),
    "a chunked body": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'8\r\n["union \r\n8;a=b\r\n select"\r\n1\r\n]\r\n0\r\n\r\n',
        (),
        "refused",
        "managed.949110",
    ),
    "nothing wrong": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", (), "passed", ""),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_every_layer_has_its_say(name: str, explained: Any) -> None:
    assert len(REQUESTS) == 10
    data, words, outcome, rule = REQUESTS[name]
    facts = explained(data, *words)

    assert (facts["outcome"], facts["rule"]) == (outcome, rule)


def test_it_leaves_no_trace(
    explained: Any, tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings["LIMITER_GLOBAL_RATE"] = "1/minute"
    stored: list[object] = []
    monkeypatch.setattr(EventStore, "__call__", lambda _self, event: stored.append(event))

    assert [explained(XSS)["outcome"] for _ in range(3)] == ["passed"] * 3
    assert explained(SQL)["outcome"] == "refused"
    assert stored == []
    assert not (tmp_path / "state" / "events.sqlite").exists()


BROKEN: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "line 1: wanted METHOD TARGET HTTP/1.1"),
    "no protocol": (b"GET /\n\n", "line 1: wanted METHOD TARGET"),
    "too many words": (b"GET /a b HTTP/1.1\n\n", "line 1: wanted METHOD TARGET"),
    "a line without a colon": (b"GET / HTTP/1.1\nHost x\n\n", "line 2: wanted a header line"),
    "a name with a space": (b"GET / HTTP/1.1\nHost: x\nA b: c\n\n", "line 3: wanted a header line"),
    "chunks without sizes": (b"POST / HTTP/1.1\nTransfer-Encoding: chunked\n\nabc", "the body: wanted chunks"),
    "a size that is negative": (b"POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n-1\nabc", "the body: wanted chunks"),
    "a chunk that is cut": (b"POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n5\nabc", "a chunk is shorter"),
    "no last chunk": (b"POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n3\nabc\n", "the body: wanted chunks"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_no_request(name: str, bsguard: Any, tmp_path: Path) -> None:
    assert len(BROKEN) == 9
    data, words = BROKEN[name]
    path = tmp_path / "request.txt"
    path.write_bytes(data)

    with pytest.raises(NotARequest, match=words.replace("(", "\\(")):
        read_request(data, client="127.0.0.1", https=False)
    refused = bsguard("explain", "--request", path)
    assert (refused.exit_code, words in refused.output) == (1, True)


def test_a_file_that_is_too_long(bsguard: Any, tmp_path: Path, settings: dict[str, Any]) -> None:
    settings |= {"BODY_BYTES_MAX": 1024, "INSPECT_BYTES_MAX": 1024}
    path = tmp_path / "request.txt"
    path.write_bytes(SQL + b"x" * 2_000_000)

    assert "is longer than any request that would be read" in bsguard("explain", "--request", path).output


def test_what_happened_to_a_request_is_told_by_its_id(tmp_path: Path, settings: dict[str, Any]) -> None:
    app = Flask("shop", instance_path=str(tmp_path / "instance"))
    app.config.update({f"BSGUARD_{key}": value for key, value in settings.items()})
    BSGuard(app)
    refused = app.test_client().get("/search?q=union+select")
    guard_of(app).store.flush()  # type: ignore[union-attr]

    def explain(*words: str) -> Result:
        return app.test_cli_runner().invoke(group, ["explain", *words])  # type: ignore[no-any-return]

    told = explain(refused.headers["X-Request-Id"], "--json")
    assert told.exit_code == 1
    facts = json.loads(told.stdout)
    assert (facts["outcome"], facts["rule"], "status" in facts) == ("refused", "managed.949110", False)
    assert [event["event"] for event in facts["events"]] == ["rule.matched", "anomaly.scored", "request.denied"]
    assert explain(refused.headers["X-Request-Id"]).stdout.endswith("(Total Score: 5)\n")
    assert "no event of this request is stored" in explain("0" * 24).output
    assert "give the id of a request, or --request FILE" in explain().output


# --- exceptions at run time -----------------------------------------------------------------------------------------


def test_from_a_refusal_to_an_exception_and_back(bsguard: Any, explained: Any) -> None:
    scope = ("--rule", "managed.942100", "--parameter", "ARGS:q", "--path", "/search", "--address", "127.0.0.0/8")
    assert explained(SQL)["outcome"] == "refused"

    added = bsguard(
        "exceptions", "add", *scope, "--method", "get", "--for", "2h", "--comment", "the old shop", "--json"
    )
    facts = json.loads(added.output)
    assert explained(SQL)["outcome"] == "passed"
    assert [event["comment"] for event in explained(SQL)["events"]] == ["the old shop"]
    (listed,) = bsguard("exceptions", "list", "--json").output.splitlines()
    assert json.loads(listed) == facts
    assert (facts["parameter"], facts["addresses"], facts["method"]) == ("ARGS:q", ["127.0.0.0/8"], "get")
    assert facts["until"] is not None
    assert "rule managed.942100  parameter ARGS:q" in bsguard("exceptions", "list").output

    deleted = bsguard("exceptions", "delete", facts["id"])
    assert (deleted.exit_code, deleted.output) == (0, f"deleted: {facts['id']}\n")
    assert bsguard("exceptions", "delete", facts["id"]).exit_code == 1
    assert explained(SQL)["outcome"] == "refused"


def test_an_exception_ends_when_it_was_said_to(bsguard: Any, explained: Any, tmp_path: Path) -> None:
    assert bsguard("exceptions", "add", "--tag", "attack-sqli", "--for", "1h", "--comment", "why").exit_code == 0
    assert explained(SQL)["outcome"] == "passed"
    with sqlite3.connect(tmp_path / "state" / "overrides.sqlite") as table:
        assert table.execute("UPDATE overrides SET expires = 1").rowcount == 1
    table.close()

    assert bsguard("exceptions", "list").output == ""
    assert explained(SQL)["outcome"] == "refused"


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "neither rule nor tag": ((), "wanted either a rule or a tag"),
    "both": (("--rule", "managed.942100", "--tag", "x"), "wanted either a rule or a tag"),
    "a rule that is not there": (
        ("--rule", "managed.942101"),
        "names a rule that does not exist; did you mean managed.942100?",
    ),
    "all rules": (("--rule", "*"), "wanted a rule id"),
    "a parameter that is none": (("--rule", "managed.942100", "--parameter", "x y"), "wanted a parameter such as"),
    "a parameter that rules cannot see": (
        ("--rule", "managed.942100", "--parameter", "ARG:x"),
        "names a parameter that rules cannot see; did you mean ARGS?",
    ),
    "a parameter of a rule that knows none": (
        ("--rule", "protocol.method", "--parameter", "ARGS:x"),
        "the rules of protocol know none",
    ),
    "a path that is none": (("--rule", "managed.942100", "--path", "x"), "wanted a usable scope"),
    "a network that is none": (("--rule", "managed.942100", "--address", "10.0.0.1/8"), "wanted a usable scope"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_exception_that_could_never_hold_is_refused(name: str, bsguard: Any) -> None:
    assert len(WRONG) == 9
    words, said = WRONG[name]

    refused = bsguard("exceptions", "add", *words, "--comment", "why")

    assert (refused.exit_code, said in refused.output) == (1, True), refused.output
    assert bsguard("exceptions", "add", *words, "--comment", " ").exit_code == 1
    assert bsguard("exceptions", "list").output == ""
