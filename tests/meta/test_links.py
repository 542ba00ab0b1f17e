"""Links within the repository lead somewhere, and every page is found from the first one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.meta.support import DOCS, ROOT, name_of, pages, prose

if TYPE_CHECKING:
    from pathlib import Path

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_OUTSIDE = re.compile(r"(?:https|mailto):")

PAGES = {name_of(page): page for page in pages()}


def links(page: Path) -> list[str]:
    """The targets of the links that stay in the repository."""
    return [target for target in _LINK.findall(prose(page)) if not _OUTSIDE.match(target)]


def anchors(page: Path) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    return {f"{slug}-{before}" if (before := slugs[:at].count(slug)) else slug for at, slug in enumerate(slugs)}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_links_within_the_repository_resolve(page: Path) -> None:
    broken = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        inside = file.is_relative_to(ROOT)
        if not inside or not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)

    assert broken == []


def test_every_page_is_reached_from_the_index() -> None:
    found, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in found:
            continue
        found.add(page)
        files = [(page.parent / target.partition("#")[0]).resolve() for target in links(page)]
        waiting += [file for file in files if file.suffix == ".md" and file.exists()]

    assert set(DOCS.rglob("*.md")) - found == set()


def test_the_readme_leads_to_the_documentation() -> None:
    assert {"docs/quickstart.md", "docs/howto/configure.md", "docs/contributing.md"} <= set(links(ROOT / "README.md"))


def test_links_are_found_and_anchors_are_made_as_github_does(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b` (c), d!\n## Twice\n## Twice\n[one](x.md#y) [two](https://example.com)\n```\n[no](z.md)\n```\n"
    )

    assert anchors(page) == {"a-b-c-d", "twice", "twice-1"}
    assert links(page) == ["x.md#y"]
    assert sum(len(links(page)) for page in PAGES.values()) > 60
