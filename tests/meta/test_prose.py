"""The form of the pages: one title, one sentence a line, nothing left over."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.meta.support import DOCS, GENERATED, ROOT, name_of, prose

if TYPE_CHECKING:
    from pathlib import Path

PAGES = {name_of(page): page for page in sorted(DOCS.rglob("*.md")) if page.parent != GENERATED}

_SECOND_SENTENCE = re.compile(r"[a-z0-9`)]\.\)? +[A-Z`]")
_LEFT_OVER = re.compile(r"\b(?:TODO|FIXME|XXX|TBD|lorem)\b", re.IGNORECASE)


def crowded(text: str) -> list[str]:
    """Lines of running text that hold more than one sentence; tables, headings and definitions may."""
    lines = [line for line in text.splitlines() if not line.startswith(("|", "#", "**"))]
    return [line for line in lines if _SECOND_SENTENCE.search(line)]


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_has_one_title_at_its_beginning(page: Path) -> None:
    lines = prose(page).splitlines()

    assert lines[0].startswith("# ")
    assert [line for line in lines[1:] if line.startswith("# ")] == []


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_line_has_one_sentence(page: Path) -> None:
    assert crowded(prose(page)) == []


@pytest.mark.parametrize("page", [*PAGES.values(), ROOT / "README.md", ROOT / "CHANGELOG.md"], ids=name_of)
def test_nothing_is_left_over(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    assert _LEFT_OVER.findall(text) == []
    assert [line for line in text.splitlines() if line != line.rstrip()] == []
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_the_checks_see_what_they_are_made_for() -> None:
    text = "# A. B\n| a. B |\nOne sentence, e.g. this one.\nOne. Two.\n(One.) Two.\n"

    assert crowded(text) == ["One. Two.", "(One.) Two."]
    assert len(PAGES) >= 16
