"""The prefilter only saves work: with it, without it and in every tier the same rules match on the same things."""

from __future__ import annotations

import gc
import random
import re
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsguard.seclang import Request, RuleSet
from bsguard.seclang.folding import fold
from bsguard.seclang.parser import parse
from bsguard.seclang.patterns import translate
from bsguard.seclang.prefilter.literals import needed
from bsguard.seclang.prefilter.needles import needle_of
from bsguard.seclang.prefilter.recall import Recall, digest
from bsguard.seclang.prefilter.scanners import TIERS, LiteralScanner, SingleScanner, available
from tests.seclang import crs

if TYPE_CHECKING:
    from collections.abc import Sequence


def samples(source: str, count: int, seed: int) -> list[bytes]:
    """Texts that *source* matches, made by Hypothesis, and mutations of them."""
    strategy = st.from_regex(re.compile(source.encode("latin-1"), re.DOTALL))
    found: list[bytes] = []

    @given(strategy)
    @settings(max_examples=count, deadline=None, database=None, derandomize=True)
    def collect(text: bytes) -> None:
        found.append(text)

    collect()
    return found


NEEDED = {
    "abc": [{b"abc"}],
    "(?i)A(?:b|CD)e": [{b"abe", b"acde"}],
    "ab?c": [],
    "ab*cde": [{b"cde"}],
    "ab+c.*xyz": [{b"xyz"}],
    "(?:ab|c.)def": [{b"def"}],
    "(?:abc|de.fg.*hij)": [{b"abc", b"hij"}],
    r"\$\{[a-z]{2,}\}": [{b"${"}, {b"}"}],
    r"\x3cSCRIPT\b": [{b"<script"}],
    "[a-z]+": [],
    "(?=abc)": [],
    r"(abc)\1": [],
    "abc|.": [],
    "x{3}": [{b"xxx"}],
    "[^a]bcd": [{b"bcd"}],
    "(?:abc)?": [],
    "^$": [],
    r"a\.b*\{": [{b"{"}, {b"a."}],
    r"'x*(?:top|self)": [{b"top", b"self"}, {b"'"}],
    r"(?:/x*\[|\?\?)": [{b"[", b"??"}, {b"/", b"??"}],
    r"(?:;\s*cmd\s|\|x*run|`)": [
        {b"cmd\t", b"cmd\n", b"cmd\x0b", b"cmd\x0c", b"cmd\r", b"cmd ", b"|", b"`"},
        {b";", b"run", b"`"},
    ],
}


@pytest.mark.parametrize("pattern", NEEDED)
def test_needed_literals(pattern: str) -> None:
    assert [set(found) for found in needed(translate(pattern))] == NEEDED[pattern]


@pytest.mark.parametrize("pattern", [one for one in NEEDED if NEEDED[one]])
def test_what_matches_holds_what_is_needed(pattern: str) -> None:
    texts = samples(pattern, 60, 1)

    assert texts
    for text in texts:
        for found in needed(translate(pattern)):
            assert any(literal in text.lower() for literal in found), (text, found)


