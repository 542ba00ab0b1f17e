"""Every rule against the cases beside it: what sets it off, and the nearest honest texts, which set off nothing."""

from __future__ import annotations

import dataclasses
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from bsguard.seclang import Request, RuleSet
from bsguard.waf.catalogue import FOLDER, program, reported
from tests.waf.corpus.places import BOUNDARY, get, post

_CASES = Path(__file__).with_name("rules")
FIRES, PASSES = 411, 396


@lru_cache
def rules() -> RuleSet:
    """All rules, reporting only, so that each says for itself whether it matches."""
    known = program()
    return RuleSet(dataclasses.replace(known, options=dataclasses.replace(known.options, engine="DetectionOnly")))


def request_of(case: Any) -> Request:
    """The request that a case stands for."""
    if isinstance(case, str):
        return get(b"/v1/search?page=1&q=" + quote(case, safe="%").encode())
    headers = () if "header" not in case else ((case["header"][0].encode(), case["header"][1].encode()),)
    if "path" in case:
        return get(case["path"].encode())
    if "name" in case:
        return get(b"/v1/search?" + quote(case["name"], safe="[]").encode() + b"=1", *headers)
    if "json" in case:
        return post(case["json"].encode(), b"application/json")
    if "xml" in case:
        return post(case["xml"].encode(), b"application/xml")
    if "file" in case:
        head = f'Content-Disposition: form-data; name="upload"; filename="{case["file"]}"'.encode()
        body = b"--%s\r\n%s\r\n\r\nx\r\n--%s--\r\n" % (BOUNDARY, head, BOUNDARY)
        return post(body, b"multipart/form-data; boundary=" + BOUNDARY)
    return get(b"/v1/items", *headers)


def cases() -> list[tuple[int, bool, Any]]:
    """Rule, whether it fires, and what on."""
    found = []
    for path in sorted(_CASES.glob("*.toml")):
        for number, lists in tomllib.loads(path.read_text(encoding="utf-8")).items():
            found += [(int(number), True, case) for case in lists["fires"]]
            found += [(int(number), False, case) for case in lists["passes"]]
    return found


@pytest.mark.parametrize(("number", "fires", "case"), cases(), ids=lambda value: str(value)[:60])
def test_a_rule_fires_on_its_attack_and_nothing_does_on_honest_text(number: int, fires: bool, case: Any) -> None:
    seen = rules().judge(request_of(case))
    if fires:
        assert number in seen.rule_ids, seen.rule_ids
    else:
        assert [(match.rule_id, match.found) for match in seen.matches] == []
        assert not seen.body_error


def test_every_file_and_rule_has_its_cases() -> None:
    assert {path.stem for path in _CASES.glob("*.toml")} == {path.stem for path in FOLDER.glob("1*.conf")}
    known = {rule.id for rule in reported(program().rules)}
    found = cases()
    assert {number for number, fires, _ in found if fires} == known
    assert {number for number, fires, _ in found if not fires} == known
    assert (sum(fires for _, fires, _ in found), sum(not fires for _, fires, _ in found)) == (FIRES, PASSES)
