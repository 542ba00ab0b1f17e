"""What rules do: chains, captures, counters, jumps, controls, phases. Each case says what fires and what does not."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import pytest

from bsguard.seclang import Limits, Response, RuleSet

JSON = [("Content-Type", "application/json; charset=utf-8")]
FORM = [("Content-Type", "application/x-www-form-urlencoded")]
MULTIPART = [("Content-Type", "multipart/form-data; boundary=B")]
UPLOAD = (
    b'--B\r\nContent-Disposition: form-data; name="f"; filename="x.php"\r\nContent-Type: text/plain\r\n\r\nhello\r\n'
    b'--B\r\nContent-Disposition: form-data; name="g"\r\n\r\nval\r\n--B--\r\n'
)


class Case(NamedTuple):
    """Rules, and requests with the ids that must be reported."""

    rules: str
    seen: list[tuple[dict[str, Any], tuple[int, ...]]]


CASES = {
    "target of arguments": Case(
        'SecRule ARGS "@streq x" "id:1"\nSecRule ARGS_NAMES "@streq q" "id:2"\nSecRule ARGS:Q "@streq x" "id:3"\n'
        'SecRule &ARGS "@eq 2" "id:4"\nSecRule &ARGS:q "@eq 1" "id:5"\nSecRule ARGS:/^Q/ "@streq x" "id:6"\n'
        'SecRule ARGS|!ARGS:q "@streq x" "id:7"\nSecRule ARGS|!ARGS:/^Q$/ "@streq x" "id:8"\n'
        'SecRule ARGS_GET "@streq x" "id:9"\nSecRule ARGS_POST "@streq x" "id:10"\nSecRule &ARGS:z "@eq 0" "id:11"',
        [
            ({"target": "/?q=x"}, (1, 2, 3, 5, 6, 9, 11)),
            ({"target": "/?q=x&q2=x"}, (1, 2, 3, 4, 5, 6, 7, 8, 9, 11)),
            ({"method": "POST", "headers": FORM, "body": b"r=x"}, (1, 7, 8, 10, 11)),
        ],
    ),
    "negation": Case(
        'SecRule ARGS "!@rx ^a" "id:1"\nSecRule REQUEST_HEADERS:X "!@streq a" "id:2"\n'
        'SecRule REQBODY_PROCESSOR "!@streq JSON" "id:3"',
        [
            ({"target": "/?q=ab", "headers": JSON}, ()),
            ({"target": "/?q=ab&r=ba", "headers": [("x", "b")]}, (1, 2, 3)),
        ],
    ),
    "parts of the target": Case(
        'SecRule REQUEST_URI "@streq /a b/c.d?x=1+2A" "id:1"\nSecRule REQUEST_FILENAME "@streq /a b/c.d" "id:2"\n'
        'SecRule REQUEST_BASENAME "@streq c.d" "id:3"\nSecRule QUERY_STRING "@streq x=1+2%41" "id:4"\n'
        'SecRule REQUEST_LINE "@streq GET /a%20b/c.d?x=1+2%41#f HTTP/1.1" "id:5"\n'
        'SecRule REQUEST_URI_RAW "@endsWith #f" "id:6"\nSecRule ARGS:x "@streq 1 2A" "id:7"',
        [({"target": "/a%20b/c.d?x=1+2%41#f"}, (1, 2, 3, 4, 5, 6, 7)), ({"target": "/"}, ())],
    ),
    "absolute target": Case(
        'SecRule REQUEST_URI "@streq /p?q" "id:1"\nSecRule REQUEST_URI_RAW "@beginsWith http" "id:2"',
        [({"target": "http://example.com:80/p?q"}, (1, 2)), ({"target": "/p?q"}, (1,))],
    ),
    "headers and cookies": Case(
        'SecRule REQUEST_HEADERS:user-agent "@streq me" "id:1"\nSecRule REQUEST_HEADERS_NAMES "@streq X-A" "id:2"\n'
        'SecRule &REQUEST_HEADERS:X-A "@eq 2" "id:3"\nSecRule REQUEST_COOKIES:a "@streq b=c" "id:4"\n'
        'SecRule REQUEST_COOKIES_NAMES "@streq d" "id:5"\nSecRule REMOTE_ADDR "@ipMatch 192.0.2.0/24" "id:6"',
        [
            ({"headers": [("User-Agent", "me"), ("X-A", "1"), ("x-a", "2")]}, (1, 2, 3)),
            ({"headers": [("Cookie", "a=b=c; d"), ("Cookie", "d=1")], "client": "192.0.2.7"}, (4, 5, 6)),
        ],
    ),
    "chain": Case(
        'SecRule ARGS:a "@streq 1" "id:1,chain"\nSecRule ARGS:b "@streq 2" "chain"\nSecRule ARGS:c "@streq 3"\n'
        'SecRule ARGS:d "@streq 4" "id:2"',
        [
            ({"target": "/?a=1&b=2&c=3&d=4"}, (1, 2)),
            ({"target": "/?a=1&b=2&d=4"}, (2,)),
            ({"target": "/?b=2&c=3"}, ()),
        ],
    ),
    "capture for a chain": Case(
        'SecRule ARGS:r "@rx (\\d+)-(\\d+)" "id:1,capture,chain"\nSecRule TX:2 "@lt %{tx.1}"',
        [({"target": "/?r=9-4"}, (1,)), ({"target": "/?r=4-9"}, ()), ({"target": "/?r=x"}, ())],
    ),
    "counters": Case(
        'SecRule ARGS "@contains x" "id:1,nolog,setvar:tx.n=+2,setvar:\'tx.last=%{MATCHED_VAR_NAME}\'"\n'
        'SecRule TX:N "@eq 4" "id:2"\nSecRule TX:last "@streq ARGS:b" "id:3"\n'
        'SecRule TX:n "@ge 1" "id:4,setvar:!tx.n,setvar:tx.m=-1,setvar:tx.flag"\nSecRule &TX:n "@eq 0" "id:5"\n'
        'SecRule TX:m "@eq -1" "id:6"\nSecRule TX:flag "@eq 1" "id:7"',
        [({"target": "/?a=x&b=x&c=y"}, (2, 3, 4, 5, 6, 7)), ({"target": "/?a=y"}, (5,))],
    ),
    "names made of values": Case(
        'SecRule ARGS_NAMES "@rx ." "id:1,nolog,setvar:TX.count_%{MATCHED_VAR_NAME}=+1"\n'
        'SecRule TX:/^COUNT_/ "@gt 1" "id:2"',
        [({"target": "/?a=1&a=2&b=1"}, (2,)), ({"target": "/?a=1&b=1"}, ())],
    ),
    "matched variables": Case(
        'SecRule ARGS "@contains a" "id:1,chain"\nSecRule MATCHED_VARS "@contains b" "chain"\n'
        'SecRule MATCHED_VAR_NAME "@streq MATCHED_VARS:ARGS:q"\nSecRule &MATCHED_VARS "@eq 0" "id:2"',
        [({"target": "/?p=a&q=ab"}, (1, 2)), ({"target": "/?p=ab&q=a"}, (2,))],
    ),
    "transformations in order": Case(
        'SecRule ARGS "@streq a<b" "id:1,t:none,t:urlDecode,t:lowercase"\n'
        'SecRule ARGS "@streq %41<" "id:2,t:htmlEntityDecode"',
        [({"target": "/?q=%2541%253cB"}, (1,)), ({"target": "/?q=%2541%26lt;"}, (2,))],
    ),
    "every step": Case(
        'SecRule ARGS "@streq %41" "id:1,multiMatch,t:urlDecode,t:lowercase"\n'
        'SecRule ARGS "@streq A" "id:2,multiMatch,t:urlDecode,t:lowercase"\n'
        'SecRule ARGS "@streq A" "id:3,t:urlDecode,t:lowercase"',
        [({"target": "/?q=%2541"}, (1, 2))],
    ),
    "jumps": Case(
        'SecRule ARGS:j "@streq 1" "id:1,nolog,skipAfter:END"\nSecAction "id:2"\nSecAction "id:3,phase:1"\n'
        'SecMarker END\nSecRule ARGS:j "@streq 2" "id:4,nolog,skip:2"\nSecAction "id:5"\nSecAction "id:6"\n'
        'SecAction "id:7"',
        [
            ({"target": "/?j=1"}, (3, 5, 6, 7)),
            ({"target": "/?j=2"}, (3, 2, 7)),
            ({"target": "/?j=3"}, (3, 2, 5, 6, 7)),
        ],
    ),
    "jump back goes to the end": Case(
        'SecMarker BEFORE\nSecAction "id:1,skipAfter:BEFORE"\nSecAction "id:2"\nSecAction "id:3,phase:5"',
        [({}, (1, 3))],
    ),
    "rules removed on the way": Case(
        'SecRule ARGS:off "@rx ." "id:1,phase:1,nolog,ctl:ruleRemoveById=2-3"\n'
        'SecRule ARGS:tag "@rx ." "id:5,phase:1,nolog,ctl:ruleRemoveByTag=sql"\n'
        'SecAction "id:2"\nSecAction "id:3,tag:sql"\nSecAction "id:4,tag:sqlite"',
        [({"target": "/?off=1"}, (4,)), ({"target": "/?tag=1"}, (2, 4)), ({}, (2, 3, 4))],
    ),
    "targets removed on the way": Case(
        'SecRule REQUEST_FILENAME "@streq /free" "id:1,phase:1,nolog,'
        'ctl:ruleRemoveTargetById=10;ARGS:text,ctl:ruleRemoveTargetByTag=b;ARGS:/^t/,ctl:ruleRemoveTargetByTag=c;ARGS"\n'
        'SecRule ARGS "@contains x" "id:10"\nSecRule ARGS "@contains x" "id:11,tag:b"\n'
        'SecRule ARGS "@contains x" "id:12,tag:c"',
        [
            ({"target": "/free?text=x"}, ()),
            ({"target": "/free?text=x&u=x"}, (10, 11)),
            ({"target": "/?text=x"}, (10, 11, 12)),
        ],
    ),
    "engine switched on the way": Case(
        'SecRule ARGS:off "@rx ." "id:1,phase:1,nolog,ctl:ruleEngine=Off"\nSecAction "id:2"\nSecAction "id:3,phase:5"',
        [({"target": "/?off=1"}, ()), ({}, (2, 3))],
    ),
    "JSON body": Case(
        'SecRule ARGS:json.a.array_1.b "@streq x" "id:1"\nSecRule ARGS_NAMES "@streq json.a.array_0" "id:2"\n'
        'SecRule REQBODY_PROCESSOR "@streq JSON" "id:3,phase:1"\nSecRule REQBODY_ERROR "@eq 1" "id:4"\n'
        'SecRule REQUEST_BODY "@contains x" "id:5"\nSecRule ARGS_COMBINED_SIZE "@gt 4" "id:6"',
        [
            ({"method": "POST", "headers": JSON, "body": b'{"a":[1,{"b":"x"}]}'}, (3, 1, 2, 5, 6)),
            ({"method": "POST", "headers": JSON, "body": b'{"a":'}, (3, 4)),
            ({"method": "POST", "headers": JSON, "body": b""}, (3,)),
        ],
    ),
    "multipart body": Case(
        'SecRule FILES "@endsWith .php" "id:1"\nSecRule FILES_NAMES "@streq f" "id:2"\n'
        'SecRule ARGS:g "@streq val" "id:3"\n'
        'SecRule FILES_COMBINED_SIZE "@eq 5" "id:4"\n'
        'SecRule MULTIPART_PART_HEADERS:f "@rx ^Content-Type: text" "id:5"\n'
        'SecRule REQUEST_BODY "@contains hello" "id:6"\nSecRule MULTIPART_STRICT_ERROR "@eq 1" "id:7"',
        [
            ({"method": "POST", "headers": MULTIPART, "body": UPLOAD}, (1, 2, 3, 4, 5)),
            ({"method": "POST", "headers": MULTIPART, "body": UPLOAD[:-4]}, (1, 2, 3, 4, 5, 7)),
        ],
    ),
    "XML body": Case(
        'SecRule XML:/* "@contains yo" "id:1"\nSecRule XML://@* "@streq 2" "id:2"\nSecRule REQUEST_BODY "@rx ." "id:3"',
        [
            ({"method": "POST", "headers": [("Content-Type", "text/xml")], "body": b'<a><b c="2">yo</b></a>'}, (1, 2)),
            ({"method": "POST", "headers": [("Content-Type", "text/plain")], "body": b"<a>yo</a>"}, (3,)),
        ],
    ),
    "body processor chosen by a rule": Case(
        'SecRule REQUEST_HEADERS:X "@streq form" "id:1,phase:1,nolog,ctl:requestBodyProcessor=URLENCODED"\n'
        'SecRule REQUEST_HEADERS:X "@streq none" "id:2,phase:1,nolog,ctl:requestBodyAccess=Off"\n'
        'SecRule REQUEST_HEADERS:X "@streq raw" "id:3,phase:1,nolog,ctl:forceRequestBodyVariable=On"\n'
        'SecRule ARGS:a "@streq b" "id:4"\nSecRule REQUEST_BODY "@contains a" "id:5"',
        [
            ({"method": "POST", "headers": [("X", "form")], "body": b"a=b"}, (4, 5)),
            ({"method": "POST", "headers": [("X", "none"), *FORM], "body": b"a=b"}, ()),
            ({"method": "POST", "headers": [("X", "raw"), ("Content-Type", "text/xml")], "body": b"<a/>"}, (5,)),
        ],
    ),
    "body without rules for it": Case(
        'SecRequestBodyAccess Off\nSecRule ARGS "@rx ." "id:1"',
        [({"method": "POST", "headers": FORM, "body": b"a=b"}, ())],
    ),
    "response": Case(
        'SecResponseBodyAccess On\nSecRule RESPONSE_STATUS "@rx ^5" "id:1,phase:3"\n'
        'SecRule RESPONSE_HEADERS:Content-Type "@contains html" "id:2,phase:3"\n'
        'SecRule RESPONSE_BODY "@contains secret" "id:3,phase:4"',
        [
            ({"response": Response(500, ((b"Content-Type", b"text/html"),), b"a secret")}, (1, 2, 3)),
            ({"response": Response(200, ((b"Content-Type", b"image/png"),), b"a secret")}, ()),
            ({}, ()),
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rules(name: str) -> None:
    case = CASES[name]
    rules = RuleSet.parse(case.rules)
    for request, expected in case.seen:
        assert rules.inspect(**request).rule_ids == expected, request


VERDICTS = [
    ('SecRule ARGS "@streq x" "id:1,deny"\nSecAction "id:2"', ("deny", 403, 1, 2), (1,)),
    ('SecRule ARGS "@streq x" "id:1,phase:1,deny,status:418"\nSecAction "id:2"', ("deny", 418, 1, 1), (1,)),
    ('SecRule ARGS "@streq x" "id:1,drop"', ("drop", 403, 1, 2), (1,)),
    ('SecRule ARGS "@streq x" "id:1,redirect:/no"', ("redirect", 302, 1, 2), (1,)),
    ('SecRule ARGS "@streq x" "id:1,deny"\nSecAction "id:2,phase:5"', ("deny", 403, 1, 2), (1, 2)),
    (
        'SecRuleEngine DetectionOnly\nSecRule ARGS "@streq x" "id:1,deny"\nSecAction "id:2"',
        ("allow", 200, 0, 0),
        (1, 2),
    ),
    ('SecRuleEngine Off\nSecRule ARGS "@streq x" "id:1,deny"', ("allow", 200, 0, 0), ()),
    (
        'SecRule ARGS "@streq x" "id:1,phase:1,allow"\nSecAction "id:2,deny"\nSecAction "id:3,phase:5"',
        ("allow", 200, 0, 0),
        (1, 3),
    ),
    (
        'SecAction "id:1,phase:1,allow:phase"\nSecAction "id:2,phase:1,deny"\nSecAction "id:3"',
        ("allow", 200, 0, 0),
        (1, 3),
    ),
    ('SecAction "id:1,phase:1,allow:request"\nSecAction "id:2,deny"', ("allow", 200, 0, 0), (1,)),
    ('SecDefaultAction "phase:2,deny,status:409"\nSecRule ARGS "@streq x" "id:1,block"', ("deny", 409, 1, 2), (1,)),
    ('SecAction "id:1,phase:5,deny"', ("allow", 200, 0, 0), (1,)),
]


@pytest.mark.parametrize("number", range(len(VERDICTS)))
def test_verdict(number: int) -> None:
    text, expected, ids = VERDICTS[number]
    seen = RuleSet.parse(text).inspect(target="/?q=x")
    verdict = seen.verdict

    assert (verdict.action, verdict.status, verdict.rule_id, verdict.phase) == expected
    assert seen.rule_ids == ids
    assert verdict.location == ("/no" if "redirect" in text else "")


def test_match_tells_what_was_found() -> None:
    rules = RuleSet.parse(
        "SecRule ARGS \"@rx b(.)\" \"id:7,phase:2,capture,t:lowercase,msg:'Found %{TX.1}',severity:CRITICAL,tag:'t',"
        "logdata:'%{MATCHED_VAR_NAME}=%{MATCHED_VAR} of %{REQUEST_HEADERS.host}',"
        'setvar:tx.my_score=+%{TX.two},setvar:tx.two=3"'
    )
    seen = rules.inspect(target="/?p=aBc&q=bd%FF", headers=[("Host", "h")])
    match = seen.matches[0]

    assert (match.rule_id, match.phase, match.severity, match.tags) == (7, 2, 2, ("t",))
    assert (match.message, match.data) == ("Found d", "ARGS:q=bd\\xff of h")
    assert [(found.name, found.value) for found in match.found] == [("ARGS:p", b"abc"), ("ARGS:q", b"bd\xff")]
    assert seen.scores == {"my_score": 3}
    assert seen.body_error == ""


def test_requests_do_not_touch_each_other() -> None:
    rules = RuleSet.parse('SecRule ARGS "@rx ." "id:1,setvar:tx.n=+1"\nSecRule TX:n "@gt 1" "id:2"')

    assert [rules.inspect(target="/?q=1").rule_ids for _ in range(3)] == [(1,)] * 3


UNREAD = {
    "broken JSON": (JSON, b'{"a":', 400),
    "JSON deeper than allowed": (JSON, b"[" * (Limits().depth_max + 1), 413),
    "more arguments than allowed": (FORM, b"a=b&" * (Limits().arguments_max + 1), 413),
    "form without its end": (MULTIPART, UPLOAD[:-30], 400),
    "text longer than allowed": ([("Content-Type", "text/plain")], b"x" * (Limits().body_bytes_max + 1), 413),
}


@pytest.mark.parametrize("name", UNREAD)
def test_what_rules_cannot_see_whole_is_refused(name: str) -> None:
    headers, body, status = UNREAD[name]
    request = {"method": "POST", "headers": headers, "body": body}
    seen = RuleSet.parse('SecAction "id:1,phase:5"').inspect(**request)
    detected = RuleSet.parse("SecRuleEngine DetectionOnly").inspect(**request)
    allowed = RuleSet.parse('SecAction "id:1,phase:1,allow"').inspect(**request)

    assert (seen.verdict.action, seen.verdict.status, seen.verdict.rule_id) == ("deny", status, 0)
    assert seen.rule_ids == (1,)
    assert seen.body_error
    assert detected.verdict.allowed
    assert allowed.verdict.allowed


def test_a_query_longer_than_allowed_is_refused() -> None:
    seen = RuleSet.parse("").inspect(target="/?" + "a=b&" * (Limits().arguments_max + 1))

    assert (seen.verdict.action, seen.verdict.status) == ("deny", 413)


def test_an_address_within_the_target_stays_in_request_uri() -> None:
    rules = RuleSet.parse('SecRule REQUEST_URI "@contains evil" "id:1,phase:1,deny"')
    assert not rules.inspect(target="/go?to=http://evil/x").verdict.allowed
    assert rules.inspect(target="http://evil/x").verdict.allowed


def test_a_long_target_is_read_in_linear_time() -> None:
    rules = RuleSet.parse('SecRule REQUEST_URI "@contains evil" "id:1,phase:1,deny"')

    def cost(size: int) -> float:
        begun = time.thread_time()
        rules.inspect(target="/" + "a" * size)
        return time.thread_time() - begun

    assert min(cost(32_000) for _ in range(3)) < 0.1  # more than half a second where it is quadratic