def requests(count: int, seed: int) -> Sequence[Request]:
    """Requests of the rule set's own tests, evenly spread, some of them cut and pasted together."""
    cases = crs.cases()
    chance = random.Random(seed)
    found = [stage.request for case in chance.sample(cases, count) for stage in case.stages]
    for _ in range(count // 4):
        first, second = chance.choice(cases).stages[0].request, chance.choice(cases).stages[0].request
        body = first.body[: chance.randrange(len(first.body) + 1)] + second.body
        found.append(Request(first.method, second.target, first.headers, body, b"HTTP/1.1", b"127.0.0.1"))
    return found


needs_rules = pytest.mark.skipif(not crs.CRS.is_dir(), reason=f"needs the Core Rule Set in {crs.CRS}")


@needs_rules
@pytest.mark.parametrize("level", [1, 4])
def test_tiers_agree(level: int) -> None:
    program = crs.rule_set(level).program
    plain = RuleSet(program, tier="re")
    others = {tier: RuleSet(program, tier=tier) for tier in TIERS[: TIERS.index("re")]}
    matched = 0
    for request in requests(100, level):
        expected = plain.judge(request)
        matched += len(expected.matches)
        for tier, rules in others.items():
            assert rules.judge(request) == expected, (tier, request)

    assert others
    assert matched > 100


@needs_rules
@pytest.mark.long
def test_tiers_agree_on_every_test() -> None:
    program = crs.rule_set().program
    first, second = RuleSet(program, tier="re"), RuleSet(program, tier="literals")
    for case in crs.cases():
        for stage in case.stages:
            expected = first.judge(stage.request, stage.response)

            assert second.judge(stage.request, stage.response) == expected, case.name


@needs_rules
def test_few_rules_have_no_needle() -> None:
    """What the prefilter is worth: of the detection rules of level 1, nearly all wait for something to occur."""
    rules = fold(crs.rule_set(1, "On", plain=True).program).program.rules
    waiting = [rule for rule in rules if rule.phase in (1, 2) and needle_of(rule.links[0])]

    assert len(waiting) >= 130


NO_NEEDLE = {
    "negation": 'SecRule ARGS "!@rx abc" "id:1"',
    "empty match": 'SecRule ARGS "@rx (?:abc)?" "id:1"',
    "end of value": r'SecRule ARGS "@rx abc\z" "id:1"',
    "no word boundary": r'SecRule ARGS "@rx \Babc" "id:1"',
    "look-ahead": 'SecRule ARGS "@rx abc(?!d)" "id:1"',
    "digest": 'SecRule ARGS "@rx abc" "id:1,t:sha1,t:hexEncode"',
    "macro": 'SecRule ARGS "@contains %{tx.a}" "id:1"',
    "number": 'SecRule ARGS "@gt 5" "id:1"',
    "action": 'SecAction "id:1"',
}


@pytest.mark.parametrize("name", NO_NEEDLE)
def test_links_without_a_needle(name: str) -> None:
    assert needle_of(parse(NO_NEEDLE[name]).rules[0].links[0]) is None


def test_scanners_find_what_is_wanted() -> None:
    sought: list[tuple[str | bytes, int]] = [("a.c[0-9]", 1), (b"Phrase", 2), ("[a-z]", 4), ("\n", 8)]
    many = [*sought, *((f"z{number}q+", 16 << number) for number in range(8))]
    everything = (1 << 12) - 1
    for scanner, wanted in (
        (LiteralScanner(sought), 15),
        (LiteralScanner(many), everything),
        (SingleScanner(many), 15),
    ):
        assert scanner.scan(b"xABC5", wanted) == 5
        assert scanner.scan(b"my pHRASE", wanted) == 6
        assert scanner.scan(b"my pHRASE", 2) == 2
        assert scanner.scan(b"123", wanted) == 0
        assert scanner.scan(b"1\n2", wanted) == 8

    assert LiteralScanner(many).scan(b"1\n2 z3qq", everything, newlines=False) == 4 | 16 << 3


HEADERS_TOO = {
    "the header": (b"abc", b"", (1,)),
    "the argument": (b"x", b"ABC", (1,)),
    "both": (b"Abc", b"abc", (1,)),
    "neither": (b"x", b"ab", ()),
}


@pytest.mark.parametrize("name", HEADERS_TOO)
def test_rules_on_headers_and_arguments(name: str) -> None:
    header, argument, wanted = HEADERS_TOO[name]
    rules = parse('SecRule REQUEST_HEADERS:X-A|ARGS "@rx abc" "id:1,phase:2,t:lowercase"')
    request = Request(target=b"/?q=" + argument, headers=((b"X-B", b"abc"), (b"x-a", header)))
    found = RuleSet(rules).judge(request)

    assert found.rule_ids == wanted
    assert found.matches == RuleSet(rules, tier="re").judge(request).matches


def test_the_best_tier_is_taken() -> None:
    assert available() == "literals"


FOLDED = {
    "set-up and gate": (
        'SecAction "id:1,phase:1,nolog,setvar:tx.level=1"\n'
        'SecRule &TX:max "@eq 0" "id:2,phase:1,nolog,setvar:tx.max=5"\n'
        'SecRule TX:LEVEL "@lt 2" "id:3,phase:2,nolog,skipAfter:END"\n'
        'SecRule ARGS x "id:4"\nSecMarker END\nSecRule ARGS y "id:5"',
        {5},
        {b"level": b"1", b"max": b"5"},
    ),
    "what a request writes is not known": (
        'SecRule ARGS x "id:1,phase:1,nolog,setvar:tx.a=1"\nSecRule TX:a "@eq 1" "id:2,nolog,setvar:tx.b=1"',
        {1, 2},
        {},
    ),
    "names made of values are not known": (
        'SecRule ARGS x "id:1,phase:1,nolog,setvar:tx.n_%{MATCHED_VAR}=1"\n'
        'SecRule TX:n_x "@eq 1" "id:2,nolog"\n'
        'SecRule TX:m "@eq 1" "id:3,nolog"',
        {1, 2},
        {},
    ),
    "set after it was read": (
        'SecRule ARGS "@gt %{tx.a}" "id:1,phase:1"\nSecAction "id:2,phase:2,nolog,setvar:tx.a=7"',
        {1, 2},
        {},
    ),
    "jumped over by a request": (
        'SecRule ARGS x "id:1,phase:1,nolog,skipAfter:END"\n'
        'SecAction "id:2,phase:1,nolog,setvar:tx.a=1"\nSecMarker END',
        {1, 2},
        {},
    ),
    "what is reported stays": (
        'SecAction "id:1,phase:1"\nSecRule &TX:a "@eq 0" "id:2,phase:1,nolog,deny"',
        {1, 2},
        {},
    ),
    "chain that cannot begin": (
        'SecRule &TX:a "@eq 1" "id:1,chain,nolog"\nSecRule ARGS x "setvar:tx.b=1"\nSecRule &TX:b "@eq 0" "id:2,nolog"',
        set(),
        {},
    ),
    "phases that may not run set nothing before": ('SecAction "id:1,phase:3,nolog,setvar:tx.a=1"', {1}, {}),
}


@pytest.mark.parametrize("name", FOLDED)
def test_folding(name: str) -> None:
    text, left, initial = FOLDED[name]
    folded = fold(parse(text))

    assert {rule.id for rule in folded.program.rules} == left
    assert folded.initial == initial


UNFILTERED = {
    "a word in arguments": ('SecRule ARGS "@rx abc" "id:1"', ""),
    "a negation in arguments": ('SecRule ARGS "!@rx abc" "id:1"', "!@rx abc on ARGS"),
    "a negation in a header": ('SecRule REQUEST_HEADERS:A "!@rx abc" "id:1"', ""),
    "a number of headers": ('SecRule &REQUEST_HEADERS:A "!@eq 1" "id:1"', ""),
    "TX": ('SecRule TX:a|ARGS "@rx abc" "id:1"\nSecAction "id:2,phase:1,setvar:tx.a=%{ARGS.a}"', "@rx abc on TX"),
    "a chain with one link that waits": ('SecRule ARGS "@gt 1" "id:1,chain"\nSecRule ARGS_NAMES "@rx abc"', ""),
    "a link that changes something": (
        'SecRule ARGS "@gt 1" "id:1,setvar:tx.a=1,chain"\nSecRule ARGS_NAMES "@rx abc"',
        "@gt 1 on ARGS",
    ),
}


@pytest.mark.parametrize("name", UNFILTERED)
def test_rules_that_nothing_is_found_for_are_named(name: str) -> None:
    text, reason = UNFILTERED[name]

    assert RuleSet.parse(text).unfiltered.get(1, "") == reason


def test_the_slowest_tier_evaluates_every_rule() -> None:
    assert RuleSet(parse('SecRule ARGS "@rx abc" "id:1"'), tier="re").unfiltered.keys() == {1}


def test_what_is_remembered_is_bounded() -> None:
    memory = Recall[int](3)
    for number in range(100):
        memory.put(number, number)
        assert memory.get(number) == number

    assert memory.get(0) is None
    assert sum(memory.get(number) is not None for number in range(100)) <= 6
    assert len(digest(b"x" * 1000)) == 16
    assert digest(b"x" * 1000) != digest(b"x" * 999)


@needs_rules
def test_nearly_no_rule_of_the_rule_set_is_evaluated_for_every_request() -> None:
    rules = crs.rule_set(1, "On", plain=True)
    of_requests = [rule.id for rule in rules.program.rules if rule.phase in (1, 2) and rule.id in rules.unfiltered]

    assert len(of_requests) <= 6


def test_a_header_with_a_long_name_takes_no_more_memory_than_another() -> None:
    rules = RuleSet.parse(
        'SecRule REQUEST_HEADERS "@rx attack" "id:1,phase:1,deny"\n'
        'SecRule REQUEST_HEADERS_NAMES "@rx evil" "id:2,phase:1,deny"'
    )
    for number in range(20):
        rules.inspect(headers=((f"X-{number}-" + "a" * 60_000, "1"),))
    tracemalloc.start()
    for number in range(20):
        rules.inspect(headers=((f"Y-{number}-" + "a" * 60_000, "1"),))
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 300_000


def test_what_no_scan_has_looked_at_is_not_taken_for_idle() -> None:
    rules = parse('SecRule ARGS "@rx abc" "id:1,phase:2"\nSecRule ARGS "!@rx ^[a-z]*$" "id:2,phase:2,t:unwrap"')
    request = Request(target=b"/?q=%2561bc")  # once decoded, %61bc: the second rule sees letters only

    assert RuleSet(rules).judge(request) == RuleSet(rules, tier="re").judge(request)
    assert RuleSet(rules).judge(request).rule_ids == ()
