"""What can be wrong with rule files: every problem has a place, a reason and a remedy, and all are told at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bsguard.core.errors import BsguardError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a rule file; line and column count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class RuleProblem:
    """One thing wrong in a rule file."""

    position: Position
    #: What is wrong and what to write instead.
    message: str

    def __str__(self) -> str:
        return f"{self.position}: {self.message}"


class RuleError(BsguardError):
    """The rules cannot be loaded; none of them is. Every problem of every file is listed."""

    def __init__(self, problems: Iterable[RuleProblem]) -> None:
        #: All problems, by file in the order given, then by line.
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"{count} {'problem' if count == 1 else 'problems'} in the rules:{lines}")


class Mistake(Exception):
    """Raised while one construct is read, with the message; the parser adds the place and goes on.

    *offset* is how far into the text being read the mistake lies.
    """

    def __init__(self, message: str, offset: int = 0) -> None:
        self.offset = offset
        super().__init__(message)
