"""Turns the text of parameters and form fields into JSON values, strictly, so that a schema can judge them.

Numbers and booleans are read as JSON writes them and in no other way: what does not fit stays text, and the schema
then says that the type is wrong. All styles of OpenAPI are here (3.1.1 §4.8.12.3); ``form`` with and without
``explode``, ``spaceDelimited``, ``pipeDelimited``, ``deepObject``, ``simple``, ``label`` and ``matrix``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import unquote_to_bytes

from bsguard.core import strict_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

#: Longest text that is read as a number: more digits than any double or 64-bit integer has.
NUMBER_CHARS_MAX: Final = 400
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_BOOLEANS: Final = {"true": True, "false": False}
_DELIMITERS: Final = {
    "form": ",",
    "simple": ",",
    "spaceDelimited": " ",
    "pipeDelimited": "|",
    "label": ",",
    "matrix": ",",
}
#: Delimiters as they stand in a query string, where clients may or may not escape them.
_ESCAPED: Final = {"spaceDelimited": re.compile("%20|[+ ]"), "pipeDelimited": re.compile("%7[Cc]|[|]")}
_JSON_DEPTH_MAX: Final = 64

Style = Literal["form", "spaceDelimited", "pipeDelimited", "deepObject", "simple", "label", "matrix"]


class NotText(ValueError):
    """Bytes that are not UTF-8."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a schema lets a value be, as far as reading it from text depends on it."""

    #: JSON types.
    kinds: frozenset[str]
    items: Shape | None = None
    properties: dict[str, Shape] = field(default_factory=dict)
    #: The shape of further properties; None when there may be none.
    extra: Shape | None = None

    @property
    def scalar(self) -> bool:
        """Neither an array nor an object."""
        return self.kinds.isdisjoint(("array", "object"))

    @property
    def ambiguous(self) -> bool:
        """Whether one text may stand for several values."""
        return len(self.kinds - {"number" if "integer" in self.kinds else ""}) > 1


