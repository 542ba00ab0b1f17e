"""What is wrong with a request, in terms that may be shown: places and rules of the document, no submitted text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from bsguard.contract.pointers import escape

if TYPE_CHECKING:
    from collections.abc import Container

    from bsguard.contract.validators import SchemaError

Place = Literal["path", "query", "header", "cookie", "body", "request"]

#: Violations of one request that are told.
VIOLATIONS_COUNT_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which a request breaks its contract."""

    #: Id of the rule, such as ``contract.parameter.invalid``.
    rule: str
    place: Place
    #: Name of a declared parameter; empty for the body, and for a name that the client made up.
    name: str = ""
    #: JSON pointer into the value; parts that the document does not name are ``*``.
    pointer: str = ""
    #: The schema keyword that is broken, or a word such as ``duplicate``.
    keyword: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.place, self.name, self.pointer, self.keyword) if part)

    @property
    def detail(self) -> tuple[tuple[str, str], ...]:
        """What the client is told."""
        facts = (("in", self.place), ("name", self.name), ("pointer", self.pointer), ("rule", self.keyword))
        return tuple((key, value) for key, value in facts if value or (key == "pointer" and self.place == "body"))


def pointer_of(error: SchemaError, declared: Container[str]) -> str:
    """The JSON pointer of a schema error. Keys that only the client knows are not repeated."""
    parts = (str(part) if isinstance(part, int) or part in declared else "*" for part in error.path)
    return "".join(f"/{escape(part)}" for part in parts)
