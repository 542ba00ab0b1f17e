"""The JSON-Schema-Test-Suite for draft 2020-12, through the translation and the validators that requests go through."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from bsguard.contract.load import Document
from bsguard.contract.schemas import Translator
from bsguard.contract.validators import Schemas, Validator
from tests.contract.support import DATA, needs

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs("jsonschema")

TESTS = DATA / "jsonschema" / "tests" / "draft2020-12"
REMOTES = DATA / "jsonschema" / "remotes"


def files(folder: str) -> list[Path]:
    return sorted((TESTS / folder).glob("*.json"))


@cache
def remotes() -> dict[str, Any]:
    folder = REMOTES / "draft2020-12"
    return {
        f"http://localhost:1234/{path.relative_to(REMOTES).as_posix()}": json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.json"))
    }


def validator(schema: Any, formats: bool) -> Validator:
    """The validator of a document that is the schema."""
    data = {"openapi": "3.1.0", **schema} if isinstance(schema, dict) else {"openapi": "3.1.0", "whole": schema}
    translator = Translator(Document("suite", data))
    name = translator.define("" if isinstance(schema, dict) else "/whole")
    return Schemas(translator.definitions, remotes=remotes(), formats=formats).of(name)


def judged(path: Path, formats: bool) -> tuple[int, list[str]]:
    """How many tests ran, and those whose verdict is wrong."""
    ran, wrong = 0, []
    for group in json.loads(path.read_text(encoding="utf-8")):
        made = validator(group["schema"], formats)
        for test in group["tests"]:
            ran += 1
            if made.is_valid(test["data"]) is not test["valid"]:
                wrong.append(f"{path.name}: {group['description']}: {test['description']}")
    return ran, wrong


def both(folder: str) -> tuple[int, list[str]]:
    # The suite's required tests want formats to be annotations; here they are assertions, as its optional tests want.
    found = [judged(path, folder != ".") for path in files(folder)]
    return sum(ran for ran, _ in found), [one for _, wrong in found for one in wrong]


def test_all_required_tests_pass() -> None:
    ran, wrong = both(".")

    assert wrong == []
    assert ran == 1299


def test_all_format_tests_pass() -> None:
    ran, wrong = both("optional/format")

    assert wrong == []
    assert ran == 764


@pytest.mark.parametrize("folder", [".", "optional/format"])
def test_errors_are_found_where_the_verdict_is_invalid(folder: str) -> None:
    looked = 0
    for path in files(folder):
        for group in json.loads(path.read_text(encoding="utf-8")):
            made = validator(group["schema"], folder != ".")
            for test in group["tests"]:
                if not test["valid"]:
                    looked += 1
                    assert made.errors(test["data"]), (path.name, test["description"])

    assert looked > 300
