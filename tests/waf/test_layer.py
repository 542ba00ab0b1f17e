"""The layer: what it answers, what it reports, its modes, exceptions, profiles and settings."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import pytest
from werkzeug.sansio.http import parse_cookie

from bsguard import ConfigError, Waf, guard
from bsguard.core.config import Wanted
from bsguard.seclang.bodies.coding import decoded
from bsguard.standard import read_plan
from bsguard.testing import environ, run
from bsguard.waf.profiles import PROFILES, Profile

if TYPE_CHECKING:
    from pathlib import Path

SQL = "' or '1'='1"
JSON = {"Content-Type": "application/json"}


def fine(request: Any, start_response: Any) -> list[bytes]:
    request["wsgi.input"].read()
    start_response("200 OK", [])
    return [b"fine"]


def judged(config: Any = None, *request: Any, **options: Any) -> tuple[str, list[Any]]:
    events: list[Any] = []
    common = {name: options.pop(name) for name in ("mode", "settings") if name in options}
    answer = run(Waf(fine, config, emit=events.append, **common), environ(*request, **options))
    return str(answer.status), events


def posted(value: Any) -> dict[str, Any]:
    return {"headers": JSON, "body": json.dumps(value).encode()}


def test_an_attack_is_refused_and_told_without_its_text() -> None:
    status, events = judged(None, "POST", "/v1/items", **posted({"q": SQL}))
    assert status.startswith("403")
    denied = next(event for event in events if event.name == "request.denied")
    matched = next(event for event in events if event.name == "rule.matched")
    assert (denied.rule, denied.code) == ("waf.102001", "BSE1201")
    assert matched.variables == ("ARGS:json.q",)
    assert SQL not in repr(events)


def test_an_honest_request_passes_and_nothing_is_told() -> None:
    status, events = judged(None, "POST", "/v1/items?a=O'Neil", **posted({"q": "1 or 2 things; it's fine"}))
    assert status.startswith("200")
    assert [event.name for event in events if event.name not in ("request.finished", "server.recognised")] == []


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (("POST", "/", {"headers": JSON, "body": b'{"a": '}), "400", "BSE1202"),
        (("POST", "/", {"headers": JSON, "body": b'{"a": "\xc0\xa7"}'}), "400", "BSE1202"),
        (("POST", "/", {"headers": JSON, "body": b"[" * 300 + b"]" * 300}), "413", "BSE1203"),
        (("POST", "/", {"headers": JSON, "body": json.dumps(list(range(5000))).encode()}), "413", "BSE1203"),
        (("GET", "/?" + "&".join(f"a{number}=1" for number in range(5000)), {}), "413", "BSE1203"),
        (("GET", "/?q=%3Cscript%3E", {}), "403", "BSE1201"),
        (("GET", "/", {"headers": {"User-Agent": "sqlmap/1.7"}}), "403", "BSE1201"),
    ],
    ids=["broken JSON", "no UTF-8", "deep JSON", "many values", "many parameters", "script", "scanner"],
)
def test_every_refusal_has_its_status_and_code(request_: Any, status: str, code: str) -> None:
    method, target, options = request_
    answer, events = judged(None, method, target, **options)
    assert answer.startswith(status)
    assert [event.code for event in events if event.name == "request.denied"] == [code]


def test_a_body_whose_type_nothing_reads_is_looked_at_as_text() -> None:
    status, _ = judged(None, "POST", "/", headers={"Content-Type": "text/plain"}, body=b"x=<script>y</script>")
    assert status.startswith("403")


@pytest.mark.parametrize(
    "body", [json.dumps({"a": {"q": "1 or 1=1"}}), "a=1&q=1+or+1%3D1", '{"__proto__": 1, "q": "<svg/onload=x>"}']
)
@pytest.mark.parametrize("media", [{"Content-Type": "text/plain"}, {"Content-Type": "application/octet-stream"}, {}])
def test_json_and_forms_under_another_name_are_taken_apart(body: str, media: dict[str, str]) -> None:
    assert judged(None, "POST", "/", headers=media, body=body.encode())[0] == "403"
    assert judged(None, "POST", "/", headers=media, body=b'{"q": "1 or 2 things"}')[0] == "200"


def test_monitoring_reports_and_lets_pass() -> None:
    status, events = judged(None, "GET", f"/?q={SQL}", mode="monitor")
    assert status.startswith("200")
    assert [event.rule for event in events if event.name == "request.would_be_denied"] == ["waf.102001"]


def test_a_single_rule_can_be_monitored_or_off() -> None:
    for mode, name in (("monitor", "rule.matched"), ("off", "")):
        status, events = judged({"RULE_MODES": {"waf.114002": mode}}, "GET", "/?q=javascript:x")
        assert status.startswith("200")
        assert (name in [event.name for event in events]) == bool(name)


def test_an_exception_takes_one_rule_from_one_parameter() -> None:
    one = {"rule": "waf.102001", "parameter": "ARGS:q", "path": "/search", "comment": "a console for SQL"}
    settings = {"EXCEPTIONS": [one]}
    assert judged(None, "GET", f"/search?q={SQL}", settings=settings)[0].startswith("200")
    assert judged(None, "GET", f"/search?p={SQL}", settings=settings)[0].startswith("403")
    assert judged(None, "GET", f"/other?q={SQL}", settings=settings)[0].startswith("403")
    assert judged(None, "GET", "/search?q=<script>", settings=settings)[0].startswith("403")


CODE = "SELECT * FROM users WHERE id = 1 OR 1=1; DROP TABLE x; -- <script>alert('../../etc/passwd')</script> {{7*7}}"


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("prompt", {"prompt": CODE}),
        ("messages.*.content", {"messages": [{"content": "hi"}, {"content": CODE}]}),
        ("form.comment", {"form": {"comment": CODE}}),
        ("*.comment", {"form": {"comment": CODE}}),
        ("ARGS:prompt", {"prompt": CODE}),
    ],
)
def test_a_field_for_free_text_takes_what_people_write_about_programs(parameter: str, value: Any) -> None:
    config = {"PROFILES": [{"path": "/v1/**", "parameter": parameter, "profile": "free_text"}]}
    assert judged(config, "POST", "/v1/x", **posted(value))[0].startswith("200")
    assert judged(config, "POST", "/v2/x", **posted(value))[0].startswith("403")
    assert judged(config, "POST", "/v1/x", **posted({"other": CODE}))[0].startswith("403")


def test_free_text_is_still_held_to_the_rules_that_can_work_there() -> None:
    config = {"PROFILES": [{"parameter": "prompt", "profile": "free_text"}]}
    for attack in ("${jndi:ldap://x.example/a}", "rO0ABXNyABFqYXZhLnV0aWwuSGFzaFNldA=="):
        assert judged(config, "POST", "/", **posted({"prompt": attack}))[0].startswith("403")


def test_a_secret_may_hold_any_sign() -> None:
    config = {
        "PROFILES": [
            {"parameter": "password", "profile": "secret"},
            {"parameter": "REQUEST_COOKIES:t", "profile": "secret"},
        ]
    }
    odd = "x' or '1'='1;|`id`"
    assert judged(config, "POST", "/", **posted({"password": odd}))[0].startswith("200")
    assert judged(config, "GET", "/", headers={"Cookie": "t=x'--;"})[0].startswith("200")
    assert judged(config, "POST", "/", **posted({"name": odd}))[0].startswith("403")


def test_each_profile_leaves_out_rules_and_keeps_rules() -> None:
    rules = [rule for rule in Waf(fine).rule_set.program.rules if rule.log]
    for tag in PROFILES.values():
        left = [rule for rule in rules if tag in rule.tags]
        assert 0 < len(left) < len(rules)


@pytest.mark.parametrize(
    "item",
    [
        "x",
        {},
        {"parameter": "x"},
        {"profile": "free_text"},
        {"parameter": "", "profile": "secret"},
        {"parameter": "*", "profile": "secret"},
        {"parameter": "x", "profile": "nope"},
        {"parameter": "x", "profile": "secret", "more": 1},
        {"parameter": "x", "profile": "secret", "path": "v1"},
        {"parameter": 5, "profile": "secret"},
        {"parameter": "x", "profile": ["secret"]},
    ],
)
def test_a_wrong_profile_is_told(item: object) -> None:
    with pytest.raises(Wanted):
        Profile.parse(item)


LOOPBACK = r"""
SecRule ARGS "@rx (?i)^https?://localhost(?:[:/]|$)" \
    "id:900001,phase:2,block,t:unwrap,severity:CRITICAL,msg:'Address of this machine',tag:'own'"
