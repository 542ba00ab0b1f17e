"""Linear time: hard inputs, large enough to make a quadratic step last for minutes."""

from __future__ import annotations

import dataclasses
import json

import pytest

from bsguard.seclang import RuleSet, compiler
from bsguard.seclang.prefilter import chains
from bsguard.seclang.script_injection import find_script_injection
from bsguard.seclang.sql_injection import find_sql_injection
from bsguard.seclang.transforms import TRANSFORMS
from bsguard.seclang.transforms_unwrap import may_be_wrapped, unwrap
from bsguard.waf.catalogue import program
from tests.seclang.bounded import ends, filled
from tests.waf.corpus.attacks import CLASSES, payloads
from tests.waf.corpus.places import post
from tests.waf.judge import judged

UNITS = (
    b" ",
    b"'",
    b"'a",
    b'"',
    b"${",
    b"{{",
    b"((",
    b"; cat ",
    b"<a ",
    b"<a b=",
    b"../",
    b"..x/",
    b"%25",
    b"%",
    b"&#x26;",
    b"&amp",
    b"\\u0027",
    b"+A",
    b"+ADw-",
    b"select ",
    b"union ",
    b"or 1 ",
    b"1=1 ",
    b"/*",
    b"--",
    b"#\n",
    b"A",
    b"a/",
    b"a.",
    b"=w",
    b"[a",
    b"$a(",
    b"if ",
    b"for %a ",
    b"\xc0\xaf",
    b"\xef\xbc\x87",
    b"\x00",
    b"\n",
    b"\r\nto",
    b"://0",
    b"http://x?a=1&",
    b"json.",
    b"document ",
    b"<?",
    b"`id",
    b"::",
    b"!!",
)


@pytest.mark.parametrize("unit", UNITS, ids=repr)
def test_the_pieces_are_linear(unit: bytes) -> None:
    value = filled(unit)
    with ends(unit):
        unwrap(value)
        may_be_wrapped(value)
        find_sql_injection(value)
        find_script_injection(value)


@pytest.mark.parametrize("unit", UNITS, ids=repr)
def test_all_rules_together_are_linear(unit: bytes) -> None:
    text = filled(unit, 30_000).decode("latin-1")
    body = json.dumps({"q": text}).encode()[:120_000]
    with ends(unit):
        judged(post(body, b"application/json"))
        judged(post(filled(unit, 30_000), b"text/plain"))


def test_every_unit_was_tried() -> None:
    assert len(set(UNITS)) == 47


@pytest.mark.parametrize("unit", UNITS, ids=repr)
def test_taking_disguises_off_never_makes_a_value_longer_than_base64_of_it_could_be(unit: bytes) -> None:
    value = filled(unit, 5000)
    assert len(unwrap(value)) <= 3 * len(value)


def test_disguises_are_taken_off_a_value_once_and_not_for_every_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []

    def counted(value: bytes) -> bytes:
        lengths.append(len(value))
        return unwrap(value)

    for module in (compiler, chains):
        monkeypatch.setattr(module, "TRANSFORMS", {**TRANSFORMS, "unwrap": counted})
    options = dataclasses.replace(program().options, engine="DetectionOnly")
    rules = RuleSet(dataclasses.replace(program(), options=options))
    attack = b" ".join(payload.encode() for kind in CLASSES for payload in payloads(kind)[:3])
    for size in (20_000, 40_000):
        del lengths[:]
        body = attack + filled(b"&#x26;", size)
        seen = rules.judge(post(body, b"text/plain"))
        assert len(seen.matches) > 15
        # For what finds the rules, and for all that are found: the whole text, and what it is taken apart into.
        assert sum(lengths) < 3 * len(body)
