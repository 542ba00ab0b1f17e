"""Whatever the rules: with every shortcut and with none, the same comes of the same requests.

Rules are made at random from a small language in which everything has to do with everything: few names, few values,
chains, negations, counts, TX written and read, jumps, controls. The plain engine evaluates every rule; the other one
has the prefilter, what it remembers, and the courses.
"""

from __future__ import annotations

import dataclasses
import json
import random
from typing import TYPE_CHECKING

import pytest

from bsguard.seclang import Inspection, Request, Response, RuleSet
from bsguard.seclang.compiler import compile_program
from bsguard.seclang.engine import Engine
from bsguard.seclang.folding import fold
from bsguard.seclang.parser import parse
from bsguard.seclang.prefilter.scanners import TIERS, Tier
from bsguard.seclang.request import NO_EXCLUSIONS, Exclusions

if TYPE_CHECKING:
    from bsguard.seclang.model import Program

PROGRAMS = 150
REQUESTS = 12

VARIABLES = [
    *(
        "ARGS",
        "ARGS_NAMES",
        "ARGS:a",
        "ARGS|!ARGS:b",
        "&ARGS",
        "&ARGS:a",
        "ARGS_GET",
        "ARGS_POST_NAMES",
        "ARGS:/^[ab]$/",
    ),
    *("REQUEST_HEADERS", "REQUEST_HEADERS:Accept", "REQUEST_HEADERS:/^X-/", "REQUEST_HEADERS|!REQUEST_HEADERS:Host"),
    *("REQUEST_HEADERS_NAMES", "&REQUEST_HEADERS", "&REQUEST_HEADERS:X-One", "REQUEST_COOKIES", "REQUEST_COOKIES:c"),
    *("REQUEST_METHOD", "REQUEST_PROTOCOL", "REMOTE_ADDR", "REQUEST_URI", "REQUEST_LINE", "REQUEST_FILENAME"),
    *("QUERY_STRING", "REQUEST_BODY", "REQUEST_BODY_LENGTH", "REQBODY_PROCESSOR", "FILES", "&FILES", "XML:/*"),
    *("TX:a", "TX:b", "&TX:a", "TX:/^k_/", "TX:0", "TX:1", "MATCHED_VAR", "MATCHED_VARS"),
    *("ARGS|REQUEST_HEADERS:Accept", "ARGS|TX:a", "REQUEST_COOKIES|ARGS_NAMES|REQUEST_URI"),
]
OPERATORS = [
    *(
        "@rx one",
        "@rx (o)(n)e",
        "@rx ^t.o$",
        "@rx ^$",
        "!@rx one",
        "!@rx ^[a-z]*$",
        "@rx a.*b",
        "@rx ^.*$",
        "@rx (\\w)=",
    ),
    *(
        "@contains one",
        "@streq two",
        "!@streq two",
        "@beginsWith on",
        "@endsWith wo",
        "@within one two GET",
        "@pm one two",
    ),
    *(
        "!@within %{tx.a} GET",
        "@contains %{tx.b}",
        "@streq %{tx.0}",
        "@gt 1",
        "@eq 0",
        "@lt 3",
        "!@eq 0",
        "@ge %{tx.a}",
    ),
    *("@validateByteRange 32-126", "@validateUtf8Encoding", "@validateUrlEncoding", "@unconditionalMatch"),
    *("@detectSQLi", "@detectXSS", "@ipMatch 127.0.0.1"),
]
TRANSFORMATIONS = [
    *("", "", "", "t:lowercase", "t:urlDecodeUni", "t:length", "t:removeWhitespace", "t:base64Decode", "t:cmdLine"),
    *(
        "t:urlDecodeUni,t:htmlEntityDecode,t:jsDecode",
        "t:normalizePath",
        "t:lowercase,t:base64Decode",
        "t:sha1,t:hexEncode",
    ),
    *(
        "t:unwrap",
        "t:replaceComments,t:compressWhitespace",
        "multiMatch,t:base64Decode,t:urlDecodeUni",
        "multiMatch,t:lowercase",
    ),
]
SETTERS = [
    *("setvar:tx.a=1", "setvar:tx.a=+2", "setvar:tx.b=one", "setvar:tx.k_%{MATCHED_VAR_NAME}=two", "setvar:!tx.b"),
    *("setvar:tx.k_%{tx.0}=%{MATCHED_VAR}", "setvar:tx.anomaly_score=+%{tx.a}", "setvar:ip.n=+1"),
]
ACTIONS = [
    *(
        "pass",
        "pass",
        "pass",
        "pass,nolog",
        "pass,nolog",
        "deny",
        "block",
        "allow:phase",
        "pass,skip:1",
        "pass,skipAfter:END",
    ),
    *("pass,ctl:ruleRemoveById=3", "pass,ctl:ruleRemoveTargetById=2;ARGS:a", "pass,ctl:ruleRemoveTargetById=4;TX:a"),
    *("pass,ctl:forceRequestBodyVariable=On", "pass,ctl:requestBodyProcessor=JSON", "pass,ctl:ruleEngine=Off"),
]
VALUES = [
    *(
        "one",
        "two",
        "three",
        "",
        "o n e",
        "b25l",
        "ONE",
        "%6fne",
        "%256fne",
        "a  b",
        "/x/../one",
        "1' or '1'='1",
        "<a onclick=b>",
    ),
    *("&lt;one", "\\u006fne", "é", "\x01", "5", "one\ntwo", "a=b", 'c"one^', "one/*x*/"),
]


