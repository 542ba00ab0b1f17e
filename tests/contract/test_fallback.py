"""Without jsonschema-rs: the same verdicts from jsonschema, over the same tables."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from bsguard.contract import validators
from bsguard.contract.validators import Schemas
from tests.contract.support import Guarded, needs
from tests.contract.test_explain import CIRCLE
from tests.contract.test_requests import ASKED, DOCUMENT
from tests.contract.test_suite import files, validator

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _without_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validators, "jsonschema_rs", None)


#: Files of the suite with groups that it gets wrong, or says it cannot compile.
FILES_APART = set(
    "dynamicRef.json unevaluatedItems.json vocabulary.json pattern.json patternProperties.json".split()  # noqa: SIM905
)
#: Where Python's jsonschema judges otherwise.
DIFFERENT = {
    "cents": "1.13 is no multiple of 0.01 in binary arithmetic",
}


def test_requests_get_the_same_rules(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, DOCUMENT, FALLTHROUGH="block")
    different = []
    for case, (asked, rules) in ASKED.items():
        guarded.ask(*asked[:2], headers=asked[2] if asked[2:] else {}, body=asked[3] if asked[3:] else b"")
        if guarded.rules() != rules:
            different.append(case)

    assert set(different) == set(DIFFERENT)


@needs("jsonschema")
def test_the_suite_passes_but_for_a_few(tmp_path: Path) -> None:
    ran, wrong = 0, []
    for path in files("."):
        for group in json.loads(path.read_text(encoding="utf-8")):
            try:
                made = validator(group["schema"], False)
            except validators.SchemaUnusable:
                wrong.append(f"{path.name}: {group['description']}: not compiled, and said so")
                ran += len(group["tests"])
                continue
            for test in group["tests"]:
                ran += 1
                if made.is_valid(test["data"]) is not test["valid"]:
                    wrong.append(f"{path.name}: {group['description']}: {test['description']}")

    assert ran == 1299
    assert {one.partition(":")[0] for one in wrong} <= FILES_APART
    assert len(wrong) <= 10


def test_it_starts_without_the_module(tmp_path: Path) -> None:
    (tmp_path / "api.json").write_text(json.dumps(DOCUMENT))
    code = (
        "import sys; sys.modules |= dict.fromkeys(('jsonschema_rs', 'msgspec', 'msgspec.json'))\n"
        "from bsguard import Contract, testing\n"
        "def app(environ, start_response):\n    start_response('200 OK', []); return [b'']\n"
        f"made = Contract(app, {{'DOCUMENTS': [{str(tmp_path / 'api.json')!r}], 'STRICT': False}})\n"
        "media = {'Content-Type': 'application/json'}\n"
        'for body in (b\'{"name": "a"}\', b\'{"name": "b"}\'):\n'
        "    print(testing.run(made, testing.environ('POST', '/items', headers=media, body=body)).status)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["200", "400"]


def test_a_schema_that_contains_itself_is_followed_once_for_each_part(monkeypatch: pytest.MonkeyPatch) -> None:
    followed: list[int] = []
    follow = jsonschema.Draft202012Validator.VALIDATORS["$ref"]

    def counted(*some: Any) -> Any:
        followed.append(1)
        return follow(*some)

    monkeypatch.setitem(jsonschema.Draft202012Validator.VALIDATORS, "$ref", counted)
    made = Schemas({"N": CIRCLE}).of("N")

    for opening, closing in (('{"c":', "}"), ("[", "]")):
        value = json.loads(opening * 30 + "3" + closing * 30)
        followed.clear()
        assert not made.is_valid(value)
        assert len(followed) == 31
        assert made.errors(value)
