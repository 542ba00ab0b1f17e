"""What must hold for any request, and that each of these properties notices when its check is switched off."""

from __future__ import annotations

import json
import string
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsguard.contract import judge, routing, schemas, validators, values
from bsguard.contract.judge import Judge
from tests.contract.support import Guarded, operation, query, spec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JSON = {"Content-Type": "application/json"}
BODY = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "readOnly": True},
        "name": {"type": "string", "pattern": "^[a-z]*$"},
        "when": {"type": "string", "format": "date"},
        "n": {"type": "integer", "format": "int32"},
    },
}
DOCUMENT = spec(
    {
        "/x": {
            "get": operation(query("a", {"type": "integer"}), query("b", {"type": "string"})),
            "post": operation(body=BODY),
        },
        "/x/{id}": {"get": operation({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}})},
        "/secured": {"get": operation(security=[{"token": []}])},
    },
    components={"securitySchemes": {"token": {"type": "oauth2", "flows": {}}}},
)
NAMES = st.text(string.ascii_letters + "_[]", min_size=1, max_size=8).filter(lambda name: name not in ("a", "b"))
TEXTS = st.text(string.ascii_letters + string.digits, max_size=5)


def refused(guarded: Guarded, *request: Any, rule: str, **facts: Any) -> None:
    answer = guarded.ask(*request, **facts)
    assert rule in guarded.rules(), (request, answer.status)
    assert answer.status >= 400


def posted(guarded: Guarded, body: Any) -> None:
    refused(guarded, "POST", "/x", headers=JSON, body=json.dumps(body).encode(), rule="contract.body.invalid")


def undeclared(guarded: Guarded, name: str, text: str) -> None:
    refused(guarded, "GET", f"/x?{name}={text}", rule="contract.parameter.undeclared")


def doubled(guarded: Guarded, name: str, text: str) -> None:
    refused(guarded, "GET", f"/x?b={text}&c={name}&b={name}", rule="contract.parameter.duplicate")


def read_only(guarded: Guarded, name: str, text: str) -> None:
    posted(guarded, {"name": "", "id": name + text})


def line_break(guarded: Guarded, name: str, text: str) -> None:
    posted(guarded, {"name": "abc\n"})


def no_date(guarded: Guarded, name: str, text: str) -> None:
    posted(guarded, {"when": text})


def too_large(guarded: Guarded, name: str, text: str) -> None:
    posted(guarded, {"n": 2**31 + len(text)})


def no_credential(guarded: Guarded, name: str, text: str) -> None:
    refused(guarded, "GET", "/secured", rule="contract.security")


def odd_number(guarded: Guarded, name: str, text: str) -> None:
    for number in ("+7", "07", "1_0", "%207", "NaN"):
        refused(guarded, "GET", f"/x?a={number}", rule="contract.parameter.invalid")


def empty_segment(guarded: Guarded, name: str, text: str) -> None:
    refused(guarded, "GET", "/x/", rule="contract.endpoint")


def other_type(guarded: Guarded, name: str, text: str) -> None:
    refused(guarded, "POST", "/x", headers={"Content-Type": "text/plain"}, body=b"{}", rule="contract.media-type")


def _no_directions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(schemas.Translator, "_directions", lambda *_: None)


def _no_others(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Judge, "_others", lambda *_: None)


def _last_copy(patch: pytest.MonkeyPatch) -> None:
    before = judge._by_name
    patch.setattr(judge, "_by_name", lambda *some: {name: texts[-1:] for name, texts in before(*some).items()})


def _no_patterns(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(schemas, "_PLAIN", schemas._PLAIN - {"pattern"})


def _no_formats(patch: pytest.MonkeyPatch) -> None:
    before = validators._fast
    patch.setattr(validators, "_fast", lambda whole, remotes, _formats: before(whole, remotes, False))


def _no_bounds(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(schemas, "_INTEGER_BOUNDS", {})


def _no_security(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(judge, "_has_credentials", lambda *_: True)


def _python_numbers(patch: pytest.MonkeyPatch) -> None:
    def number(text: str, fractions: bool) -> float | int | None:
        try:
            return float(text) if fractions else int(text)
        except ValueError:
            return None

    patch.setattr(values, "_number", number)


def _empty_values(patch: pytest.MonkeyPatch) -> None:
    before = routing._search

    def search(node: Any, segments: list[str], index: int, taken: tuple[str, ...]) -> Any:
        return before(node, [segment or "-" for segment in segments], index, taken)

    patch.setattr(routing, "_search", search)


def _any_type(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(judge, "body_of", lambda operation, _request: (operation.bodies or (None,))[0])


#: What must hold, and the change to the code that it must notice.
MUTANTS: dict[str, tuple[Callable[[Guarded, str, str], None], Callable[[pytest.MonkeyPatch], None]]] = {
    "undeclared parameters are refused": (undeclared, _no_others),
    "second copies are refused": (doubled, _last_copy),
    "read-only properties are refused": (read_only, _no_directions),
    "patterns hold to the very end": (line_break, _no_patterns),
    "formats are checked": (no_date, _no_formats),
    "integers keep to their size": (too_large, _no_bounds),
    "credentials are needed": (no_credential, _no_security),
    "numbers are those of JSON": (odd_number, _python_numbers),
    "segments are not empty": (empty_segment, _empty_values),
    "media types are declared": (other_type, _any_type),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_property_holds(name: str, tmp_path: Path) -> None:
    check, _ = MUTANTS[name]
    guarded = Guarded(tmp_path, DOCUMENT, FALLTHROUGH="block")

    @settings(max_examples=40, deadline=None, database=None)
    @given(NAMES, TEXTS)
    def holds(one: str, text: str) -> None:
        check(guarded, one, text)

    holds()


@pytest.mark.parametrize("name", MUTANTS)
def test_the_property_notices_that_its_check_is_gone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, mutate = MUTANTS[name]
    mutate(monkeypatch)
    guarded = Guarded(tmp_path, DOCUMENT, FALLTHROUGH="block")

    with pytest.raises(AssertionError):
        check(guarded, "name", "text")


def test_the_table_is_whole() -> None:
    assert len(MUTANTS) == 10
