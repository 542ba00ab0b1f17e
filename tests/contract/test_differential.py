"""The plan against openapi-core over random requests to three documents: disagreements have reasons on a short list."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from bsguard.contract.compiler import compile_document
from bsguard.contract.config import ContractConfig
from bsguard.contract.judge import Judge
from bsguard.contract.load import load
from bsguard.contract.reference import Reference
from bsguard.core.request import Request
from bsguard.core.settings import Settings
from bsguard.testing import environ
from tests.contract.generate import Maker, request
from tests.contract.support import DATA, OURS, needs

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from bsguard.contract.violations import Violation

DOCUMENTS = {"ours": OURS, "box": DATA / "openapi/box/openapi.json", "openai": DATA / "openapi/openai/openapi.json"}

#: Rules about what openapi-core does not look at.
OUR_OWN = {"contract.security", "contract.parameter.undeclared", "contract.parameter.duplicate"}

#: Text that Python reads as a number, and JSON does not.
_PYTHON_NUMBER = re.compile(r"\s*[+-]?[\d_]+(\.\d*)?([eE][+-]?\d+)?\s*|\s*[+-]?(nan|inf)\s*", re.IGNORECASE)
_PYTHON_BOOLEAN = {"yes", "no", "on", "off", "1", "0", "t", "f", "y", "n", "True", "False", "TRUE", "FALSE"}


@dataclass(frozen=True)
class Disagreement:
    """One request that the engines judge differently."""

    facts: dict[str, Any]
    ours: list[Violation]
    theirs: list[Violation]

    @property
    def texts(self) -> list[str]:
        """The texts of parameters: those of the query, and the last segment of the path."""
        url = urlsplit(self.facts["target"])
        return [text for _, text in parse_qsl(url.query, keep_blank_values=True)] + [
            unquote(url.path.rpartition("/")[2])
        ]

    def only(self, *places: str) -> bool:
        """Whether the plan alone refuses, and these are the places."""
        return bool(self.ours) and {one.place for one in self.ours} <= set(places)


def _numbers(one: Disagreement) -> bool:
    return one.only("query", "path", "header") and any(_PYTHON_NUMBER.fullmatch(text) for text in one.texts)


def _booleans(one: Disagreement) -> bool:
    return one.only("query") and not _PYTHON_BOOLEAN.isdisjoint(one.texts)


def _commas(one: Disagreement) -> bool:
    return one.only("query") and "%2C" in one.facts["target"]


def _empty_numbers(one: Disagreement) -> bool:
    return one.only("query") and "" in one.texts and {found.keyword for found in one.ours} == {"type"}


def _line_breaks(one: Disagreement) -> bool:
    sent = one.facts["target"] + one.facts["body"].decode()
    return {found.keyword for found in one.ours} <= {"pattern", "format"} and ("%0A" in sent or "\\n" in sent)


def _empty_texts(one: Disagreement) -> bool:
    return not one.ours and "" in one.texts and {found.place for found in one.theirs} == {"query"}


def _json_types(one: Disagreement) -> bool:
    return not one.ours and "+json" in one.facts["headers"].get("Content-Type", "")


#: Everything that the engines may disagree about.
REASONS = {
    "Python's int and float read more than JSON's numbers: signs, zeros, spaces, underscores, NaN": _numbers,
    "openapi-core reads yes, on and 1 as true": _booleans,
    "openapi-core splits a list at an escaped comma, which is part of a value": _commas,
    "openapi-core passes over an empty text where a number is wanted": _empty_numbers,
    "openapi-core refuses an empty text without allowEmptyValue; here the schema decides": _empty_texts,
    "Python's $ matches before a final line break": _line_breaks,
    "openapi-core leaves bodies of +json types that it does not know as bytes, which are no JSON value": _json_types,
}


def reason(one: Disagreement) -> str:
    """Why the engines may disagree about this request; empty if there is no reason that we know."""
    return next((text for text, applies in REASONS.items() if applies(one)), "")


def compare(path: Path, count: int, seed: int) -> tuple[Counter[str], list[str]]:
    """How many requests agreed, or why they did not, and those without a known reason."""
    compiled = compile_document(load(path))
    judge, reference, settings = Judge(compiled, ContractConfig()), Reference(compiled.document), Settings()
    maker = Maker(compiled.document.data, Random(seed))
    operations = [one for one in compiled.operations if not one.reference and "#" not in one.template]
    counts: Counter[str] = Counter()
    unexplained: list[str] = []
    index = 0
    while counts.total() < count:
        operation = operations[index % len(operations)]
        index += 1
        facts = request(maker, compiled, operation)
        if facts is None:
            continue
        made = environ(facts["method"], facts["target"], headers=facts["headers"], body=facts["body"])
        seen, _ = Request.of(made, settings)
        found = (mount.router.find(seen.path_native) for mount in compiled.mounts)
        taken = next((one[1] for one in found if one and one[0].operations.get(operation.method) is operation), None)
        if taken is None:
            continue  # the random path belongs to another operation, or to none
        head, _ = judge.head(operation, seen, taken)
        if {one.rule for one in head} & (OUR_OWN - {"contract.security"}):
            continue
        ours = [one for one in head + judge.body(operation, seen) if one.rule not in OUR_OWN]
        theirs = reference.judge(operation, seen, taken)
        if bool(ours) == bool(theirs):
            counts["refused by both" if ours else "passed by both"] += 1
            continue
        one = Disagreement(facts, ours, theirs)
        why = reason(one)
        counts[why or "unexplained"] += 1
        if not why:
            unexplained.append(f"{operation.id}: {facts} ours: {ours} theirs: {theirs}")
    return counts, unexplained


def held(name: str, count: int, seed: int) -> Counter[str]:
    counts, unexplained = compare(DOCUMENTS[name], count, seed)

    assert unexplained == []
    assert counts.total() == count
    assert counts["passed by both"] > count / 5
    assert counts["refused by both"] > count / 10
    return counts


@needs("openapi")
@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_engines_agree_but_for_reasons_that_are_known(name: str) -> None:
    held(name, 500, seed=1)


@needs("openapi")
@pytest.mark.long
@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_engines_agree_over_many_requests(name: str) -> None:
    counts = held(name, 7_000, seed=2)

    assert counts["passed by both"] + counts["refused by both"] > 0.97 * 7_000
