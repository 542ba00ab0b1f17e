"""The glance only saves work: a request that it calls clear is one that the engine lets pass without a word.

And so does leaving out parts of a request at which no rule would look.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsguard.seclang import Limits, Request, RuleSet

DENY = '"id:1,phase:{phase},deny,status:403'


def rules(*lines: str, limits: Limits | None = None) -> RuleSet:
    text = "\n".join(["SecRuleEngine On", "SecRequestBodyAccess On", *lines])
    return RuleSet.parse(text, limits=limits)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('SecRule ARGS "@rx x" "id:1,phase:2,deny"', True),
        ('SecRule REQUEST_HEADERS:User-Agent "@contains x" "id:1,phase:1,deny"', True),
        ('SecRule REQUEST_HEADERS:User-Agent "!@rx x" "id:1,phase:1,deny"', True),
        ('SecRule &REQUEST_HEADERS:Host "@eq 0" "id:1,phase:1,deny"', True),
        ('SecRule REMOTE_ADDR "@ipMatch 10.0.0.0/8" "id:1,phase:1,deny"', True),
        ('SecRule ARGS "!@rx ^x" "id:1,phase:2,deny"', True),
        ('SecRule REQUEST_METHOD "!@within GET POST" "id:1,phase:1,deny"', True),
        ('SecAction "id:1,phase:1,nolog,pass,setvar:tx.limit=3"', True),
        ('SecAction "id:1,phase:1,pass"', False),
        ('SecRule &ARGS "@eq 0" "id:1,phase:2,deny"', False),
        ('SecRule TIME_HOUR "@eq 3" "id:1,phase:2,deny"', False),
        ('SecRule REQBODY_ERROR "!@eq 0" "id:1,phase:2,deny"', False),
        ('SecRule REQUEST_BODY_LENGTH "@eq 0" "id:1,phase:2,deny"', False),
        ('SecRule ARGS_COMBINED_SIZE "@gt 100" "id:1,phase:2,deny"', False),
        ('SecRule RESPONSE_STATUS "@eq 500" "id:1,phase:3,deny"', False),
        ("SecRequestBodyAccess Off", False),
    ],
)
def test_rules_that_wait_for_something_have_a_glance(line: str, expected: bool) -> None:
    assert (rules(line).glance is not None) == expected


def test_without_a_prefilter_there_is_none() -> None:
    assert RuleSet(rules('SecRule ARGS "@rx x" "id:1,phase:2,deny"').program, tier="re").glance is None


CHAIN = 'SecRule ARGS "@contains evil" "id:1,phase:2,deny,chain"\nSecRule REQUEST_HEADERS:X-One "@contains two"'


@pytest.mark.parametrize(
    ("target", "headers", "is_clear"),
    [
        (b"/?q=evil", ((b"X-One", b"two"),), False),
        (b"/?q=evil", ((b"X-One", b"three"),), True),
        (b"/?q=good", ((b"X-One", b"two"),), True),
        (b"/evil", ((b"X-One", b"two"),), True),
    ],
)
def test_the_links_of_a_chain_may_be_about_different_pieces(target: bytes, headers: Any, is_clear: bool) -> None:
    glance = rules(CHAIN).glance
    assert glance is not None
    assert (glance.of_head(Request(target=target, headers=headers)) is not None) == is_clear
    assert (glance.of_head(Request(target=target, headers=headers)) is not None) == is_clear, "and remembered so"


def test_a_query_beyond_the_limits_is_for_the_rules_to_see() -> None:
    glance = rules('SecRule ARGS "@rx x" "id:1,phase:2,deny"', limits=Limits(arguments_max=2)).glance
    assert glance is not None
    assert glance.of_head(Request(target=b"/?a=1&b=2")) is not None
    assert glance.of_head(Request(target=b"/?a=1&b=2&c=3")) is None


WORDS = (
    b"evil",
    b"two",
    b"three",
    b"%65vil",
    b"GET",
    b"10.0.0.1",
    b"a b",
    b"x=1",
    b"&",
    b";",
    b"%00",
    b"\xc3\xa9",
    b"",
)
TEXT = st.lists(st.sampled_from(WORDS), max_size=3).map(b"".join)
NAME = st.sampled_from((b"X-One", b"Cookie", b"Content-Type", b"User-Agent", b"evil"))
MEDIA = (b"application/json", b"application/x-www-form-urlencoded", b"text/plain", b"application/xml")
VARIABLES = (
    "ARGS",
    "ARGS_NAMES",
    "ARGS_GET",
    "ARGS:evil",
    "REQUEST_COOKIES",
    "REQUEST_COOKIES_NAMES",
    "REQUEST_HEADERS",
    "REQUEST_HEADERS:X-One",
    "REQUEST_HEADERS_NAMES",
    "&REQUEST_HEADERS:Cookie",
    "&ARGS",
    "REQUEST_URI",
    "REQUEST_LINE",
    "REQUEST_FILENAME",
    "QUERY_STRING",
    "REQUEST_METHOD",
    "REMOTE_ADDR",
    "REQUEST_BODY",
    "REQUEST_BODY_PLAIN",
    "XML://text()",
    "ARGS|REQUEST_HEADERS|!REQUEST_HEADERS:Cookie",
)
OPERATORS = ("@rx evil", "@rx ^two$", "!@rx e", "@contains three", "@streq 10.0.0.1", "@pm evil two", "@eq 1", "@gt 0")
TRANSFORMATIONS = ("t:none", "t:lowercase,t:urlDecodeUni", "t:unwrap")
LINK = st.tuples(st.sampled_from(VARIABLES), st.sampled_from(OPERATORS), st.sampled_from(TRANSFORMATIONS))
RULE = st.tuples(st.sampled_from((1, 2)), st.lists(LINK, min_size=1, max_size=2), st.sampled_from(("deny", "pass")))
REQUESTS = st.builds(
    Request,
    method=st.sampled_from((b"GET", b"POST", b"evil")),
    target=st.tuples(TEXT, TEXT, TEXT).map(lambda texts: b"/%s?q=%s&%s" % texts),
    headers=st.lists(st.tuples(NAME, TEXT | st.sampled_from(MEDIA)), max_size=4).map(tuple),
    body=TEXT | TEXT.map(lambda text: b'{"q": "%s"}' % text) | TEXT.map(lambda text: b"<a>%s</a>" % text),
    client=st.sampled_from((b"10.0.0.1", b"192.0.2.1")),
)


def written(number: int, rule: tuple[int, list[tuple[str, str, str]], str]) -> str:
    phase, links, action = rule
    lines = []
    for place, (variable, operator, transformations) in enumerate(links):
        actions = [] if place else [f"id:{number}", f"phase:{phase}", action, "log"]
        actions += [transformations, *(["chain"] if place < len(links) - 1 else [])]
        lines.append(f'SecRule {variable} "{operator}" "{",".join(actions)}"')
    return "\n".join(lines)


@given(st.lists(RULE, min_size=1, max_size=4), st.lists(REQUESTS, min_size=1, max_size=6))
@settings(max_examples=300, deadline=None)
def test_whatever_the_rules_a_clear_head_is_one_that_no_rule_matches(some: Any, requests: list[Request]) -> None:
    ours = rules(*(written(number, one) for number, one in enumerate(some, 1)))
    glance = ours.glance
    for request in requests if glance is not None else ():
        assert glance is not None
        found = glance.of_head(request)
        if found is None:
            continue
        head = ours.begin(request)
        head.head()
        assert not head.matches
        head.body(b"")
        assert not head.matches
        assert head.verdict.allowed

        told = ours.begin(request, found=found)
        told.head()
        told.body(request.body)
        asked = ours.begin(request)
        asked.head()
        asked.body(request.body)
        assert told.outcome() == asked.outcome()


AWAITED = {
    'SecRule REQUEST_BODY "@contains evil" "id:1,phase:2,deny,chain"\nSecRule REQUEST_HEADERS:X-One "@streq on"': True,
    'SecRule REQUEST_HEADERS:X-One "@streq on" "id:1,phase:2,deny,chain"\nSecRule REQUEST_BODY "@contains evil"': True,
    'SecRule REQUEST_BODY "@contains evil" "id:1,phase:2,deny"': False,
    'SecRule REQUEST_BODY "@contains evil" "id:1,phase:2,deny,chain"\nSecRule ARGS "@contains on"': False,
    'SecRule REQUEST_BODY "@contains evil" "id:1,phase:2,deny,chain"\nSecRule TIME_HOUR "@ge 0"': False,
}


@pytest.mark.parametrize("text", AWAITED)
def test_a_part_is_scanned_only_if_the_head_leaves_a_rule_that_looks_at_it(text: str) -> None:
    rules = RuleSet.parse(f"SecRuleEngine On\nSecRequestBodyAccess On\n{text}")
    for value in ("on", "off"):
        for body in (b"q=evil&a=on", b"q=good&a=on"):
            headers = [("X-One", value), ("Content-Type", "application/x-www-form-urlencoded")]
            refused = not rules.inspect(method="POST", headers=headers, body=body).verdict.allowed
            assert refused == (b"evil" in body and (value == "on" or not AWAITED[text]))
    shortcuts = rules._plan.shortcuts
    assert shortcuts is not None
    assert bool(next(part for part in shortcuts.prefilter.parts if part.name == "body").awaited) == AWAITED[text]
