"""Where paths lead: the order of templates, texts around parameters, and what a hostile path costs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsguard.contract.routing import Router
from tests.contract.support import Guarded, operation, spec

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATES = ("/{a}.json", "/{a}-{b}", "/x{a}y", "/{a}{b}", "/{a}-{b}-{c}.json", "/v{a}.{b}")


def by_backtracking(template: str, path: str) -> tuple[str, ...] | None:
    """What the template takes of the path, found the slow way."""
    pattern = "(.+?)".join(re.escape(text) for text in re.split(r"\{[^}]*\}", template))
    match = re.fullmatch(pattern, path, re.DOTALL)
    return match.groups() if match else None


@pytest.mark.parametrize("template", TEMPLATES)
def test_texts_around_parameters_are_found_as_by_backtracking(template: str) -> None:
    router: Router[str] = Router()
    router.add(template, template)

    @settings(max_examples=300, deadline=None, database=None)
    @given(st.text("ab-.xyv\n", max_size=12) | st.text("-.json", max_size=12).map("{}.json".format))
    def same(segment: str) -> None:
        found = router.find(f"/{segment}")
        assert (found[1] if found else None) == by_backtracking(template, f"/{segment}")

    same()
    assert router.find(re.sub(r"\{[^}]*\}", "q", template)) is not None


def test_a_segment_with_many_parameters_costs_no_more_than_its_length() -> None:
    """With one regular expression for it, this path would take a minute."""
    template = "/" + "-".join(f"{{p{index}}}" for index in range(8)) + ".json"
    router: Router[str] = Router()
    router.add(template, template)

    assert router.find("/" + "-" * 60_000 + "y") is None
    found = router.find("/" + "-" * 60_000 + ".json")
    assert found is not None
    assert sum(map(len, found[1])) == 60_000 - 7


def test_many_slashes_cost_nothing(tmp_path: Path) -> None:
    declared = [{"name": name, "in": "path", "required": True, "schema": {}} for name in ("a", "b")]
    guarded = Guarded(tmp_path, spec({"/v1/{a}/x/{b}": {"get": operation(*declared)}}), FALLTHROUGH="block")

    for path in ("/v1" + "/" * 50_000, "/" * 50_000 + "v1/a/x/b", "/v1/" + "a/x/" * 10_000):
        assert guarded.ask("GET", "/", PATH_INFO=path).status in (200, 404)


PATHS = {
    "/items": {"get": operation()},
    "/items/{id}": {
        "get": operation(
            {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[^/]*$"}}
        )
    },
}
#: Targets as they stand on the wire, with status and rule.
TARGETS: list[tuple[str, int, list[str]]] = [
    ("/items/a", 200, []),
    ("/items/a%2Fb", 404, ["contract.endpoint"]),
    ("/items/a%252Fb", 200, []),
    ("/items%2Fa", 200, []),
    ("/items/", 404, ["contract.endpoint"]),
    ("/items//", 404, ["contract.endpoint"]),
    ("//items", 200, []),
    ("/items//a", 404, ["contract.endpoint"]),
    ("/items/a/", 404, ["contract.endpoint"]),
    ("/items%0A", 404, ["contract.endpoint"]),
    ("/items/%FF", 400, ["contract.parameter.invalid"]),
    ("/items/%C0%AF", 400, ["contract.parameter.invalid"]),
    ("/items/..", 200, []),
    ("/items;a=b", 404, ["contract.endpoint"]),
    ("/ITEMS", 404, ["contract.endpoint"]),
    ("/items/%C3%A9", 200, []),
    ("/items?", 200, []),
    ("/items?&&", 200, []),
    ("/items?=", 400, ["contract.parameter.undeclared"]),
]


@pytest.mark.parametrize(("target", "status", "rules"), TARGETS)
def test_odd_targets(target: str, status: int, rules: list[str], tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, spec(PATHS), FALLTHROUGH="block", FALLTHROUGH_ACTIONS={"/**": "block"})

    assert (guarded.ask("GET", target).status, guarded.rules()) == (status, rules)
    assert len(TARGETS) == 19