TEXT: Final = Shape(frozenset({"string"}))


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter."""

    name: str
    place: Literal["path", "query", "header", "cookie"]
    required: bool
    style: Style
    explode: bool
    shape: Shape
    #: The definition that judges its value; empty when nothing does.
    definition: str
    #: The value is JSON text.
    json: bool = False
    #: It may be sent without a value.
    empty: bool = False
    #: Its name among the values of all parameters.
    key: str = field(init=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", f"{self.place} {self.name}")

    @property
    def repeatable(self) -> bool:
        """Whether a second copy of it is part of the value."""
        return self.explode and self.style == "form" and "array" in self.shape.kinds

    @property
    def spread(self) -> bool:
        """Whether it is an object whose properties stand as parameters of their own."""
        return self.style == "form" and self.explode and self.place == "query" and self._object

    @property
    def _object(self) -> bool:
        return "object" in self.shape.kinds and not self.json

    def value(self, raws: Sequence[str], read: Callable[[str], str]) -> Any:
        """The value that the text most likely stands for. *read* undoes the escapes of one piece.

        Raises :class:`NotText` or :class:`~bsguard.core.strict_json.JsonProblem`.
        """
        return next(self.values(raws, read))

    def values(self, raws: Sequence[str], read: Callable[[str], str]) -> Iterator[Any]:
        """All values that the text may stand for, likeliest first."""
        shape = self.shape
        if self.json:
            yield strict_json.loads(read(raws[0]).encode(), _JSON_DEPTH_MAX)
            return
        if not shape.scalar:
            if "object" in shape.kinds:
                pairs = self._pairs(raws[0], read)
                if pairs is not None:
                    yield {
                        name: _first(text, shape.properties.get(name) or shape.extra or TEXT) for name, text in pairs
                    }
            if "array" in shape.kinds:
                yield [_first(piece, shape.items or TEXT) for piece in self._pieces(raws, read)]
        yield from scalars(self._bare(read(raws[0])), shape.kinds)

    def _bare(self, text: str) -> str:
        """A single value without what its style puts in front of it."""
        if self.style == "label":
            return text.removeprefix(".")
        return text.removeprefix(f";{self.name}").removeprefix("=") if self.style == "matrix" else text

    def _pieces(self, raws: Sequence[str], read: Callable[[str], str]) -> list[str]:
        """The texts of an array's items."""
        if self.repeatable:
            return [read(raw) for raw in raws]
        raw = raws[0]
        if self.style == "matrix" and self.explode:
            return [piece.removeprefix(f"{self.name}=") for piece in read(raw).removeprefix(";").split(";")]
        if self.style == "label":
            text = read(raw).removeprefix(".")
            return text.split("." if self.explode else ",") if text else []
        if self.style == "matrix":
            raw = self._bare(raw)
        if not raw:
            return []
        return [read(piece) for piece in self._split(raw)]

    def _split(self, raw: str) -> list[str]:
        escaped = _ESCAPED.get(self.style) if self.place == "query" else None
        pieces = escaped.split(raw) if escaped else raw.split(_DELIMITERS.get(self.style, ","))
        return [piece.strip(" \t") for piece in pieces] if self.place == "header" else pieces

    def _pairs(self, raw: str, read: Callable[[str], str]) -> list[tuple[str, str]] | None:
        """Names and texts of an object's properties; None if the text is no object."""
        if self.style == "label":
            pieces = read(raw).removeprefix(".").split("." if self.explode else ",")
        elif self.style == "matrix":
            text = read(raw).removeprefix(";")
            pieces = text.split(";") if self.explode else self._bare(";" + text).split(",")
        else:
            pieces = [read(piece) for piece in self._split(raw)]
        if self.explode:
            found = [piece.partition("=") for piece in pieces]
            return [(name, text) for name, mark, text in found] if all(mark for _, mark, _ in found) else None
        return list(zip(pieces[::2], pieces[1::2], strict=True)) if len(pieces) % 2 == 0 else None


def properties(fields: Iterable[tuple[str, list[str]]], shape: Shape) -> dict[str, Any]:
    """An object from named texts: a spread or deep parameter, or a form."""
    made: dict[str, Any] = {}
    for name, texts in fields:
        one = shape.properties.get(name) or shape.extra or TEXT
        if "array" in one.kinds:
            made[name] = [_first(text, one.items or TEXT) for text in texts]
        else:
            made[name] = _first(texts[0], one)
    return made


def scalars(text: str, kinds: frozenset[str]) -> Iterator[Any]:
    """The values that *text* may stand for, among these JSON types; text itself last, whatever they are."""
    if "integer" in kinds or "number" in kinds:
        number = _number(text, "number" in kinds)
        if number is not None:
            yield number
    if "boolean" in kinds and text in _BOOLEANS:
        yield _BOOLEANS[text]
    if "string" in kinds:
        yield text
    if "null" in kinds and text in ("null", ""):
        yield None
    if "string" not in kinds:
        yield text


def _first(text: str, shape: Shape) -> Any:
    return next(scalars(text, shape.kinds))


def _number(text: str, fractions: bool) -> int | float | None:
    if len(text) > NUMBER_CHARS_MAX:
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    if fractions and _NUMBER.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else None
    return None


def unescape(raw: str) -> str:
    """The text of a piece of a query string or form, native (one character a byte) and escaped."""
    if raw.isascii() and "%" not in raw and "+" not in raw:
        return raw
    try:
        return unquote_to_bytes(raw.replace("+", " ").encode("latin-1")).decode("utf-8")
    except UnicodeError:
        raise NotText from None


def decode(native: str) -> str:
    """The text of a native string that carries no escapes, such as a path."""
    if native.isascii():
        return native
    try:
        return native.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise NotText from None


def as_is(text: str) -> str:
    """The text itself."""
    return text
