"""The rules that come with the package, by file: read once, for the layer, the command line and the reference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bsguard.seclang import parser
from bsguard.seclang.layer import OWN_RULES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bsguard.seclang.model import Program, Rule

FOLDER: Final = Path(__file__).with_name("rules")
#: Ids from here on are the operator's; ours are below.
OWN_IDS_MIN: Final = 900_000
SEVERITIES: Final = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")


@lru_cache(maxsize=1)
def program() -> Program:
    """Our rules as data."""
    return parser.load([FOLDER / "*.conf"])


def reported(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Those that say something when they match, and so have a name for modes and exceptions."""
    return tuple(rule for rule in rules if rule.log)


def descriptions() -> Mapping[str, str]:
    """Every rule of the layer by its id in events, with what it refuses."""
    found = {f"waf.{rule.id}": f"{rule.message}." for rule in reported(program().rules)}
    return {**found, **{f"waf.{name}": text for name, text in OWN_RULES.items()}}


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule as its file tells it."""

    rule: Rule
    #: Name of the file, which is the class of attack.
    file: str
    #: The comment above the rule: what it stops, and why honest text does not set it off.
    comment: str
    #: The rule as it is written.
    source: str

    @property
    def severity(self) -> str:
        """The severity as a word."""
        return "" if self.rule.severity is None else SEVERITIES[self.rule.severity]


def entries(rules: tuple[Rule, ...]) -> tuple[Entry, ...]:
    """The rules with what their files say about them, in order."""
    return tuple(_entry(rule) for rule in reported(rules))


def _entry(rule: Rule) -> Entry:
    path = Path(rule.position.file)
    lines = _lines(path)
    start = rule.position.line - 1
    above = start
    while above and lines[above - 1].startswith("#"):
        above -= 1
    end = start
    while end < len(lines) and (lines[end].endswith("\\") or _chained(lines, start, end)):
        end += 1
    comment = " ".join(line.removeprefix("#").strip() for line in lines[above:start])
    return Entry(rule, path.stem, comment, "\n".join(lines[start : end + 1]))


def _chained(lines: tuple[str, ...], start: int, end: int) -> bool:
    """Whether the line after *end* is a further link of the rule that begins at *start*: those are indented."""
    return end + 1 < len(lines) and end >= start and lines[end + 1].startswith("    SecRule")


@lru_cache(maxsize=64)
def _lines(path: Path) -> tuple[str, ...]:
    return tuple(path.read_text(encoding="utf-8", errors="replace").splitlines())