def link(chance: random.Random) -> str:
    return f'SecRule {chance.choice(VARIABLES)} "{chance.choice(OPERATORS)}"'


def program(chance: random.Random) -> Program:
    lines = []
    for number in range(1, chance.randrange(3, 12)):
        actions = [chance.choice(TRANSFORMATIONS), *chance.choices(SETTERS, k=chance.choice((0, 0, 1, 2)))]
        actions += ["capture"] if chance.random() < 0.3 else []
        actions += ["logdata:'%{TX.0} %{MATCHED_VAR} %{tx.a}'"] if chance.random() < 0.3 else []
        head = f"id:{number},phase:{chance.choice((1, 1, 2, 2, 2, 3, 5))},{chance.choice(ACTIONS)}"
        if chance.random() < 0.15:
            lines.append(f'SecAction "{head},{chance.choice(SETTERS)}"')
            continue
        depth = chance.choice((0, 0, 1, 1, 2))
        for level in range(depth + 1):
            own = [head] if level == 0 else []
            own += [one for one in actions if one] if level in (0, depth) or chance.random() < 0.3 else []
            own = own if level == 0 else [one for one in own if not one.startswith("logdata")]
            own += ["chain"] if level < depth else []
            lines.append(f'{link(chance)} "{",".join(own)}"' if own else link(chance))
        if chance.random() < 0.2:
            lines.append("SecMarker END")
    return parse("\n".join(["SecRuleEngine On", "SecRequestBodyAccess On", *lines, "SecMarker END"]))


def quoted(value: str) -> str:
    return "".join(
        character if character.isalnum() or character in "%.-" else f"%{ord(character) % 256:02x}"
        for character in value
    )


def request(chance: random.Random) -> Request:
    names = ("a", "b", "one", "c", "json.a")
    query = "&".join(f"{chance.choice(names)}={quoted(chance.choice(VALUES))}" for _ in range(chance.randrange(4)))
    headers = [(b"Host", b"one.example"), (b"Accept", chance.choice(VALUES).encode())]
    headers += [(chance.choice((b"X-One", b"x-two", b"one")), chance.choice(VALUES).encode())] * chance.randrange(3)
    if chance.random() < 0.4:
        headers.append((b"Cookie", f"{chance.choice('abc')}={chance.choice(VALUES)}; c=one".encode()))
    kind = chance.choice(("", "", "json", "form", "xml", "text"))
    value, name = chance.choice(VALUES), chance.choice(names)
    body = {
        "": "",
        "json": json.dumps({name: ["one", value]}),
        "form": f"{name}={quoted(value)}&a=one",
        "xml": "<a b='two'>one</a>",
        "text": value,
    }[kind].encode()
    media = {
        "json": b"application/json",
        "form": b"application/x-www-form-urlencoded",
        "xml": b"text/xml",
        "text": b"text/plain",
    }
    if kind:
        headers.append((b"Content-Type", media[kind]))
    return Request(
        chance.choice((b"GET", b"POST", b"one")),
        (f"/{quoted(chance.choice(VALUES))}" + (f"?{query}" if query else "")).encode(),
        tuple(headers),
        body,
        chance.choice((b"HTTP/1.1", b"HTTP/1.0")),
        chance.choice((b"127.0.0.1", b"::1")),
        b"the id",
    )


def judged(rules: RuleSet, one: Request, response: Response | None, exclusions: Exclusions) -> Inspection:
    return rules.begin(one, exclusions).run(response)


@pytest.mark.parametrize("tier", [tier for tier in TIERS if tier != "re"])
@pytest.mark.parametrize("seed", range(4))
def test_shortcuts_change_nothing(tier: Tier, seed: int) -> None:
    chance = random.Random(f"{tier} {seed}")
    matches = refusals = spared = 0
    for _ in range(PROGRAMS):
        rules = program(chance)
        folded = fold(rules)
        plain, fast = compile_program(folded.program, folded.initial), RuleSet(rules, tier=tier)
        requests = [request(chance) for _ in range(REQUESTS)]
        for one in requests + requests[:3]:  # what is remembered is the same
            response = Response(200, (), b"one") if chance.random() < 0.2 else None
            exclusions = NO_EXCLUSIONS
            if chance.random() < 0.2:
                ids = frozenset(chance.sample(range(1, 12), 3))
                exclusions = Exclusions(
                    frozenset({chance.randrange(1, 12)}), ids, ((ids, "ARGS", lambda key: key == b"a"),)
                )
            expected = Engine(plain, rules.options, one, fast.limits, exclusions).run(response)

            assert dataclasses.asdict(judged(fast, one, response, exclusions)) == dataclasses.asdict(expected), (
                rules,
                one,
            )
            matches += len(expected.matches)
            refusals += not expected.verdict.allowed
            spared += len(expected.spared)

    assert matches > PROGRAMS * 2
    assert refusals > PROGRAMS / 4
    assert spared > 10
