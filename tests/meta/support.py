"""What the tests of the repository itself have in common: its files, and its pages cut into prose and samples."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bsguard
from bsguard.contract.rules import RULES as CONTRACT_RULES
from bsguard.core.config import settings_of
from bsguard.core.rules import RULES as ANY_LAYER_RULES
from bsguard.core.settings import Settings
from bsguard.managed.rules import RULES as MANAGED_RULES
from bsguard.observe.config import EventsConfig
from bsguard.protocol.rules import RULES as PROTOCOL_RULES
from bsguard.session.rules import RULES as SESSION_RULES
from bsguard.standard import LAYERS, layer_class
from bsguard.tenant.layer import RULES as TENANT_RULES
from bsguard.waf.layer import Waf

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
# The package under test, which need not be the checkout's.
PACKAGE = Path(bsguard.__file__).resolve().parent
DOCS = ROOT / "docs"
GENERATED = DOCS / "reference"

# Groups of settings by what stands before their names, and the class that holds them.
GROUPS: dict[str, type[Any]] = {
    "": Settings,
    **{f"{name.upper()}_": layer_class(name).config_class for name in LAYERS},
    "EVENTS_": EventsConfig,
}
SETTINGS = {f"BSGUARD_{group}{key}": field for group, cls in GROUPS.items() for key, field in settings_of(cls).items()}
RULES = {
    **PROTOCOL_RULES,
    **Waf.rules,
    **MANAGED_RULES,
    **CONTRACT_RULES,
    **SESSION_RULES,
    **TENANT_RULES,
    **ANY_LAYER_RULES,
}

_PASSED_OVER = {"build", "dist", "instance", "node_modules", "__pycache__"}


@dataclass(frozen=True)
class Sample:
    """A fenced block of a page: where it starts, in which language, and what it says."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@cache
def pages() -> tuple[Path, ...]:
    """Every page that people read."""
    return (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")))


def name_of(path: Path) -> str:
    """The page's path from the root, for test ids and messages."""
    return path.relative_to(ROOT).as_posix()


def samples(page: Path) -> Iterator[Sample]:
    """The fenced blocks of *page*; ValueError where one is not closed."""
    language, start, gathered = "", 0, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.startswith("```"):
            gathered.append(line)
        elif start:
            yield Sample(page, start, language, "\n".join(gathered) + "\n")
            start = 0
        else:
            language, start, gathered = line[3:].strip(), number, []
    if start:
        raise ValueError(f"{page}:{start}: the sample is not closed")


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def code_words(page: Path) -> list[str]:
    """What stands between single backticks in the page's prose."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def tables(page: Path) -> list[list[list[str]]]:
    """The tables of *page*: each a list of rows without head, each row a list of cells."""
    found: list[list[list[str]]] = []
    before = ""
    for line in prose(page).splitlines():
        if not line.startswith("|"):
            before = ""
            continue
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if set(line) <= set("|- :"):
            found.append([])
        elif before and found:
            found[-1].append(cells)
        before = line
    return found


def first_cells(page: Path) -> list[str]:
    """The first cell of every row of every table, without backticks."""
    return [row[0].strip("`") for table in tables(page) for row in table]


def files(*suffixes: str) -> list[Path]:
    """All files of the repository that a person wrote, by suffix; all of them without one."""
    found = []
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part != ".ci" for part in parts)
        generated = any(part in _PASSED_OVER or part.endswith(".egg-info") for part in parts)
        if path.is_file() and not hidden and not generated and (not suffixes or path.suffix in suffixes):
            found.append(path)
    return found


def sources() -> list[Path]:
    """The modules of the package under test."""
    return sorted(PACKAGE.rglob("*.py"))
