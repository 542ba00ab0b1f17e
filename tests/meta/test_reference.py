"""The reference pages are what the code says, and every fact has its line."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from bsguard.core import wire
from bsguard.core.codes import CODES
from bsguard.core.config import PROBLEMS, info_of
from bsguard.core.events import EVENTS
from docs import generate
from tests.meta.support import GENERATED, RULES, SETTINGS, first_cells, tables

# How many there are at least: a table that lost its rows would otherwise agree with an empty page.
COUNTED = {
    "settings": (SETTINGS, 41),
    "rules": (RULES, 54),
    "codes": (CODES, 25),
    "events": (EVENTS, 10),
    "problems": (PROBLEMS, 5),
    "servers": (wire.TABLE, 10),
}

WRITTEN = generate.pages()


@pytest.mark.parametrize(("table", "least"), COUNTED.values(), ids=COUNTED)
def test_no_table_has_shrunk(table: object, least: int) -> None:
    assert len(table) >= least


@pytest.mark.parametrize("name", WRITTEN)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (GENERATED / name).read_text(encoding="utf-8") == WRITTEN[name], "run ./run docs"


def test_all_reference_pages_are_generated() -> None:
    assert sorted(WRITTEN) == sorted(path.name for path in GENERATED.glob("*.md"))
    assert len(WRITTEN) >= 5


NAMED = {
    "settings.md": [*SETTINGS, *PROBLEMS],
    "codes.md": [code.id for code in CODES],
    "rules.md": list(RULES),
    "servers.md": list(wire.TABLE),
}


@pytest.mark.parametrize(("page", "expected"), NAMED.items(), ids=NAMED)
def test_every_name_has_exactly_one_line(page: str, expected: list[str]) -> None:
    assert Counter(first_cells(GENERATED / page)) == Counter(expected)


def test_every_event_has_a_section_with_all_its_facts() -> None:
    page = GENERATED / "events.md"
    sections = [line[4:-1] for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("## `")]
    facts = [[row[0].strip("`") for row in table] for table in tables(page)]

    assert sections == [event.name for event in EVENTS]
    assert facts == [[field.name for field in dataclasses.fields(event)] for event in EVENTS]


@pytest.mark.parametrize("page", NAMED)
def test_no_line_leaves_its_meaning_open(page: str) -> None:
    empty = [row[0] for table in tables(GENERATED / page) for row in table if not row[-1]]

    assert empty == []


def test_every_setting_says_what_it_is_in_sentences() -> None:
    wrong = [name for name, field in SETTINGS.items() if not info_of(field).doc.rstrip().endswith((".", "`."))]

    assert wrong == []


@pytest.mark.parametrize("said", [*RULES.items(), *((code.id, code.when) for code in CODES)], ids=lambda said: said[0])
def test_every_rule_and_code_says_when_in_sentences(said: tuple[str, str]) -> None:
    _, meaning = said

    assert meaning.endswith(".")
    assert meaning[0].isupper()


def test_ids_of_codes_are_unique_and_sorted() -> None:
    ids = [code.id for code in CODES]

    assert ids == sorted(set(ids))
