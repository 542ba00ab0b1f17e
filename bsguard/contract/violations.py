"""What is wrong with a request, in terms that may be shown: places and rules of the document, no submitted text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from bsguard.contract.pointers import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bsguard.contract.explain import SchemaError

Place = Literal["path", "query", "header", "cookie", "body", "request"]

#: Violations of one request that are told.
VIOLATIONS_COUNT_MAX: Final = 10


class Violation(NamedTuple):
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
        return " ".join([part for part in self[1:] if part])

    @property
    def detail(self) -> tuple[tuple[str, str], ...]:
        """What the client is told."""
        _, place, name, pointer, keyword = self
        named = (("name", name),) if name else ()
        pointed = (("pointer", pointer),) if pointer or place == "body" else ()
        return (("in", place), *named, *pointed, *((("rule", keyword),) if keyword else ()))


def violations_of(
    rule: str, place: Place, name: str, errors: Iterable[SchemaError], segments: Mapping[str | int, str]
) -> list[Violation]:
    """What schema errors mean. Property names are shown as in *segments*, those that only the client knows are not."""
    shown = segments.get
    return [
        Violation(rule, place, name, "".join([shown(part) or _segment(part) for part in path]), keyword)
        for path, keyword in errors
    ]


def segments_of(declared: Iterable[str]) -> dict[str | int, str]:
    """The segments of JSON pointers for names that a document declares."""
    return {name: f"/{escape(name)}" for name in declared}


def _segment(part: str | int) -> str:
    """What is shown of a part of a way that is no declared name."""
    return f"/{part}" if isinstance(part, int) else "/*"