"""


def test_rule_files_of_the_operator_come_on_top(tmp_path: Path) -> None:
    (tmp_path / "own.conf").write_text(LOOPBACK)
    config = {"RULES": [str(tmp_path / "own.conf")]}
    for target, status in (
        ("/?u=http://localhost:6379/", "403"),
        ("/?q=<script>", "403"),
        ("/?u=http://example.com", "200"),
    ):
        assert judged(config, "GET", target)[0].startswith(status)
    alone = {**config, "DEFAULTS": False}
    assert judged(alone, "GET", "/?u=http://localhost/")[0].startswith("403")
    assert judged(alone, "GET", "/?q=<script>")[0].startswith("200")
    watched = {**config, "RULE_MODES": {"waf.900001": "monitor"}}
    assert judged(watched, "GET", "/?u=http://localhost/")[0].startswith("200")


def test_without_any_rule_the_layer_has_nothing_to_do() -> None:
    assert judged({"DEFAULTS": False}, "GET", "/?q=<script>")[0].startswith("200")
    assert "waf" not in read_plan({"WAF_DEFAULTS": False}).used


def test_every_problem_of_the_settings_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "broken.conf").write_text(
        'SecRule ARGS "@rx (" "id:900001,phase:2,deny"\nSecRule ARGS "@nope x" "id:900002,phase:2,deny"\n'
    )
    with pytest.raises(ConfigError) as caught:
        read_plan({"WAF_RULES": [str(tmp_path / "broken.conf")], "WAF_PROFILES": [{}], "WAF_DEFAULTS": "perhaps"})
    text = str(caught.value)
    for part in ("WAF_PROFILES", "WAF_DEFAULTS"):
        assert part in text
    with pytest.raises(ConfigError) as caught:
        read_plan({"WAF_RULES": [str(tmp_path / "broken.conf")]})
    assert str(caught.value).count("broken.conf") == 2
    for values, part in (
        ({"WAF_RULE_MODES": {"waf.102oo1": "off"}}, "102001"),
        ({"WAF_RULE_MODES": {"waf.999999": "off"}}, "names a rule that there is not"),
        ({"WAF_RULES": [str(tmp_path / "none.conf")]}, "none.conf"),
        ({"EXCEPTIONS": [{"rule": "waf.102001", "parameter": "ARG:q", "comment": "x"}]}, "ARGS"),
    ):
        with pytest.raises(ConfigError, match="1 problem") as caught:
            read_plan(values)
        assert part in str(caught.value)


def test_it_stands_behind_the_protocol_layer_in_a_guard(tmp_path: Path) -> None:
    events: list[Any] = []
    made = guard(
        fine, {"MODE": "enforce", "STATE_DIR": str(tmp_path), "LAYERS": ["protocol", "waf"]}, emit=events.append
    )
    assert run(made, environ("GET", "/v1/x?q=%3Cscript%3E")).status == 403
    assert [event.rule for event in events if event.name == "request.denied"] == ["waf.114001"]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "GZIP"])
def test_a_compressed_body_is_looked_into(coding: str) -> None:
    def sent(value: Any) -> dict[str, Any]:
        text = json.dumps(value).encode()
        body = zlib.compress(text) if coding == "deflate" else gzip.compress(text)
        return {"headers": {**JSON, "Content-Encoding": coding}, "body": body}

    assert judged(None, "POST", "/", **sent({"q": SQL}))[0] == "403"
    assert judged(None, "POST", "/", **sent({"q": "fine"}))[0] == "200"
    assert judged(None, "POST", "/", **sent({"q": "x" * 10_000_000}))[0] == "413"


def test_a_body_that_only_says_it_is_compressed_is_looked_at_as_it_is() -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    assert judged(None, "POST", "/", headers=headers, body=json.dumps({"q": SQL}).encode())[0] == "403"


FORM = b"page=1&q=fine"
#: Without the time in it, which would be part of the names of the cases.
PACKED = gzip.compress(FORM, mtime=0)


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        ("gzip", PACKED, "200"),
        ("", FORM, "200"),
        ("identity", FORM, "200"),
        ("br", FORM, "400"),
        ("zstd", b"", "200"),
        ("gzip, br", PACKED, "400"),
        ("gzip", FORM, "400"),
        ("gzip", PACKED[:-9], "400"),
        ("gzip", PACKED + b"&q=more", "400"),
        ("deflate", zlib.compress(FORM)[:6], "400"),
        ("x-gzip," * 5, FORM, "400"),
    ],
)
def test_a_body_that_rules_cannot_see_into_is_refused(coding: str, body: bytes, status: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": coding}
    answer, events = judged(None, "POST", "/v1/items", headers=headers, body=body)
    assert answer == status
    denied = [(event.rule, event.code) for event in events if event.name == "request.denied"]
    assert denied == ([] if status == "200" else [("waf.unreadable", "BSE1202")])


def test_a_path_can_be_excepted_from_that() -> None:
    headers = {**JSON, "Content-Encoding": "br"}
    exception = {"rule": "waf.unreadable", "path": "/uploads", "comment": "the application reads these itself"}
    for path, status in (("/uploads", "200"), ("/other", "400")):
        settings = {"EXCEPTIONS": [exception]}
        assert judged(None, "POST", path, headers=headers, body=b"{}", settings=settings)[0] == status


def test_every_member_of_a_compressed_body_is_looked_into() -> None:
    body = gzip.compress(b"page=1&") + gzip.compress(b"q=" + quote(SQL).encode())
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    status, events = judged(None, "POST", "/v1/items", headers=headers, body=body)
    assert status.startswith("403")
    assert "waf.102001" in [event.rule for event in events if event.name == "rule.matched"]


@pytest.mark.parametrize("coding", ["identity, gzip", "gzip, deflate", "gzip,identity"])
def test_several_codings_are_taken_off_in_their_order(coding: str) -> None:
    body = json.dumps({"q": SQL}).encode()
    for one in coding.replace(" ", "").split(","):
        body = {"gzip": gzip.compress, "deflate": zlib.compress, "identity": bytes}[one](body)
    status, events = judged(None, "POST", "/v1/items", headers={**JSON, "Content-Encoding": coding}, body=body)
    assert status.startswith("403")
    assert "waf.102001" in [event.rule for event in events if event.name == "rule.matched"]


@pytest.mark.parametrize("media_type", ["application/a_b+json", "application/a+b+json", "application/vnd.a!+json"])
def test_whatever_an_application_takes_for_json_is_read_as_json(media_type: str) -> None:
    body = b'{"q": "' + "".join(f"\\u{ord(char):04x}" for char in SQL).encode() + b'"}'
    _, events = judged(None, "POST", "/v1/items", headers={"Content-Type": media_type}, body=body)
    matched = [event for event in events if event.name == "rule.matched"]
    assert [(event.rule, event.variables) for event in matched] == [("waf.102001", ("ARGS:json.q",))]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-32-be"])
def test_json_of_any_encoding_is_read_though_its_type_says_nothing(encoding: str) -> None:
    body = '{"a": "a\\nwhoami"}'.encode(encoding)
    assert json.loads(body) == {"a": "a\nwhoami"}
    status, _ = judged(None, "POST", "/", headers={"Content-Type": "text/plain"}, body=body)
    assert status.startswith("403")


OCTAL = "".join(f"\\{ord(char):03o}" for char in "<script>alert(1)</script>")


@pytest.mark.parametrize(
    "value",
    [
        OCTAL,
        f";{OCTAL}",
        f"{OCTAL};",
        f'\\"{OCTAL}',
        f"c=d; e={OCTAL}; f",
        "<scr\\ipt>alert(1)</scr\\ipt>;",
        "1;\\074script>",
    ],
)
def test_a_quoted_cookie_is_read_as_the_application_reads_it(value: str) -> None:
    line = f'a=1; b="{value}"; c=2'
    assert "<script>" in parse_cookie(line)["b"]
    status, events = judged(None, "GET", "/", headers={"Cookie": line})
    assert status.startswith("403")
    matched = next(event for event in events if event.name == "rule.matched")
    assert matched.variables == ("REQUEST_COOKIES:b",)


def test_rule_files_that_switch_the_engine_off_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "own.conf").write_text('SecRuleEngine DetectionOnly\nSecRule ARGS "@streq x" "id:900001,deny"\n')
    with pytest.raises(ConfigError, match="the rule files say SecRuleEngine DetectionOnly, so nothing would be refuse"):
        read_plan({"WAF_RULES": [str(tmp_path / "own.conf")]})


def test_a_name_with_brackets_can_be_excepted_and_nothing_else_is() -> None:
    exception = {"rule": "waf.102001", "parameter": "ARGS:user[name]*", "comment": "names are names"}
    excepted, _ = judged(None, "GET", f"/?user[name]={quote(SQL)}", settings={"EXCEPTIONS": [exception]})
    other, _ = judged(None, "GET", f"/?usern={quote(SQL)}", settings={"EXCEPTIONS": [exception]})
    assert (excepted[:3], other[:3]) == ("200", "403")


@pytest.mark.parametrize("target", ["/?a=1#" + SQL.replace(" ", "+"), "/x#" + quote("<script>alert(1)</script>")])
def test_what_a_server_leaves_behind_a_hash_is_looked_at(target: str) -> None:
    path, _, query = target.partition("?")
    request = environ("GET", "/") | {"PATH_INFO": unquote(path), "QUERY_STRING": query, "RAW_URI": target}
    assert str(run(Waf(fine, None), request).status).startswith("403")


def test_many_members_are_taken_apart_in_linear_time() -> None:
    body = gzip.compress(b"") * 100_000
    begun = time.thread_time()
    assert decoded(body, "gzip", 1_000_000).body == b""
    assert time.thread_time() - begun < 1  # more than two seconds where everything behind each member is copied
